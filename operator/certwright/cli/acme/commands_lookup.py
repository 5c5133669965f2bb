"""`discover`, `info`, `ari`: their options."""

from typing import Annotated

import typer

from certwright.cli.acme.common import Common


def discover(
    common: Common,
    names: Annotated[list[str], typer.Argument(help="Domain names, wildcards, IP addresses.")],
    profile: Annotated[str | None, typer.Option("--profile", help="One of the CA's profiles.")] = None,
) -> None:
    """Show which challenges a CA offers for names. This makes an order, which counts against the CA's limits."""
    from certwright.cli.acme import lookup_acts  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    run(common, "discover", lambda session: lookup_acts.discover(session, tuple(names), profile))


def info(
    common: Common,
    what: Annotated[
        str | None,
        typer.Argument(
            help="A CA (name or directory URL), or a certificate (name or file).", show_default="the folder"
        ),
    ] = None,
) -> None:
    """Show a CA, a certificate, or which accounts and certificates there are."""
    from certwright.cli.acme import lookup_acts  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    run(common, "info", lambda session: lookup_acts.info(session, what))


def ari(
    common: Common,
    certificate: Annotated[str, typer.Argument(help="A certificate: its name here, or a file.")],
) -> None:
    """Ask when the CA wants a certificate renewed (ACME renewal information, RFC 9773)."""
    from certwright.cli.acme import lookup_acts  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    run(common, "ari", lambda session: lookup_acts.renewal_info(session, certificate))
