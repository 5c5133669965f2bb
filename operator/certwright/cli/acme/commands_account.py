"""`register`, `account`, `rollover`, `deactivate`: their options."""

from pathlib import Path
from typing import Annotated, Final

import typer

from certwright.cli.acme.common import Common

_BINDING: Final = "External account binding, for CAs that want one"

AgreeTos = Annotated[bool, typer.Option("--agree-tos", help="Agree to the CA's terms of service.")]
Emails = Annotated[list[str] | None, typer.Option("--email", help="Contact; may be given several times.")]
EabKid = Annotated[
    str | None, typer.Option("--eab-kid", help="Key identifier that the CA gave you.", rich_help_panel=_BINDING)
]
EabHmacFile = Annotated[
    Path | None,
    typer.Option(
        "--eab-hmac-file",
        help="File with the MAC key that goes with it, in base64url.",
        show_default="$CERTWRIGHT_EAB_HMAC_KEY",
        rich_help_panel=_BINDING,
    ),
]
EabAlgorithm = Annotated[str, typer.Option("--eab-algorithm", help="HS256, HS384 or HS512.", rich_help_panel=_BINDING)]
AccountKeyAlgorithm = Annotated[
    str, typer.Option("--key-algorithm", help="Of the account key: ES256, ES384, ES512, RS256, EdDSA.")
]


def register(
    common: Common,
    *,
    email: Emails = None,
    key_algorithm: AccountKeyAlgorithm = "ES256",
    eab_kid: EabKid = None,
    eab_hmac_file: EabHmacFile = None,
    eab_algorithm: EabAlgorithm = "HS256",
    restore: Annotated[
        Path | None,
        typer.Option("--import", help="Find the account of saved credentials or of a key (PEM, JWK); make none."),
    ] = None,
    agree_tos: AgreeTos = False,
) -> None:
    """Make an account at a CA, or find the one that there is."""
    from certwright.cli.acme import account_acts  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.new_account import NewAccount  # noqa: PLC0415
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    terms = NewAccount(agree_tos, tuple(email or ()), eab_kid, eab_hmac_file, eab_algorithm, key_algorithm)
    run(common, "register", lambda session: account_acts.register(session, terms, restore))


def account(
    common: Common,
    email: Annotated[
        list[str] | None, typer.Option("--email", help="Replace the contacts; may be given several times.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write the credentials, private key included, to this file.")
    ] = None,
    *,
    no_email: Annotated[bool, typer.Option("--no-email", help="Remove all contacts.")] = False,
    agree_tos: Annotated[bool, typer.Option("--agree-tos", help="Agree to the terms as they are now.")] = False,
) -> None:
    """Show the account, change its contacts, save its credentials."""
    from certwright.cli.acme import account_acts  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    contacts = tuple(email or ())
    run(
        common,
        "account",
        lambda session: account_acts.show(session, contacts, clear=no_email, agree=agree_tos, export=export),
    )


def rollover(
    common: Common,
    *,
    key_algorithm: Annotated[
        str | None,
        typer.Option("--key-algorithm", help="ES256, ES384, ES512, RS256, EdDSA.", show_default="that of the old key"),
    ] = None,
) -> None:
    """Give the account a new key. Safe to be killed at any instant: the next run finds out which key counts."""
    from certwright.cli.acme import account_acts  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    run(common, "rollover", lambda session: account_acts.rollover(session, key_algorithm))


def deactivate(
    common: Common, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False
) -> None:
    """Close the account for good."""
    from certwright.cli.acme import account_acts  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    run(common, "deactivate", lambda session: account_acts.deactivate(session, yes=yes))
