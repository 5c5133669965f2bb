"""`issue`: a certificate for names, or for a CSR."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from certwright.acme import Identifier, renewal_by_lifetime
from certwright.cli.acme.account import registered
from certwright.cli.acme.deploy_hook import run_hook
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.files import read_file
from certwright.cli.acme.install import installation
from certwright.cli.acme.issuance import (
    check_contents,
    contents_of,
    document_of,
    key_spec,
    lines_of,
    save,
    staging_of,
    tell_missing,
)
from certwright.cli.acme.keystore import find_keystore
from certwright.cli.acme.pending_issuance import pending_issuance, progress
from certwright.cli.acme.renewal_decision import decide, heard
from certwright.cli.acme.saved_budget import SavedBudget
from certwright.cli.acme.session import Outcome, server_name, server_url
from certwright.cli.acme.solver_settings import anchored, anchored_file
from certwright.cli.acme.solvers import make_solvers
from certwright.cli.exits import CommandError
from certwright.client import issue as issue_certificate
from certwright.dns import DnsView
from certwright.pki import PkiError, SigningRequest, read_csr

if TYPE_CHECKING:
    from pathlib import Path

    from certwright.acme import Client
    from certwright.cli.acme.account import NewAccount
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.session import Session
    from certwright.cli.acme.settings import IssuanceSettings, Metadata
    from certwright.client import CertificateKey, IssuedCertificate, OnEvent


@dataclass(frozen=True)
class IssueOptions:
    """The options of `issue`.

    Attributes:
        settings: How to issue, now and at each renewal; without the CA, which the session knows.
        new_account: The options for a new account.
        name: The name of the certificate; None for its first domain.
        key_file: An existing key to use, or None for a new one.
        csr_file: The CSR to use, or None.
        not_before: Requested start of validity, or None.
        not_after: Requested end of validity, or None.
        force: Issue even if there is a valid certificate.
        dry_run: Issue from a staging CA and save nothing.
        staging_server: That CA, or None for the CA's own.
        check_caa: Check CAA records first.
        ignore_limits: Order even if a rate limit of the CA is used up.
    """

    settings: IssuanceSettings
    new_account: NewAccount
    name: str | None = None
    key_file: Path | None = None
    csr_file: Path | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    force: bool = False
    dry_run: bool = False
    staging_server: str | None = None
    check_caa: bool = False
    ignore_limits: bool = False


async def issue(session: Session, options: IssueOptions) -> Outcome:
    """Issue a certificate, save it, and run its deploy hook."""
    key = _key(session, options)
    settings = replace(
        options.settings,
        names=_names(options.settings.names, key),
        server=session.server(),
        solver=replace(
            options.settings.solver,
            solvers=tuple(map(anchored, options.settings.solver.solvers)),
            dns_credentials=tuple(map(anchored_file, options.settings.solver.dns_credentials)),
        ),
        from_request=isinstance(key, SigningRequest),
    )
    # Report errors in the options before contacting the CA.
    make_solvers(settings.solver, session)
    check_contents(settings)
    if settings.install_to is not None:
        installation(settings.install_to, settings.install_owner, settings.install_mode)
    if settings.pkcs12 is not None and settings.from_request:
        raise UsageError("--pkcs12 needs the private key, which --csr leaves elsewhere")
    if options.dry_run:
        return await _dry_run(session, options, settings, key)
    folder = session.certificates.at(options.name or session.certificates.default_name(settings.names[0]))
    async with session.certificate_lock(folder):
        if not options.force and (found := _existing(session, folder, options, settings)) is not None:
            return found
        keystore = await find_keystore(session, settings)
        async with registered(session, settings.server, options.new_account) as client:
            folder.prepare()
            times = {"not_before": options.not_before, "not_after": options.not_after}
            async with pending_issuance(session, folder, settings, client, key, **times) as issuance:
                issued = await _issue(
                    session,
                    client,
                    options,
                    settings,
                    issuance.key,
                    server=settings.server,
                    on_event=issuance.on_event,
                    resume=issuance.resume,
                )
                tell_missing(settings, issued, session.output)
                metadata = save(folder, settings, issued, key, client, keystore=keystore)
        return await _finish(session, folder, metadata, issued)


def _existing(
    session: Session, folder: CertificateFolder, options: IssueOptions, settings: IssuanceSettings
) -> Outcome | None:
    """Return the outcome if there is a valid certificate with these settings already, else None."""
    if not folder.exists():
        return None
    metadata = folder.metadata()
    state = folder.renewal(metadata.serial)
    due = decide(metadata, state, datetime.now(UTC))
    valid = not due.now and state.revoked_at is None
    if not valid or not is_same(metadata.settings, settings) or options.key_file is not None:
        return None
    if others := _other_options(metadata.settings, settings):
        session.output.warn(f"It was issued with other settings, which remain in effect: {', '.join(others)}")
    news = f"There is already a valid certificate, {folder.name}; --force issues a new one"
    document = {"issued": False, "certificate": document_of(folder, metadata, due.at)}
    return Outcome(document, [news, *lines_of(folder, metadata, due.at)])


async def _issue(
    session: Session,
    client: Client,
    options: IssueOptions,
    settings: IssuanceSettings,
    key: CertificateKey,
    *,
    server: str,
    on_event: OnEvent,
    resume: str | None = None,
) -> IssuedCertificate:
    return await issue_certificate(
        client,
        settings.names,
        solvers=make_solvers(settings.solver, session),
        key=key,
        contents=contents_of(settings),
        profile=settings.profile,
        not_before=options.not_before,
        not_after=options.not_after,
        preferred_chain=settings.preferred_chain,
        caa_view=DnsView(resolvers=settings.solver.resolvers or None) if options.check_caa else None,
        resume=resume,
        budget=SavedBudget(session, server, ignored=options.ignore_limits),
        on_event=on_event,
        timeout=settings.timeout,
    )


async def _finish(
    session: Session, folder: CertificateFolder, metadata: Metadata, issued: IssuedCertificate
) -> Outcome:
    now = datetime.now(UTC)
    state = folder.renewal(metadata.serial)
    if issued.renewal_info is not None:
        state = heard(state, issued.renewal_info, now)
    # Due until it has succeeded, so that `renew` runs it if this run is interrupted now.
    folder.save_renewal(replace(state, hook_due=metadata.settings.deploys))
    failure = await run_hook(folder, metadata, session.output)
    folder.save_renewal(replace(state, hook_due=failure is not None))
    renew_at = decide(metadata, state, now).at
    document = {"issued": True, "certificate": document_of(folder, metadata, renew_at)}
    if failure is not None:
        session.output.error(f"{failure}. The certificate was issued; `certwright acme renew` runs the hook again.")
        return Outcome({**document, "hook_error": failure}, lines_of(folder, metadata, renew_at), ExitCode.HOOK_FAILED)
    return Outcome(document, lines_of(folder, metadata, renew_at))


async def _dry_run(session: Session, options: IssueOptions, settings: IssuanceSettings, key: CertificateKey) -> Outcome:
    url = server_url(options.staging_server) if options.staging_server else staging_of(settings.server)
    # Agreement to the terms of the CA covers those of its staging server.
    agreed = options.new_account.agreed or session.accounts.at(settings.server).load() is not None
    async with registered(session, url, replace(options.new_account, agreed=agreed)) as client:
        issued = await _issue(session, client, options, settings, key, server=url, on_event=progress(session.output))
    document = {"issued": False, "dry_run": True, "names": list(settings.names), "server": url}
    document["renew_at"] = renewal_by_lifetime(issued.not_before, issued.not_after)
    return Outcome(document, [f"The dry run at {server_name(url)} succeeded; nothing was saved"])


def _key(session: Session, options: IssueOptions) -> CertificateKey:
    if options.csr_file is not None and options.key_file is not None:
        raise UsageError("--csr and --key are mutually exclusive: a CSR already belongs to a key")
    if options.csr_file is not None:
        try:
            return read_csr(read_file(options.csr_file, what="the CSR"))
        except PkiError as error:
            raise CommandError(f"{options.csr_file}: {error}", ExitCode.USAGE) from None
    if options.key_file is not None:
        return session.read_secret(options.key_file, what="the key")
    return key_spec(options.settings.key_type)


def _names(given: tuple[str, ...], key: CertificateKey) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(Identifier.parse(name).value for name in given))
    if isinstance(key, SigningRequest):
        requested = key.names
        if names and set(names) != set(requested):
            raise UsageError(f"The CSR is for other names, {', '.join(requested)}: omit the names")
        return requested
    if not names:
        raise UsageError("Give the names for the certificate: domain names, wildcards, IP addresses; or --csr")
    return names


def _other_options(saved: IssuanceSettings, wanted: IssuanceSettings) -> list[str]:
    """Return the options that differ from the saved settings."""
    options = {
        "solver": "validation options",
        "deploy_hook": "--deploy-hook",
        "reuse_key": "--reuse-key",
        "combined": "--combined",
        "pkcs12": "--pkcs12",
        "pkcs12_password_file": "--pkcs12-password-file",
        "timeout": "--timeout",
        "install_to": "--install-to",
        "install_owner": "--install-owner",
        "install_mode": "--install-mode",
    }
    return [text for name, text in options.items() if getattr(saved, name) != getattr(wanted, name)]


def is_same(saved: IssuanceSettings, wanted: IssuanceSettings) -> bool:
    """Return whether two settings lead to the same certificate, apart from how it is validated and deployed."""
    return set(saved.names) == set(wanted.names) and all(
        getattr(saved, name) == getattr(wanted, name)
        for name in (
            *("server", "key_type", "from_request", "profile", "preferred_chain"),
            *("subject", "usages", "uris", "mailboxes"),
        )
    )
