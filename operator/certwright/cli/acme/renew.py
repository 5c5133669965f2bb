"""`renew`: all certificates of the folder that are due, for cron. One that fails does not stop the others."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import AcmeError, NotOffered, RateLimited, still_to_be_asked
from certwright.acme.renewal_info import RETRY_AFTER_ERROR
from certwright.cli.acme.account_acts import registered
from certwright.cli.acme.certificate_store import CHAIN, KEY, REQUEST
from certwright.cli.acme.connection import open_account
from certwright.cli.acme.deploy_hook import run_hook
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.failures import describe, foreseen, message
from certwright.cli.acme.files import make_folder
from certwright.cli.acme.issuing import document_of, keep, key_spec, progress, staging_of
from certwright.cli.acme.keystore import find_keystore
from certwright.cli.acme.lock import Busy
from certwright.cli.acme.new_account import NewAccount
from certwright.cli.acme.renewal_decision import decide, heard, is_to_be_asked
from certwright.cli.acme.session import Outcome, server_url
from certwright.cli.acme.solving import make_solvers
from certwright.cli.acme.undertaking import under_way
from certwright.client import PreferredChainMissing, leaf_der
from certwright.client import issue as issue_certificate
from certwright.client import renew as renew_certificate
from certwright.pki import read_csr

if TYPE_CHECKING:
    from certwright.acme import Client
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.recipe import Metadata, Recipe, RenewalState
    from certwright.cli.acme.session import Session
    from certwright.client import CertificateKey


_BUSY: Final = "busy"
_COUNTED: Final = ("renewed", "not due", "failed")


@dataclass(frozen=True)
class Renewal:
    """What was asked for.

    Attributes:
        names: Which certificates; none for all.
        force: Renew although it is not time.
        reuse_key: Keep the key, from now on; False makes new ones; None does as before.
        ask_ca: Ask for renewal information.
        random_sleep: The most seconds to wait first.
        dry_run: Renew all at their staging CAs, and keep nothing.
        staging_server: At which, or None for that of each CA.
    """

    names: tuple[str, ...] = ()
    force: bool = False
    reuse_key: bool | None = None
    ask_ca: bool = True
    random_sleep: float = 0.0
    dry_run: bool = False
    staging_server: str | None = None


@dataclass(frozen=True)
class _Result:
    name: str
    state: str
    text: str
    document: dict[str, Any] = field(default_factory=dict)


async def renew(session: Session, wanted: Renewal) -> Outcome:
    """Renew what is due, tell of each certificate, and say by the exit code whether all is well."""
    if wanted.random_sleep:
        seconds = random.SystemRandom().uniform(0, wanted.random_sleep)
        session.output.say(f"Waiting {seconds:.0f} s, so that not all hosts come at once")
        await asyncio.sleep(seconds)
    make_folder(session.folder)
    folders = _selected(session, wanted.names)
    async with AsyncExitStack() as stack:
        run = _Run(session, wanted, stack)
        results = {folder.name: await run.one(folder, seconds=0) for folder in folders}
        # What another run works at is waited for last, so that nothing else has to wait.
        for folder in folders:
            if results[folder.name].state == _BUSY:
                results[folder.name] = await run.one(folder, seconds=session.common.lock_timeout)
    return _outcome(session, wanted, list(results.values()))


class _Run:
    """One run over the folder. A CA is connected to when the first certificate needs it."""

    def __init__(self, session: Session, wanted: Renewal, stack: AsyncExitStack) -> None:
        self._session = session
        self._wanted = wanted
        self._stack = stack
        self._clients: dict[str, Client] = {}

    async def one(self, folder: CertificateFolder, *, seconds: float) -> _Result:
        """Look after one certificate, and never raise what another one could still succeed after.

        Args:
            folder: The certificate.
            seconds: How long to wait for another run that works at it.
        """
        try:
            if self._wanted.dry_run:
                return await self._rehearse(folder)
            async with AsyncExitStack() as stack:
                try:
                    await stack.enter_async_context(self._session.certificate_lock(folder, seconds=seconds))
                except Busy as busy:
                    text = f"left to another certwright acme (process {busy.holder}), which works with it"
                    return _Result(folder.name, _BUSY, text)
                return await self._look_after(folder)
        except Exception as error:
            if not foreseen(error) and self._session.common.debug:
                raise
            self._session.output.error(f"{folder.name}: {message(error)}")
            return _Result(folder.name, "failed", message(error), {"error": describe(error)})

    async def _look_after(self, folder: CertificateFolder) -> _Result:
        metadata = folder.metadata()
        state = folder.renewal(metadata.serial)
        if state.revoked_at is not None:
            return _Result(folder.name, "revoked", "revoked; issue it again if it is needed")
        now = datetime.now(UTC)
        if self._wanted.ask_ca and self._is_to_be_asked(metadata, state, now):
            state = await self._ask_ca(folder, metadata, state, now)
        due = decide(metadata, state, now)
        state = replace(state, looked_at=now)
        folder.save_renewal(state)
        if not due.now and not self._wanted.force:
            hook = await self._overdue_hook(folder, metadata, state)
            document = {"certificate": document_of(folder, metadata, due.at)}
            when = f"{due.at:%Y-%m-%d %H:%M} UTC, {due.reason}"
            if hook is not None:
                return _Result(folder.name, "hook failed", hook, {**document, "hook_error": hook})
            return _Result(folder.name, "waits" if due.waits else "not due", f"at {when}", document)
        self._session.output.say(f"Renewing {folder.name}")
        try:
            return await self._renew(folder, metadata)
        except AcmeError as error:
            retry_at = error.retry_at if isinstance(error, RateLimited) else None
            if retry_at is None and error.retry_after:
                retry_at = now + timedelta(seconds=error.retry_after)
            folder.save_renewal(replace(state, retry_at=retry_at))
            raise

    @staticmethod
    def _is_to_be_asked(metadata: Metadata, state: RenewalState, now: datetime) -> bool:
        return is_to_be_asked(state, now) and still_to_be_asked(not_after=metadata.not_after, replaced=False, now=now)

    async def _ask_ca(
        self, folder: CertificateFolder, metadata: Metadata, state: RenewalState, now: datetime
    ) -> RenewalState:
        try:
            client = await self._client(metadata.recipe.server)
            return heard(state, await client.fetch_renewal_info(leaf_der(folder.read(CHAIN))), now)
        except NotOffered:
            return replace(state, ask_again=now + timedelta(seconds=RETRY_AFTER_ERROR))
        except AcmeError as error:
            # The last word holds, or the lifetime: no reason to fail (RFC 9773 section 4.3.3).
            self._session.output.say(f"{folder.name}: the CA does not say when to renew: {error}")
            return replace(state, ask_again=now + timedelta(seconds=RETRY_AFTER_ERROR))

    async def _renew(self, folder: CertificateFolder, metadata: Metadata) -> _Result:
        recipe = metadata.recipe
        if self._wanted.reuse_key is not None:
            recipe = replace(recipe, reuse_key=self._wanted.reuse_key)
        folder.prepare()
        client = await self._client(recipe.server)
        key = _key(folder, recipe)
        keystore = await find_keystore(self._session, recipe)
        async with under_way(self._session, folder, recipe, client, key) as undertaking:
            try:
                issued = await renew_certificate(
                    client,
                    folder.read(CHAIN),
                    solvers=make_solvers(recipe.solver, self._session),
                    key=undertaking.key,
                    profile=recipe.profile,
                    preferred_chain=recipe.preferred_chain,
                    resume=undertaking.resume,
                    on_event=undertaking.on_event,
                    timeout=recipe.timeout,
                )
            except PreferredChainMissing as error:
                # CAs retire roots. A certificate that expires for want of a chain would be worse than another chain.
                self._session.output.warn(f"{folder.name}: {error}. The CA's default chain is used")
                issued = error.certificate
            renewed = keep(folder, recipe, issued, key, client, keystore=keystore)
        now = datetime.now(UTC)
        state = folder.renewal(renewed.serial)
        if issued.renewal_info is not None:
            state = heard(state, issued.renewal_info, now)
        folder.save_renewal(replace(state, hook_due=recipe.deploy_hook is not None))
        failure = await self._overdue_hook(folder, renewed, replace(state, hook_due=recipe.deploy_hook is not None))
        document: dict[str, Any] = {"certificate": document_of(folder, renewed, decide(renewed, state, now).at)}
        if failure is not None:
            document["hook_error"] = failure
        text = f"valid until {renewed.not_after:%Y-%m-%d %H:%M} UTC" + (f"; {failure}" if failure else "")
        return _Result(folder.name, "renewed", text, document)

    async def _overdue_hook(self, folder: CertificateFolder, metadata: Metadata, state: RenewalState) -> str | None:
        if not state.hook_due:
            return None
        failure = await run_hook(folder, metadata, self._session.output)
        folder.save_renewal(replace(state, hook_due=failure is not None))
        if failure is not None:
            self._session.output.error(f"{failure}. It is run again by the next `certwright acme renew`.")
        return failure

    async def _rehearse(self, folder: CertificateFolder) -> _Result:
        recipe = folder.metadata().recipe
        url = server_url(self._wanted.staging_server) if self._wanted.staging_server else staging_of(recipe.server)
        if url not in self._clients:
            # Who agreed to the terms of the CA agreed to those of its test bench.
            opened = registered(self._session, url, NewAccount(agreed=True))
            self._clients[url] = await self._stack.enter_async_context(opened)
        await issue_certificate(
            self._clients[url],
            recipe.names,
            solvers=make_solvers(recipe.solver, self._session),
            key=_key(folder, recipe),
            profile=recipe.profile,
            on_event=progress(self._session.output),
            timeout=recipe.timeout,
        )
        return _Result(folder.name, "dry run", "would be renewed", {"server": url})

    async def _client(self, server: str) -> Client:
        if server not in self._clients:
            self._clients[server] = await self._stack.enter_async_context(open_account(self._session, server))
        return self._clients[server]


def _key(folder: CertificateFolder, recipe: Recipe) -> CertificateKey:
    if recipe.from_request:
        return read_csr(folder.read(REQUEST))
    return folder.read(KEY) if recipe.reuse_key else key_spec(recipe.key_type)


def _selected(session: Session, names: tuple[str, ...]) -> list[CertificateFolder]:
    if not names:
        return list(session.certificates.all())
    folders = [session.certificates.at(name) for name in names]
    for folder in folders:
        if not folder.exists():
            known = ", ".join(known.name for known in session.certificates.all()) or "none"
            raise UsageError(f"There is no certificate {folder.name} in {session.folder}; there are: {known}")
    return folders


def _outcome(session: Session, wanted: Renewal, results: list[_Result]) -> Outcome:
    counts = Counter(result.state for result in results)
    code = ExitCode.DONE
    if counts["failed"]:
        code = ExitCode.RENEWALS_FAILED
    elif wanted.names and counts[_BUSY]:
        # Who names a certificate wants to know; for cron it is in good hands.
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
    width = max(len(result.name) for result in results)
    lines = [f"{result.name:<{width}}  {result.state:<11}  {result.text}" for result in results]
    shown = dict.fromkeys((*_COUNTED, *counts))
    summary = ", ".join(f"{counts[state]} {state}" for state in shown)
    kind = "certificate" if len(results) == 1 else "certificates"
    return Outcome(document, [*lines, "", f"{len(results)} {kind}: {summary}"], code)
