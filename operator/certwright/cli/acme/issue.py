"""`issue`: a certificate for names, or for a request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from certwright.acme import Identifier
from certwright.cli.acme.account_acts import registered
from certwright.cli.acme.deploy_hook import run_hook
from certwright.cli.acme.exits import CommandError, ExitCode, UsageError
from certwright.cli.acme.files import read_file
from certwright.cli.acme.issuing import document_of, keep, key_spec, lines_of, progress, staging_of
from certwright.cli.acme.keystore import find_keystore
from certwright.cli.acme.renewal_decision import by_lifetime, decide, heard
from certwright.cli.acme.session import Outcome, server_name, server_url
from certwright.cli.acme.solver_spec import anchored
from certwright.cli.acme.solving import make_solvers
from certwright.cli.acme.undertaking import under_way
from certwright.client import issue as issue_certificate
from certwright.dns import DnsView
from certwright.pki import PkiError, SigningRequest, read_csr

if TYPE_CHECKING:
    from pathlib import Path

    from certwright.acme import Client
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.new_account import NewAccount
    from certwright.cli.acme.recipe import Metadata, Recipe
    from certwright.cli.acme.session import Session
    from certwright.client import CertificateKey, IssuedCertificate, OnEvent


@dataclass(frozen=True)
class Issuance:
    """What counts for this issuance only.

    Attributes:
        recipe: How to issue, now and at each renewal; without the CA, which the session knows.
        terms: What a new account may need.
        name: What the certificate is called; None for its first name.
        key_file: The key to use, or None for a new one.
        csr_file: The request to use, or None.
        not_before: When it should begin to be valid, or None.
        not_after: When it should end, or None.
        force: Issue although there is a good one.
        dry_run: Issue at a staging CA, and keep nothing.
        staging_server: At which, or None for that of the CA.
        check_caa: Look at CAA records first.
    """

    recipe: Recipe
    terms: NewAccount
    name: str | None = None
    key_file: Path | None = None
    csr_file: Path | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    force: bool = False
    dry_run: bool = False
    staging_server: str | None = None
    check_caa: bool = False


async def issue(session: Session, wanted: Issuance) -> Outcome:
    """Issue a certificate, keep it, and run its deploy hook."""
    key = _key(session, wanted)
    recipe = replace(
        wanted.recipe,
        names=_names(wanted.recipe.names, key),
        server=session.server(),
        solver=replace(wanted.recipe.solver, solvers=tuple(map(anchored, wanted.recipe.solver.solvers))),
        from_request=isinstance(key, SigningRequest),
    )
    # Whatever is wrong with the command line is said before anything is asked of the CA.
    make_solvers(recipe.solver, session)
    if recipe.pkcs12 is not None and recipe.from_request:
        raise UsageError("--pkcs12 needs the private key, which is elsewhere with --csr")
    if wanted.dry_run:
        return await _rehearse(session, wanted, recipe, key)
    folder = session.certificates.at(wanted.name or session.certificates.default_name(recipe.names[0]))
    async with session.certificate_lock(folder):
        if folder.exists() and not wanted.force:
            metadata = folder.metadata()
            state = folder.renewal(metadata.serial)
            due = decide(metadata, state, datetime.now(UTC))
            good = not due.now and state.revoked_at is None
            if good and _is_same(metadata.recipe, recipe) and wanted.key_file is None:
                news = f"There is a good certificate already; --force issues another one. It is {folder.name}"
                if others := _other_options(metadata.recipe, recipe):
                    session.output.warn(f"It was issued with other options, which stay: {', '.join(others)}")
                document = {"issued": False, "certificate": document_of(folder, metadata, due.at)}
                return Outcome(document, [news, *lines_of(folder, metadata, due.at)])
        keystore = await find_keystore(session, recipe)
        async with registered(session, recipe.server, wanted.terms) as client:
            folder.prepare()
            times = {"not_before": wanted.not_before, "not_after": wanted.not_after}
            async with under_way(session, folder, recipe, client, key, **times) as undertaking:
                issued = await _issue(
                    session,
                    client,
                    wanted,
                    recipe,
                    undertaking.key,
                    on_event=undertaking.on_event,
                    resume=undertaking.resume,
                )
                metadata = keep(folder, recipe, issued, key, client, keystore=keystore)
        return await _finish(session, folder, metadata, issued)


async def _issue(
    session: Session,
    client: Client,
    wanted: Issuance,
    recipe: Recipe,
    key: CertificateKey,
    *,
    on_event: OnEvent,
    resume: str | None = None,
) -> IssuedCertificate:
    return await issue_certificate(
        client,
        recipe.names,
        solvers=make_solvers(recipe.solver, session),
        key=key,
        profile=recipe.profile,
        not_before=wanted.not_before,
        not_after=wanted.not_after,
        preferred_chain=recipe.preferred_chain,
        caa_view=DnsView(resolvers=recipe.solver.resolvers or None) if wanted.check_caa else None,
        resume=resume,
        on_event=on_event,
        timeout=recipe.timeout,
    )


async def _finish(
    session: Session, folder: CertificateFolder, metadata: Metadata, issued: IssuedCertificate
) -> Outcome:
    now = datetime.now(UTC)
    state = folder.renewal(metadata.serial)
    if issued.renewal_info is not None:
        state = heard(state, issued.renewal_info, now)
    # Due until it has succeeded: a run that is ended now leaves it to `renew`.
    folder.save_renewal(replace(state, hook_due=metadata.recipe.deploy_hook is not None))
    failure = await run_hook(folder, metadata, session.output)
    folder.save_renewal(replace(state, hook_due=failure is not None))
    renew_at = decide(metadata, state, now).at
    document = {"issued": True, "certificate": document_of(folder, metadata, renew_at)}
    if failure is not None:
        session.output.error(f"{failure}. The certificate is there; `certwright acme renew` runs the hook again.")
        return Outcome({**document, "hook_error": failure}, lines_of(folder, metadata, renew_at), ExitCode.HOOK_FAILED)
    return Outcome(document, lines_of(folder, metadata, renew_at))


async def _rehearse(session: Session, wanted: Issuance, recipe: Recipe, key: CertificateKey) -> Outcome:
    url = server_url(wanted.staging_server) if wanted.staging_server else staging_of(recipe.server)
    # Who agreed to the terms of the CA agreed to those of its test bench.
    agreed = wanted.terms.agreed or session.accounts.at(recipe.server).load() is not None
    async with registered(session, url, replace(wanted.terms, agreed=agreed)) as client:
        issued = await _issue(session, client, wanted, recipe, key, on_event=progress(session.output))
    document = {"issued": False, "dry_run": True, "names": list(recipe.names), "server": url}
    document["renew_at"] = by_lifetime(issued.not_before, issued.not_after)
    return Outcome(document, [f"The dry run at {server_name(url)} succeeded; nothing was kept"])


def _key(session: Session, wanted: Issuance) -> CertificateKey:
    if wanted.csr_file is not None and wanted.key_file is not None:
        raise UsageError("--csr and --key exclude each other: a request was made with its key already")
    if wanted.csr_file is not None:
        try:
            return read_csr(read_file(wanted.csr_file, what="the request"))
        except PkiError as error:
            raise CommandError(f"{wanted.csr_file}: {error}", ExitCode.USAGE) from None
    if wanted.key_file is not None:
        return session.read_secret(wanted.key_file, what="the key")
    return key_spec(wanted.recipe.key_type)


def _names(given: tuple[str, ...], key: CertificateKey) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(Identifier.parse(name).value for name in given))
    if isinstance(key, SigningRequest):
        requested = (*key.dns_names, *key.ip_addresses)
        if names and set(names) != set(requested):
            raise UsageError(f"The request is for other names, {', '.join(requested)}: leave the names out")
        return requested
    if not names:
        raise UsageError("Say what the certificate is for: domain names, wildcards, IP addresses; or give --csr")
    return names


def _other_options(kept: Recipe, wanted: Recipe) -> list[str]:
    """Return the options that would have counted if it had been issued now."""
    options = {
        "solver": "how the names are proven",
        "deploy_hook": "--deploy-hook",
        "reuse_key": "--reuse-key",
        "combined": "--combined",
        "pkcs12": "--pkcs12",
        "pkcs12_password_file": "--pkcs12-password-file",
        "timeout": "--timeout",
    }
    return [text for name, text in options.items() if getattr(kept, name) != getattr(wanted, name)]


def _is_same(kept: Recipe, wanted: Recipe) -> bool:
    """Whether what is kept is what is wanted, apart from how it is proven and deployed."""
    return set(kept.names) == set(wanted.names) and all(
        getattr(kept, name) == getattr(wanted, name)
        for name in ("server", "key_type", "from_request", "profile", "preferred_chain")
    )
