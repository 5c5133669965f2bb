"""`issue`, `renew`, `revoke`: their options."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from certwright.cli.acme.commands_account import (
    EabAlgorithm,
    EabHmacFile,
    EabKid,
)
from certwright.cli.acme.common import Common
from certwright.cli.acme.recipe import DnsCheck, KeyType, Recipe, SolverSettings
from certwright.cli.acme.solver_spec import KINDS

_SOLVING: Final = "How the names are proven"
_ACCOUNT: Final = "The account, if there is none yet"
_KINDS: Final = "; ".join(f"{kind} ({text})" for kind, text in KINDS.items())


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant such as 2027-01-31T12:00:00Z") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def issue(
    common: Common,
    names: Annotated[
        list[str] | None, typer.Argument(help="Domain names, wildcards, IP addresses.", show_default=False)
    ] = None,
    *,
    # How the names are proven, kept for renewals.
    solver: Annotated[
        list[str] | None,
        typer.Option(
            "--solver",
            help=f"Several are tried in their order; ZONE=KIND is for names in a zone only. {_KINDS}.",
            rich_help_panel=_SOLVING,
            show_default=False,
        ),
    ] = None,
    http_host: Annotated[
        str | None, typer.Option("--http-host", help="Where standalone listens.", rich_help_panel=_SOLVING)
    ] = None,
    http_port: Annotated[
        int,
        typer.Option(
            "--http-port", min=1, max=65535, help="Its port; the CA asks at port 80.", rich_help_panel=_SOLVING
        ),
    ] = 80,
    tls_host: Annotated[
        str | None, typer.Option("--tls-host", help="Where tls-alpn-01 listens.", rich_help_panel=_SOLVING)
    ] = None,
    tls_port: Annotated[
        int,
        typer.Option(
            "--tls-port", min=1, max=65535, help="Its port; the CA asks at port 443.", rich_help_panel=_SOLVING
        ),
    ] = 443,
    nameserver: Annotated[
        str | None,
        typer.Option("--nameserver", help="Takes dynamic updates (RFC 2136): HOST[:PORT].", rich_help_panel=_SOLVING),
    ] = None,
    tsig_key_file: Annotated[
        Path | None,
        typer.Option(
            "--tsig-key-file",
            help="Signs them: what tsig-keygen printed, or the secret alone.",
            show_default="$CERTWRIGHT_TSIG_SECRET",
            rich_help_panel=_SOLVING,
        ),
    ] = None,
    tsig_key_name: Annotated[
        str | None, typer.Option("--tsig-key-name", help="If the file does not say it.", rich_help_panel=_SOLVING)
    ] = None,
    tsig_algorithm: Annotated[
        str | None, typer.Option("--tsig-algorithm", help="If the file does not say it.", rich_help_panel=_SOLVING)
    ] = None,
    dns_resolver: Annotated[
        list[str] | None,
        typer.Option(
            "--dns-resolver",
            help="Finds zones and aliases; may be given several times.",
            show_default="the system's",
            rich_help_panel=_SOLVING,
        ),
    ] = None,
    dns_server: Annotated[
        list[str] | None,
        typer.Option(
            "--dns-server",
            help="Asked whether records are there; may be given several times.",
            show_default="the zone's",
            rich_help_panel=_SOLVING,
        ),
    ] = None,
    dns_timeout: Annotated[
        float,
        typer.Option("--dns-timeout", min=0, help="Seconds until records are seen.", rich_help_panel=_SOLVING),
    ] = 300.0,
    dns_check: Annotated[
        DnsCheck,
        typer.Option("--dns-check", help="What it means if they are not.", rich_help_panel=_SOLVING),
    ] = DnsCheck.REQUIRED,
    persist_until: Annotated[
        datetime | None,
        typer.Option(
            "--persist-until",
            parser=_instant,
            metavar="INSTANT",
            help="End of a dns-persist-01 record that is made.",
            rich_help_panel=_SOLVING,
        ),
    ] = None,
    # The certificate.
    key_type: Annotated[KeyType, typer.Option("--key-type", help="Of a new key.")] = KeyType.EC256,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file with the key to use this time.")] = None,
    csr: Annotated[
        Path | None, typer.Option("--csr", help="Request to use, PEM or DER; its key stays elsewhere.")
    ] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="One of the CA's; see info.")] = None,
    preferred_chain: Annotated[
        str | None, typer.Option("--preferred-chain", help="Common name of the issuer that the chain shall lead to.")
    ] = None,
    not_before: Annotated[
        datetime | None,
        typer.Option("--not-before", parser=_instant, metavar="INSTANT", help="Begin of its life; many CAs refuse it."),
    ] = None,
    not_after: Annotated[
        datetime | None,
        typer.Option("--not-after", parser=_instant, metavar="INSTANT", help="End of its life; many CAs refuse it."),
    ] = None,
    # What becomes of it.
    name: Annotated[
        str | None, typer.Option("--name", help="What it is called here.", show_default="its first name")
    ] = None,
    deploy_hook: Annotated[
        str | None,
        typer.Option("--deploy-hook", help="Shell command to run when there is a new one; see docs/cli.md."),
    ] = None,
    pkcs12_password_file: Annotated[
        Path | None,
        typer.Option(
            "--pkcs12-password-file",
            help="Its first line is the keystore's password.",
            show_default="$CERTWRIGHT_PKCS12_PASSWORD",
        ),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds for all of it.")] = 600.0,
    staging_server: Annotated[
        str | None, typer.Option("--staging-server", help="CA for --dry-run.", show_default="the CA's own")
    ] = None,
    email: Annotated[
        list[str] | None,
        typer.Option("--email", help="Contact; may be given several times.", rich_help_panel=_ACCOUNT),
    ] = None,
    eab_kid: EabKid = None,
    eab_hmac_file: EabHmacFile = None,
    eab_algorithm: EabAlgorithm = "HS256",
    http_check: Annotated[
        bool,
        typer.Option("--http-check", help="Look at http-01 answers before the CA does.", rich_help_panel=_SOLVING),
    ] = False,
    persist_wildcard: Annotated[
        bool,
        typer.Option("--persist-wildcard", help="It is for wildcards and names below, too.", rich_help_panel=_SOLVING),
    ] = False,
    reuse_key: Annotated[bool, typer.Option("--reuse-key", help="Keep the key at renewals.")] = False,
    combined: Annotated[bool, typer.Option("--combined", help="Write key and chain into combined.pem, too.")] = False,
    pkcs12: Annotated[
        bool, typer.Option("--pkcs12", help="Write key and chain into keystore.p12, too; asks for its password.")
    ] = False,
    pkcs12_legacy: Annotated[
        bool, typer.Option("--pkcs12-legacy", help="The same, encrypted as programs from before 2019 want it.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Issue although there is a good one.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Issue at a staging CA, and keep nothing.")] = False,
    check_caa: Annotated[bool, typer.Option("--check-caa", help="Warn of CAA records that forbid it.")] = False,
    agree_tos: Annotated[
        bool, typer.Option("--agree-tos", help="Agree to the CA's terms of service.", rich_help_panel=_ACCOUNT)
    ] = False,
) -> None:
    """Get a certificate. How it was issued is kept, so that renew needs no arguments."""
    from certwright.cli.acme import issue_act  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.new_account import NewAccount  # noqa: PLC0415
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    settings = SolverSettings(
        solvers=tuple(solver or ()),
        http_host=http_host,
        http_port=http_port,
        http_check=http_check,
        tls_host=tls_host,
        tls_port=tls_port,
        nameserver=nameserver,
        tsig_key_file=None if tsig_key_file is None else str(tsig_key_file.absolute()),
        tsig_key_name=tsig_key_name,
        tsig_algorithm=tsig_algorithm,
        resolvers=tuple(dns_resolver or ()),
        authoritative=tuple(dns_server or ()),
        dns_timeout=dns_timeout,
        dns_check=dns_check.value,
        persist_until=persist_until,
        persist_wildcard=persist_wildcard,
    )
    recipe = Recipe(
        names=tuple(names or ()),
        server="",
        solver=settings,
        key_type=key_type.value,
        reuse_key=reuse_key,
        profile=profile,
        preferred_chain=preferred_chain,
        deploy_hook=deploy_hook,
        combined=combined,
        pkcs12="legacy" if pkcs12_legacy else "modern" if pkcs12 or pkcs12_password_file else None,
        pkcs12_password_file=None if pkcs12_password_file is None else str(pkcs12_password_file.absolute()),
        timeout=timeout,
    )
    wanted = issue_act.Issuance(
        recipe=recipe,
        terms=NewAccount(agree_tos, tuple(email or ()), eab_kid, eab_hmac_file, eab_algorithm),
        name=name,
        key_file=key,
        csr_file=csr,
        not_before=not_before,
        not_after=not_after,
        force=force,
        dry_run=dry_run,
        staging_server=staging_server,
        check_caa=check_caa,
    )
    run(common, "issue", lambda session: issue_act.issue(session, wanted))


def renew(
    common: Common,
    certificates: Annotated[list[str] | None, typer.Argument(help="Names of certificates.", show_default="all")] = None,
    random_sleep: Annotated[
        float, typer.Option("--random-sleep", min=0, help="Wait up to so many seconds first, to spread the load.")
    ] = 0.0,
    staging_server: Annotated[
        str | None, typer.Option("--staging-server", help="CA for --dry-run.", show_default="each CA's own")
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Renew although it is not time.")] = False,
    reuse_key: Annotated[
        bool | None,
        typer.Option("--reuse-key/--new-key", help="Keep the key, or not, from now on.", show_default="as issued"),
    ] = None,
    no_ari: Annotated[bool, typer.Option("--no-ari", help="Do not ask the CA when to renew.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Renew all at staging CAs, and keep nothing.")] = False,
) -> None:
    """Renew what is due: as the CA suggests, else with a third of the life left. For cron, twice a day."""
    from certwright.cli.acme import renew_act  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    wanted = renew_act.Renewal(
        names=tuple(certificates or ()),
        force=force,
        reuse_key=reuse_key,
        ask_ca=not no_ari,
        random_sleep=random_sleep,
        dry_run=dry_run,
        staging_server=staging_server,
    )
    run(common, "renew", lambda session: renew_act.renew(session, wanted))


def revoke(
    common: Common,
    certificate: Annotated[str, typer.Argument(help="A certificate: its name here, or a file.")],
    reason: Annotated[
        str | None, typer.Option("--reason", help="As in RFC 5280: keyCompromise, superseded, cessationOfOperation ...")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Revoke with the certificate's key, in this PEM file.")
    ] = None,
    *,
    own_key: Annotated[
        bool, typer.Option("--with-certificate-key", help="Revoke with its key that is kept here, not the account.")
    ] = False,
) -> None:
    """Revoke a certificate, by the account that issued it or by its own key."""
    from certwright.cli.acme import revoke_act  # noqa: PLC0415 - only what runs is loaded
    from certwright.cli.acme.runner import run  # noqa: PLC0415

    run(
        common,
        "revoke",
        lambda session: revoke_act.revoke(session, certificate, reason=reason, key_file=key, own_key=own_key),
    )
