"""The commands of `certwright acme`, and their options.

This module imports nothing heavy, so that help and usage errors appear immediately. Each command is implemented in the
module of its name, which is imported when it runs.
"""

import functools
import inspect
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from certwright.cli.acme.common import Common
from certwright.cli.acme.settings import IssuanceSettings, KeyType
from certwright.cli.acme.solver_settings import KINDS, DnsCheck, DnsView, SolverSettings

_KINDS: Final = "; ".join(f"{kind} ({text})" for kind, text in KINDS.items())
_validation = partial(typer.Option, rich_help_panel="Domain validation")
_new_account = partial(typer.Option, rich_help_panel="Account, if there is none yet")
_binding = partial(typer.Option, rich_help_panel="External account binding, for CAs that require it")

AgreeTos = Annotated[bool, typer.Option("--agree-tos", help="Agree to the CA's terms of service.")]
Emails = Annotated[list[str] | None, typer.Option("--email", help="Contact address; repeat for several.")]
EabKid = Annotated[str | None, _binding("--eab-kid", help="Key identifier from the CA.")]
EabHmacFile = Annotated[
    Path | None,
    _binding(
        "--eab-hmac-file",
        help="File with the matching MAC key, in base64url.",
        show_default="$CERTWRIGHT_EAB_HMAC_KEY",
    ),
]
IgnoreRateLimits = Annotated[
    bool, typer.Option("--ignore-rate-limits", help="Order even if a rate limit of the CA is used up; it may refuse.")
]
EabAlgorithm = Annotated[str, _binding("--eab-algorithm", help="MAC algorithm: HS256, HS384 or HS512.")]


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2027-01-31T12:00:00Z") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def register(
    common: Common,
    *,
    email: Emails = None,
    key_algorithm: Annotated[
        str,
        typer.Option(
            "--key-algorithm", help="Account key: ES256, ES384, ES512, RS256 (also RS256:3072, RS256:4096) or EdDSA."
        ),
    ] = "ES256",
    eab_kid: EabKid = None,
    eab_hmac_file: EabHmacFile = None,
    eab_algorithm: EabAlgorithm = "HS256",
    restore: Annotated[
        Path | None,
        typer.Option(
            "--import", help="Restore the account of saved credentials or of a key (PEM, JWK); never create one."
        ),
    ] = None,
    agree_tos: AgreeTos = False,
) -> None:
    """Register an account with a CA, or find the existing one."""
    from certwright.cli.acme.account import NewAccount, register
    from certwright.cli.acme.runner import run

    new = NewAccount(agree_tos, tuple(email or ()), eab_kid, eab_hmac_file, eab_algorithm, key_algorithm)
    run(common, "register", lambda session: register(session, new, restore))


def account(
    common: Common,
    email: Annotated[
        list[str] | None, typer.Option("--email", help="Replace the contacts; repeat for several.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write the credentials, including the private key, to this file.")
    ] = None,
    *,
    no_email: Annotated[bool, typer.Option("--no-email", help="Remove all contacts.")] = False,
    agree_tos: Annotated[bool, typer.Option("--agree-tos", help="Agree to the current terms of service.")] = False,
) -> None:
    """Show the account, change its contacts or export its credentials."""
    from certwright.cli.acme.account import show
    from certwright.cli.acme.runner import run

    contacts = tuple(email or ())
    run(common, "account", lambda session: show(session, contacts, clear=no_email, agree=agree_tos, export=export))


def issue(
    common: Common,
    names: Annotated[
        list[str] | None, typer.Argument(help="Domain names, wildcards, IP addresses.", show_default=False)
    ] = None,
    *,
    # How domains are validated, saved for renewals.
    solver: Annotated[
        list[str] | None,
        _validation(
            "--solver",
            help=f"How to validate; repeat for several, tried in order; ZONE=KIND for names in a zone. {_KINDS}.",
            show_default=False,
        ),
    ] = None,
    http_host: Annotated[str | None, _validation("--http-host", help="Address that standalone listens on.")] = None,
    http_port: Annotated[
        int,
        _validation(
            "--http-port", min=1, max=65535, help="Port that standalone listens on; the CA connects to port 80."
        ),
    ] = 80,
    tls_host: Annotated[str | None, _validation("--tls-host", help="Address that tls-alpn-01 listens on.")] = None,
    tls_port: Annotated[
        int,
        _validation(
            "--tls-port", min=1, max=65535, help="Port that tls-alpn-01 listens on; the CA connects to port 443."
        ),
    ] = 443,
    dns: Annotated[
        list[str] | None,
        _validation(
            "--dns",
            metavar="PROVIDER",
            help="DNS provider that creates the records, as in certwright dns list; ZONE=PROVIDER for names in a zone. "
            "Without --solver, dns-01 is used.",
        ),
    ] = None,
    dns_credentials: Annotated[
        list[str] | None,
        _validation(
            "--dns-credentials",
            metavar="FILE",
            help="File with the provider's fields, in YAML or JSON; ZONE=FILE for that of a zone.",
            show_default="$CERTWRIGHT_DNS_...",
        ),
    ] = None,
    dns_zone: Annotated[
        list[str] | None,
        _validation(
            "--dns-zone",
            metavar="ZONE",
            help="Zone in which the records are created; NAMES=ZONE for --dns NAMES=PROVIDER.",
            show_default="the zone with the longest name that contains the record",
        ),
    ] = None,
    dns_ttl: Annotated[
        list[str] | None,
        _validation(
            "--dns-ttl",
            metavar="SECONDS",
            help="How long resolvers may cache the records; ZONE=SECONDS for those of --dns ZONE=PROVIDER.",
            show_default="60, or the shortest time that the provider takes",
        ),
    ] = None,
    nameserver: Annotated[
        str | None, _validation("--nameserver", help="Server that accepts dynamic updates (RFC 2136): HOST[:PORT].")
    ] = None,
    tsig_key_file: Annotated[
        Path | None,
        _validation(
            "--tsig-key-file",
            help="Key that signs the updates: the output of tsig-keygen, or just the secret.",
            show_default="$CERTWRIGHT_TSIG_SECRET",
        ),
    ] = None,
    tsig_key_name: Annotated[
        str | None, _validation("--tsig-key-name", help="Name of the key, if the file does not contain it.")
    ] = None,
    tsig_algorithm: Annotated[
        str | None, _validation("--tsig-algorithm", help="Algorithm of the key, if the file does not contain it.")
    ] = None,
    dns_resolver: Annotated[
        list[str] | None,
        _validation(
            "--dns-resolver",
            help="Resolver used to find zones and follow aliases: HOST[:PORT], or an https:// URL (DNS over HTTPS); "
            "repeat for several.",
            show_default="the system's",
        ),
    ] = None,
    dns_view: Annotated[
        list[DnsView] | None,
        _validation(
            "--dns-view",
            help="Where records must be visible: on the zone's own servers, on the resolvers, or on both (repeat it).",
            show_default="authoritative",
        ),
    ] = None,
    dns_server: Annotated[
        list[str] | None,
        _validation(
            "--dns-server", help="Server to query for the records; repeat for several.", show_default="the zone's"
        ),
    ] = None,
    dns_timeout: Annotated[
        float | None,
        _validation(
            "--dns-timeout",
            min=0,
            help="Seconds to wait until the records are visible.",
            show_default="300, or as long as the provider usually takes",
        ),
    ] = None,
    dns_check: Annotated[
        DnsCheck,
        _validation("--dns-check", help="If they are not: required fails, advisory continues; off skips the check."),
    ] = DnsCheck.REQUIRED,
    exec_timeout: Annotated[
        float, _validation("--exec-timeout", min=1, help="Seconds that a program of exec may run for one challenge.")
    ] = 60.0,
    persist_until: Annotated[
        datetime | None,
        _validation(
            "--persist-until",
            parser=_time,
            metavar="TIME",
            help="Expiry of a dns-persist-01 record created by this command.",
        ),
    ] = None,
    # The certificate.
    key_type: Annotated[KeyType, typer.Option("--key-type", help="Type of a new key.")] = KeyType.EC256,
    key: Annotated[
        Path | None, typer.Option("--key", help="PEM file with an existing key, for this issuance only.")
    ] = None,
    csr: Annotated[
        Path | None, typer.Option("--csr", help="CSR to use, PEM or DER; its private key stays elsewhere.")
    ] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="One of the CA's profiles; see info.")] = None,
    preferred_chain: Annotated[
        str | None, typer.Option("--preferred-chain", help="Common name of the issuer that the chain must lead to.")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", help="Subject without CN, such as O=Example,C=DE; public CAs leave it out."),
    ] = None,
    usage: Annotated[
        list[str] | None,
        typer.Option(
            "--usage", help='Key usage such as "client auth"; repeat for several. Most CAs decide themselves.'
        ),
    ] = None,
    uri: Annotated[
        list[str] | None, typer.Option("--uri", help="URI to request, for private CAs; repeat for several.")
    ] = None,
    mail: Annotated[
        list[str] | None, typer.Option("--mail", help="E-mail address to request, for private CAs; repeat for several.")
    ] = None,
    not_before: Annotated[
        datetime | None,
        typer.Option("--not-before", parser=_time, metavar="TIME", help="Start of validity; many CAs refuse it."),
    ] = None,
    not_after: Annotated[
        datetime | None,
        typer.Option("--not-after", parser=_time, metavar="TIME", help="End of validity; many CAs refuse it."),
    ] = None,
    # What is done with it.
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the certificate in the folder.", show_default="the first domain"),
    ] = None,
    deploy_hook: Annotated[
        str | None,
        typer.Option("--deploy-hook", help="Shell command to run after issuance and each renewal; see docs/cli.md."),
    ] = None,
    install_to: Annotated[
        Path | None,
        typer.Option("--install-to", help="Copy the files to this folder after issuance and each renewal."),
    ] = None,
    install_owner: Annotated[
        str | None, typer.Option("--install-owner", help="Owner of the copies: USER[:GROUP].", show_default="this user")
    ] = None,
    install_mode: Annotated[
        str | None, typer.Option("--install-mode", help="Mode of copies with the key.", show_default="0600")
    ] = None,
    pkcs12_password_file: Annotated[
        Path | None,
        typer.Option(
            "--pkcs12-password-file",
            help="File whose first line is the keystore's password.",
            show_default="$CERTWRIGHT_PKCS12_PASSWORD",
        ),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds for the whole issuance.")] = 600.0,
    staging_server: Annotated[
        str | None, typer.Option("--staging-server", help="CA for --dry-run.", show_default="the CA's own")
    ] = None,
    email: Annotated[list[str] | None, _new_account("--email", help="Contact address; repeat for several.")] = None,
    eab_kid: EabKid = None,
    eab_hmac_file: EabHmacFile = None,
    eab_algorithm: EabAlgorithm = "HS256",
    http_check: Annotated[
        bool, _validation("--http-check", help="Check http-01 responses from this host before the CA does.")
    ] = False,
    persist_wildcard: Annotated[
        bool,
        _validation("--persist-wildcard", help="Let the dns-persist-01 record cover wildcards and subdomains, too."),
    ] = False,
    reuse_key: Annotated[bool, typer.Option("--reuse-key", help="Keep the key when renewing.")] = False,
    combined: Annotated[bool, typer.Option("--combined", help="Also write key and chain to combined.pem.")] = False,
    pkcs12: Annotated[
        bool, typer.Option("--pkcs12", help="Also write key and chain to keystore.p12; asks for its password.")
    ] = False,
    pkcs12_legacy: Annotated[
        bool, typer.Option("--pkcs12-legacy", help="Like --pkcs12, encrypted for software from before 2019.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Issue even if there is a valid certificate.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Issue from a staging CA and save nothing.")] = False,
    check_caa: Annotated[
        bool, typer.Option("--check-caa", help="Warn about CAA records that forbid the issuance.")
    ] = False,
    ignore_rate_limits: IgnoreRateLimits = False,
    agree_tos: Annotated[bool, _new_account("--agree-tos", help="Agree to the CA's terms of service.")] = False,
) -> None:
    """Issue a certificate and save its settings for renewal."""
    from certwright.cli.acme.account import NewAccount
    from certwright.cli.acme.issue import IssueOptions, issue
    from certwright.cli.acme.runner import run

    validation = SolverSettings(
        solvers=tuple(solver or ()),
        http_host=http_host,
        http_port=http_port,
        http_check=http_check,
        tls_host=tls_host,
        tls_port=tls_port,
        dns=tuple(dns or ()),
        dns_credentials=tuple(dns_credentials or ()),
        dns_zones=tuple(dns_zone or ()),
        dns_ttls=tuple(dns_ttl or ()),
        nameserver=nameserver,
        tsig_key_file=None if tsig_key_file is None else str(tsig_key_file.absolute()),
        tsig_key_name=tsig_key_name,
        tsig_algorithm=tsig_algorithm,
        resolvers=tuple(dns_resolver or ()),
        authoritative=tuple(dns_server or ()),
        dns_views=tuple(view.value for view in dns_view or (DnsView.AUTHORITATIVE,)),
        dns_timeout=dns_timeout,
        dns_check=dns_check.value,
        exec_timeout=exec_timeout,
        persist_until=persist_until,
        persist_wildcard=persist_wildcard,
    )
    settings = IssuanceSettings(
        names=tuple(names or ()),
        server="",
        solver=validation,
        key_type=key_type.value,
        reuse_key=reuse_key,
        profile=profile,
        preferred_chain=preferred_chain,
        deploy_hook=deploy_hook,
        combined=combined,
        pkcs12="legacy" if pkcs12_legacy else "modern" if pkcs12 or pkcs12_password_file else None,
        pkcs12_password_file=None if pkcs12_password_file is None else str(pkcs12_password_file.absolute()),
        timeout=timeout,
        subject=subject,
        usages=tuple(usage or ()),
        uris=tuple(uri or ()),
        mailboxes=tuple(mail or ()),
        install_to=None if install_to is None else str(install_to.absolute()),
        install_owner=install_owner,
        install_mode=install_mode,
    )
    options = IssueOptions(
        settings=settings,
        new_account=NewAccount(agree_tos, tuple(email or ()), eab_kid, eab_hmac_file, eab_algorithm),
        name=name,
        key_file=key,
        csr_file=csr,
        not_before=not_before,
        not_after=not_after,
        force=force,
        dry_run=dry_run,
        staging_server=staging_server,
        check_caa=check_caa,
        ignore_limits=ignore_rate_limits,
    )
    run(common, "issue", lambda session: issue(session, options))


def renew(
    common: Common,
    certificates: Annotated[list[str] | None, typer.Argument(help="Names of certificates.", show_default="all")] = None,
    random_sleep: Annotated[
        float, typer.Option("--random-sleep", min=0, help="Wait up to this many seconds first, to spread the load.")
    ] = 0.0,
    staging_server: Annotated[
        str | None, typer.Option("--staging-server", help="CA for --dry-run.", show_default="each CA's own")
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Renew even if not due yet.")] = False,
    reuse_key: Annotated[
        bool | None,
        typer.Option(
            "--reuse-key/--new-key", help="Keep the key or make a new one, from now on.", show_default="as issued"
        ),
    ] = None,
    no_ari: Annotated[bool, typer.Option("--no-ari", help="Do not ask the CA when to renew.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Renew everything from staging CAs and save nothing.")
    ] = False,
    ignore_rate_limits: IgnoreRateLimits = False,
) -> None:
    """Renew certificates that are due, as the CA suggests or with a third of the lifetime left. Run it twice a day."""
    from certwright.cli.acme.renew import RenewOptions, renew
    from certwright.cli.acme.runner import run

    options = RenewOptions(
        names=tuple(certificates or ()),
        force=force,
        reuse_key=reuse_key,
        ask_ca=not no_ari,
        random_sleep=random_sleep,
        dry_run=dry_run,
        staging_server=staging_server,
        ignore_limits=ignore_rate_limits,
    )
    run(common, "renew", lambda session: renew(session, options))


def revoke(
    common: Common,
    certificate: Annotated[str, typer.Argument(help="A certificate: its name in the folder, or a file.")],
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Reason from RFC 5280: keyCompromise, superseded, cessationOfOperation ..."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Revoke with the certificate's key, from this PEM file.")
    ] = None,
    *,
    own_key: Annotated[
        bool, typer.Option("--with-certificate-key", help="Revoke with its key from the folder, not the account.")
    ] = False,
) -> None:
    """Revoke a certificate, with the account that issued it or with its own key."""
    from certwright.cli.acme.revoke import revoke
    from certwright.cli.acme.runner import run

    run(common, "revoke", lambda session: revoke(session, certificate, reason=reason, key_file=key, own_key=own_key))


def rollover(
    common: Common,
    *,
    key_algorithm: Annotated[
        str | None,
        typer.Option(
            "--key-algorithm",
            help="ES256, ES384, ES512, RS256 (also RS256:4096) or EdDSA.",
            show_default="that of the old key",
        ),
    ] = None,
) -> None:
    """Replace the account key. If interrupted, the next run asks the CA which key the account has."""
    from certwright.cli.acme.account import rollover
    from certwright.cli.acme.runner import run

    run(common, "rollover", lambda session: rollover(session, key_algorithm))


def deactivate(
    common: Common, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False
) -> None:
    """Deactivate the account permanently."""
    from certwright.cli.acme.account import deactivate
    from certwright.cli.acme.runner import run

    run(common, "deactivate", lambda session: deactivate(session, yes=yes))


def discover(
    common: Common,
    names: Annotated[list[str], typer.Argument(help="Domain names, wildcards, IP addresses.")],
    profile: Annotated[str | None, typer.Option("--profile", help="One of the CA's profiles.")] = None,
) -> None:
    """Show which challenges a CA offers. Places an order, which counts against the CA's rate limits."""
    from certwright.cli.acme.lookup import discover
    from certwright.cli.acme.runner import run

    run(common, "discover", lambda session: discover(session, tuple(names), profile))


def info(
    common: Common,
    what: Annotated[
        str | None,
        typer.Argument(
            help="A CA (name or directory URL), or a certificate (name or file).", show_default="the folder"
        ),
    ] = None,
) -> None:
    """Show a CA, a certificate, or the accounts and certificates in the folder."""
    from certwright.cli.acme.lookup import info
    from certwright.cli.acme.runner import run

    run(common, "info", lambda session: info(session, what))


def ari(
    common: Common,
    certificate: Annotated[str, typer.Argument(help="A certificate: its name in the folder, or a file.")],
) -> None:
    """Ask when the CA wants a certificate renewed (ACME renewal information, RFC 9773)."""
    from certwright.cli.acme.lookup import renewal_info
    from certwright.cli.acme.runner import run

    run(common, "ari", lambda session: renewal_info(session, certificate))


def list_certificates(
    common: Common,
    *,
    only_names: Annotated[bool, typer.Option("--names", help="Print only the names, one per line.")] = False,
) -> None:
    """List the certificates in the folder."""
    from certwright.cli.acme.manage import list_certificates
    from certwright.cli.acme.runner import run

    run(common, "list", lambda session: list_certificates(session, only_names=only_names))


def delete(
    common: Common,
    certificates: Annotated[list[str], typer.Argument(help="Names in the folder.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete certificates, with keys and settings, from the folder. They are not revoked."""
    from certwright.cli.acme.manage import delete
    from certwright.cli.acme.runner import run

    run(common, "delete", lambda session: delete(session, certificates, yes=yes))


_VALIDATION_FIELDS: Final = {
    "solver": "solvers",
    "dns": "dns",
    "dns_credentials": "dns_credentials",
    "dns_zone": "dns_zones",
    "dns_ttl": "dns_ttls",
    "dns_resolver": "resolvers",
    "dns_server": "authoritative",
    **{
        name: name
        for name in (
            *("http_host", "http_port", "http_check", "tls_host", "tls_port", "nameserver", "tsig_key_file"),
            *("tsig_key_name", "tsig_algorithm", "dns_timeout", "dns_check", "exec_timeout", "persist_until"),
            "persist_wildcard",
        )
    },
}
_ISSUANCE_FIELDS: Final = {
    "usage": "usages",
    "uri": "uris",
    "mail": "mailboxes",
    **{
        name: name
        for name in (
            *("key_type", "reuse_key", "profile", "preferred_chain", "deploy_hook", "combined", "timeout", "subject"),
            *("install_to", "install_owner", "install_mode"),
        )
    },
}
"""The options of `issue` that `reconfigure` has as well, and the settings that they are."""


def reconfigure(
    common: Common,
    certificate: Annotated[str, typer.Argument(help="A certificate: its name in the folder.")],
    *,
    add: Annotated[list[str] | None, typer.Option("--add", help="Name to add; repeat for several.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Name to remove; repeat for several.")] = None,
    later: Annotated[
        bool, typer.Option("--later", help="Only save; the next renewal issues the changed certificate.")
    ] = False,
    ignore_rate_limits: IgnoreRateLimits = False,
    **given: Any,
) -> None:
    """Change saved settings: names, validation, deployment. What is not given stays; an empty text unsets it."""
    from certwright.cli.acme.manage import Changes, reconfigure
    from certwright.cli.acme.runner import run
    from certwright.cli.acme.solver_settings import anchored, anchored_file

    def changed(fields: dict[str, str]) -> dict[str, Any]:
        return {field: _saved(given[name]) for name, field in fields.items() if given[name] not in (None, [])}

    solver = changed(_VALIDATION_FIELDS)
    if "solvers" in solver:
        solver["solvers"] = tuple(map(anchored, solver["solvers"]))
    if "dns_credentials" in solver:
        solver["dns_credentials"] = tuple(map(anchored_file, solver["dns_credentials"]))
    changes = Changes(
        tuple(add or ()), tuple(remove or ()), changed(_ISSUANCE_FIELDS), solver, later, ignore_rate_limits
    )
    run(common, "reconfigure", lambda session: reconfigure(session, certificate, changes))


def _saved(value: Any) -> Any:
    """Return the value of an option as settings have it."""
    if isinstance(value, Path):
        return str(value.absolute()) if str(value) != "." else None  # an empty text
    if isinstance(value, list):
        return tuple(one for one in value if one)
    if isinstance(value, StrEnum):
        return value.value
    return None if value == "" else value


def _optional(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return an option of `issue` that changes nothing unless it is given."""
    annotation = parameter.annotation
    kind, option = annotation.__origin__, copy(annotation.__metadata__[0])
    if kind is bool:
        # In an annotation typer keeps the first name there.
        option.default = f"{option.default}/--no-{option.default.removeprefix('--')}"
    option.show_default = "as before"
    return parameter.replace(default=None, annotation=Annotated[kind | None, option])


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    known = inspect.signature(issue, eval_str=True).parameters
    shared = [_optional(known[name]) for name in (*_VALIDATION_FIELDS, *_ISSUANCE_FIELDS)]

    @functools.wraps(command)
    def whole(common: Common, **values: Any) -> None:
        command(common, **values)

    whole.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    return whole


reconfigure = _with_settings(reconfigure)


def print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's own form of a callback
    """Print the version, and end."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"certwright {version('certwright')}")
        raise typer.Exit
