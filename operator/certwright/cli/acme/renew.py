"""`renew`: all certificates in the folder that are due, for cron. A failure does not stop the others."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import AcmeError, BudgetExhausted, NotOffered, RateLimited, still_to_be_asked
from certwright.acme.renewal_info import RETRY_AFTER_ERROR
from certwright.cli.acme.account import NewAccount, registered
from certwright.cli.acme.certificate_store import CHAIN, KEY, REQUEST
from certwright.cli.acme.connection import open_account
from certwright.cli.acme.deploy_hook import run_hook
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.failures import describe, is_expected, message
from certwright.cli.acme.files import make_folder
from certwright.cli.acme.issuance import contents_of, document_of, key_spec, save, staging_of
from certwright.cli.acme.keystore import find_keystore
from certwright.cli.acme.lock import Busy
from certwright.cli.acme.pending_issuance import pending_issuance, progress
from certwright.cli.acme.renewal_decision import decide, early_renewals, heard, is_to_be_asked
from certwright.cli.acme.saved_budget import SavedBudget
from certwright.cli.acme.session import Outcome, server_url
from certwright.cli.acme.solvers import make_solvers
from certwright.client import PreferredChainMissing, leaf_der
from certwright.client import issue as issue_certificate
from certwright.client import renew as renew_certificate
from certwright.pki import read_csr

if TYPE_CHECKING:
    from certwright.acme import Client
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.session import Session
    from certwright.cli.acme.settings import IssuanceSettings, Metadata, RenewalState
    from certwright.client import CertificateKey


LONGEST_ASKED: Final = 3600.0
"""Seconds of a Retry-After that are respected where it is about no limit: some CAs ask for a day and need a minute."""

_BUSY: Final = "busy"
_COUNTED: Final = ("renewed", "not due", "failed")
_UNEVENTFUL: Final = frozenset({"not due", "waits", "revoked", _BUSY})
"""States that cron need not report twice a day: `--quiet` leaves them out."""


@dataclass(frozen=True)
class RenewOptions:
    """The options of `renew`.

    Attributes:
        names: Which certificates; none for all.
        force: Renew even if not due yet.
        reuse_key: Keep the key, from now on; False makes new ones; None does as before.
        ask_ca: Ask for renewal information.
        random_sleep: The most seconds to wait first.
        dry_run: Renew everything from staging CAs and save nothing.
        staging_server: That CA, or None for each CA's own.
        settings: Those of the new certificate, if they are to be others from now on.
        ignore_limits: Order even if a rate limit of a CA is used up, or it accepts no orders yet.
    """

    names: tuple[str, ...] = ()
    force: bool = False
    reuse_key: bool | None = None
    ask_ca: bool = True
    random_sleep: float = 0.0
    dry_run: bool = False
    staging_server: str | None = None
    settings: IssuanceSettings | None = None
    ignore_limits: bool = False


@dataclass(frozen=True)
class _Result:
    name: str
    state: str
    text: str
    document: dict[str, Any] = field(default_factory=dict)


async def renew(session: Session, options: RenewOptions) -> Outcome:
    """Renew what is due, and return the state of each certificate."""
    if options.random_sleep:
        seconds = random.SystemRandom().uniform(0, options.random_sleep)
        session.output.say(f"Waiting {seconds:.0f} s, to spread the load on the CA")
        await asyncio.sleep(seconds)
    make_folder(session.folder)
    session.certificates.finish_deletions()
    folders = _selected(session, options.names)
    async with AsyncExitStack() as stack:
        run = _Run(session, options, stack)
        results = {folder.name: await run.one(folder, seconds=0) for folder in folders}
        # Wait last for certificates that another run is using, so that they do not delay the others.
        for folder in folders:
            if results[folder.name].state == _BUSY:
                results[folder.name] = await run.one(folder, seconds=session.common.lock_timeout)
    return _outcome(session, options, list(results.values()))


class _Run:
    """One run over the folder. Connects to a CA when the first certificate needs it."""

    def __init__(self, session: Session, options: RenewOptions, stack: AsyncExitStack) -> None:
        self._session = session
        self._options = options
        self._stack = stack
        self._clients: dict[str, Client] = {}

    async def one(self, folder: CertificateFolder, *, seconds: float) -> _Result:
        """Renew one certificate if it is due. Return errors as a result, because the others may still succeed.

        Args:
            folder: The certificate.
            seconds: How long to wait for another run that is using it.
        """
        try:
            if self._options.dry_run:
                return await self._dry_run(folder)
            async with AsyncExitStack() as stack:
                try:
                    await stack.enter_async_context(self._session.certificate_lock(folder, seconds=seconds))
                except Busy as busy:
                    text = f"left to another certwright acme (process {busy.holder}) that is using it"
                    return _Result(folder.name, _BUSY, text)
                return await self._renew_if_due(folder)
        except Exception as error:
            if not is_expected(error) and self._session.common.debug:
                raise
            self._session.output.error(f"{folder.name}: {message(error)}")
            return _Result(folder.name, "failed", message(error), {"error": describe(error)})

    async def _renew_if_due(self, folder: CertificateFolder) -> _Result:
        metadata = folder.metadata()
        state = folder.renewal(metadata.serial)
        if state.revoked_at is not None:
            return _Result(folder.name, "revoked", "revoked; issue it again if you still need it")
        now = datetime.now(UTC)
        if self._options.ask_ca and self._is_to_be_asked(metadata, state, now):
            state = await self._ask_ca(folder, metadata, state, now)
        due = decide(metadata, state, now)
        state = replace(state, looked_at=now)
        folder.save_renewal(state)
        renewed = due.now or self._options.force or (due.waits and self._options.ignore_limits)
        if not renewed:
            hook = await self._run_due_hook(folder, metadata, state)
            document = {"certificate": document_of(folder, metadata, due.at)}
            when = f"{due.at:%Y-%m-%d %H:%M} UTC, {due.reason}"
            if hook is not None:
                return _Result(folder.name, "hook failed", hook, {**document, "hook_error": hook})
            return _Result(folder.name, "waits" if due.waits else "not due", f"at {when}", document)
        self._session.output.say(f"Renewing {folder.name}")
        try:
            return await self._renew(folder, metadata, early=early_renewals(metadata, state, now))
        except AcmeError as error:
            folder.save_renewal(replace(state, retry_at=_retry_at(error, datetime.now(UTC))))
            raise

    @staticmethod
    def _is_to_be_asked(metadata: Metadata, state: RenewalState, now: datetime) -> bool:
        return is_to_be_asked(state, now) and still_to_be_asked(not_after=metadata.not_after, replaced=False, now=now)

    async def _ask_ca(
        self, folder: CertificateFolder, metadata: Metadata, state: RenewalState, now: datetime
    ) -> RenewalState:
        try:
            client = await self._client(metadata.settings.server)
            return heard(state, await client.fetch_renewal_info(leaf_der(folder.read(CHAIN))), now)
        except NotOffered:
            return replace(state, ask_again=now + timedelta(seconds=RETRY_AFTER_ERROR))
        except AcmeError as error:
            # Not a failure: the last response, or the lifetime, still applies (RFC 9773 section 4.3.3).
            self._session.output.say(f"{folder.name}: cannot ask the CA when to renew: {error}")
            return replace(state, ask_again=now + timedelta(seconds=RETRY_AFTER_ERROR))

    async def _renew(self, folder: CertificateFolder, metadata: Metadata, *, early: int) -> _Result:
        settings = self._options.settings or metadata.settings
        if self._options.reuse_key is not None:
            settings = replace(settings, reuse_key=self._options.reuse_key)
        folder.prepare()
        client = await self._client(settings.server)
        key = _key(folder, settings)
        keystore = await find_keystore(self._session, settings)
        async with pending_issuance(self._session, folder, settings, client, key) as issuance:
            try:
                issued = await renew_certificate(
                    client,
                    folder.read(CHAIN),
                    names=settings.names,
                    solvers=make_solvers(settings.solver, self._session),
                    key=issuance.key,
                    contents=contents_of(settings),
                    profile=settings.profile,
                    preferred_chain=settings.preferred_chain,
                    resume=issuance.resume,
                    budget=self._budget(settings.server),
                    on_event=issuance.on_event,
                    timeout=settings.timeout,
                )
            except PreferredChainMissing as error:
                # CAs retire roots. Another chain is better than an expired certificate.
                self._session.output.warn(f"{folder.name}: {error}. Using the CA's default chain")
                issued = error.certificate
            renewed = save(folder, settings, issued, key, client, keystore=keystore)
        now = datetime.now(UTC)
        state = replace(folder.renewal(renewed.serial), early_renewals=early)
        if issued.renewal_info is not None:
            state = heard(state, issued.renewal_info, now)
        folder.save_renewal(replace(state, hook_due=settings.deploys))
        failure = await self._run_due_hook(folder, renewed, replace(state, hook_due=settings.deploys))
        document: dict[str, Any] = {"certificate": document_of(folder, renewed, decide(renewed, state, now).at)}
        if failure is not None:
            document["hook_error"] = failure
        text = f"valid until {renewed.not_after:%Y-%m-%d %H:%M} UTC" + (f"; {failure}" if failure else "")
        return _Result(folder.name, "renewed", text, document)

    async def _run_due_hook(self, folder: CertificateFolder, metadata: Metadata, state: RenewalState) -> str | None:
        if not state.hook_due:
            return None
        failure = await run_hook(folder, metadata, self._session.output)
        folder.save_renewal(replace(state, hook_due=failure is not None))
        if failure is not None:
            self._session.output.error(f"{failure}. The next `certwright acme renew` runs it again.")
        return failure

    async def _dry_run(self, folder: CertificateFolder) -> _Result:
        settings = folder.metadata().settings
        url = server_url(self._options.staging_server) if self._options.staging_server else staging_of(settings.server)
        if url not in self._clients:
            # Agreement to the terms of the CA covers those of its staging server.
            opened = registered(self._session, url, NewAccount(agreed=True))
            self._clients[url] = await self._stack.enter_async_context(opened)
        await issue_certificate(
            self._clients[url],
            settings.names,
            solvers=make_solvers(settings.solver, self._session),
            key=_key(folder, settings),
            contents=contents_of(settings),
            profile=settings.profile,
            budget=self._budget(url),
            on_event=progress(self._session.output),
            timeout=settings.timeout,
        )
        return _Result(folder.name, "dry run", "would be renewed", {"server": url})

    def _budget(self, server: str) -> SavedBudget:
        return SavedBudget(self._session, server, ignored=self._options.ignore_limits)

    async def _client(self, server: str) -> Client:
        if server not in self._clients:
            self._clients[server] = await self._stack.enter_async_context(open_account(self._session, server))
        return self._clients[server]


def _retry_at(error: AcmeError, now: datetime) -> datetime | None:
    """Return when to try again if the CA said so."""
    if isinstance(error, RateLimited | BudgetExhausted) and error.retry_at is not None:
        return error.retry_at
    if not error.retry_after:
        return None
    seconds = error.retry_after if isinstance(error, RateLimited) else min(error.retry_after, LONGEST_ASKED)
    return now + timedelta(seconds=seconds)


def _key(folder: CertificateFolder, settings: IssuanceSettings) -> CertificateKey:
    if settings.from_request:
        return read_csr(folder.read(REQUEST))
    return folder.read(KEY) if settings.reuse_key else key_spec(settings.key_type)


def _selected(session: Session, names: tuple[str, ...]) -> list[CertificateFolder]:
    if not names:
        return list(session.certificates.all())
    folders = [session.certificates.named(name) for name in names]
    for folder in folders:
        if not folder.exists():
            raise UsageError(
                f"There is no certificate {folder.name} in {session.folder}, which has: {session.known_names()}"
            )
    return folders


def _outcome(session: Session, options: RenewOptions, results: list[_Result]) -> Outcome:
    counts = Counter(result.state for result in results)
    code = ExitCode.DONE
    if counts["failed"]:
        code = ExitCode.RENEWALS_FAILED
    elif options.names and counts[_BUSY]:
        # An error only if the certificate was named: for cron, the other run takes care of it.
        code = ExitCode.LOCKED
    elif any("hook_error" in result.document for result in results):
        code = ExitCode.HOOK_FAILED
    document = {
        **{state.replace(" ", "_"): counts[state] for state in _COUNTED},
        "certificates": [
            {"name": result.name, "state": result.state, "message": result.text, **result.document}
            for result in results
        ],
    }
    if not results:
        return Outcome(document, [f"There are no certificates in {session.folder}"])
    if session.common.quiet and not options.names:
        eventful = [result for result in results if result.state not in _UNEVENTFUL]
        return Outcome(document, _lines(eventful), code)
    shown = dict.fromkeys((*_COUNTED, *counts))
    summary = ", ".join(f"{counts[state]} {state}" for state in shown)
    kind = "certificate" if len(results) == 1 else "certificates"
    return Outcome(document, [*_lines(results), "", f"{len(results)} {kind}: {summary}"], code)


def _lines(results: list[_Result]) -> list[str]:
    width = max((len(result.name) for result in results), default=0)
    return [f"{result.name:<{width}}  {result.state:<11}  {result.text}" for result in results]
