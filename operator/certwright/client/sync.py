"""`certwright.client` for programs without asyncio, such as scripts and threaded servers.

    with connect("letsencrypt-staging") as client:
        client.register(contact=["mailto:you@example.com"], terms_of_service_agreed=True)
        certificate = client.issue(["example.com"], solvers=[Webroot("/var/www/html")])

A background thread runs the event loop, and several threads may make calls. Callbacks run in the background thread.

An interruption cancels a call: Ctrl-C, or an exception from a signal handler, such as `sys.exit`. The challenge
responses are removed before the exception propagates, which takes two minutes at most; a second interruption aborts
this. The end of the `with` block cancels the calls of other threads in the same way.

Threads do not survive a fork: open a client in each process that uses one; in a server with worker processes, after
the fork.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from certwright.acme import AccountCredentials, Pace, RevocationReason, probe_keys
from certwright.client.certificate import leaf_der
from certwright.client.connect import connect as connect_async
from certwright.client.discover import discover
from certwright.client.events import ignore
from certwright.client.issue import DEFAULT_TIMEOUT, issue, renew
from certwright.client.key import KeySpec
from certwright.client.revoke import revoke
from certwright.dns.providers import open_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from datetime import datetime

    from certwright.acme import (
        Account,
        AccountKey,
        Budget,
        Client,
        ClientCertificate,
        Directory,
        ExternalAccountBinding,
        HeldKey,
        Identifier,
        RenewalInfo,
        RequestRecord,
        Timeouts,
        Transport,
    )
    from certwright.challenges.solver import Solvers
    from certwright.client.certificate import IssuedCertificate
    from certwright.client.discover import Offer
    from certwright.client.events import OnEvent
    from certwright.client.key import CertificateKey
    from certwright.dns import DnsView, Provider
    from certwright.dns.provider import ProviderConfig
    from certwright.pki import CertificateContents

_T = TypeVar("_T")

# How long an interruption waits for the cleanup.
_INTERRUPTED_SECONDS: Final = 150.0

# How long closing waits for remaining tasks in the loop, none of which need cleanup.
_LAST_SECONDS: Final = 5.0


class BackgroundLoop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._process = os.getpid()
        self._calls: set[concurrent.futures.Future[Any]] = set()
        self._is_ending = self._is_abandoned = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="certwright", daemon=True)
        self._thread.start()

    @property
    def is_here(self) -> bool:
        """Whether the thread belongs to this process, not to the one that it was forked from."""
        return os.getpid() == self._process

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in the loop and wait for its result; interrupting the caller cancels it.

        Raises:
            RuntimeError: It was called by a callback in the loop's own thread, which would deadlock; after a fork; or
                after the client was closed; or the client was closed during the call.
        """
        refusal = None
        if not self.is_here:
            refusal = "This client was opened before the process was forked; open one in each process"
        elif threading.current_thread() is self._thread:
            refusal = "A callback cannot call this client: it would wait for itself"
        elif self._is_ending:
            refusal = "This client is closed: its `with` block has ended"
        if refusal is not None:
            work.close()
            raise RuntimeError(refusal)
        return self._run(work)

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._calls.add(future)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if self._is_ending:
                raise RuntimeError("The client was closed during this call") from None
            raise
        except BaseException:
            # Of the work itself, or of a signal that came while it was waited for.
            if not future.done():
                self._cancel({future})
            raise
        finally:
            self._calls.discard(future)

    def _cancel(self, calls: set[concurrent.futures.Future[Any]]) -> None:
        for call in calls:
            call.cancel()
        try:
            concurrent.futures.wait(calls, timeout=_INTERRUPTED_SECONDS)
        except BaseException:
            self._is_abandoned = True
            raise

    def end(self, last: Coroutine[Any, Any, object]) -> None:
        """Cancel what other threads still wait for, and when it is cleaned up, run what has to be done last."""
        self._is_ending = True
        if not self.is_here:
            last.close()
            return
        if not self._is_abandoned:
            self._cancel(set(self._calls))
        self._run(last)

    def close(self) -> None:
        """Stop the loop and its thread."""
        self._is_ending = True
        if not self.is_here:
            return
        self._run(_cancel_others())
        if not self._is_abandoned:
            self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    """Cancel all tasks of this loop but this one."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=_LAST_SECONDS)


class SyncClient:
    """One account at one CA, like `Client`, with `issue` and related functions as methods. All may raise `AcmeError`.

    Attributes:
        client: The asynchronous client, for everything else; use it with `run`.
    """

    def __init__(self, client: Client, loop: BackgroundLoop) -> None:
        self.client = client
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run any coroutine of the package: `client.run(client.client.fetch_order(url))`."""
        return self._loop.run(work)

    @property
    def credentials(self) -> AccountCredentials:
        """The credentials of the account, to be stored."""
        return AccountCredentials.of(self.client)

    def directory(self) -> Directory:
        """Return what the server offers."""
        return self.run(self.client.server.directory())

    def register(
        self,
        *,
        contact: Sequence[str] = (),
        terms_of_service_agreed: bool = False,
        external_account_binding: ExternalAccountBinding | None = None,
    ) -> Account:
        """Create the account of this key, or find it; see `AccountClient.register`."""
        return self.run(
            self.client.register(
                contact=contact,
                terms_of_service_agreed=terms_of_service_agreed,
                external_account_binding=external_account_binding,
            )
        )

    def find_account(self) -> Account:
        """Find the account of this key without creating one; see `AccountClient.find_account`."""
        return self.run(self.client.find_account())

    def fetch_account(self) -> Account:
        """Fetch the account."""
        return self.run(self.client.fetch_account())

    def update_account(self, *, contact: Sequence[str]) -> Account:
        """Replace the contacts of the account."""
        return self.run(self.client.update_account(contact=contact))

    def agree_to_terms(self) -> Account:
        """Agree to the current terms of service."""
        return self.run(self.client.agree_to_terms())

    def change_key(self, new_key: AccountKey) -> None:
        """Replace the account key; see `AccountClient.change_key` for what to store first."""
        self.run(self.client.change_key(new_key))

    def probe_keys(self, *, old: AccountKey, new: AccountKey) -> HeldKey:
        """Find out which key the account uses after an interrupted rollover."""
        return self.run(probe_keys(self.client, old=old, new=new))

    def deactivate_account(self) -> Account:
        """Deactivate the account permanently."""
        return self.run(self.client.deactivate_account())

    def list_orders(self, *, limit: int = 1000) -> tuple[str, ...]:
        """Return the URLs of the account's orders; see `AccountClient.list_orders`."""
        return self.run(self.client.list_orders(limit=limit))

    def discover(self, names: Sequence[str | Identifier], *, profile: str | None = None) -> tuple[Offer, ...]:
        """Find out which challenges the CA offers; see `discover`, which places an order."""
        return self.run(discover(self.client, names, profile=profile))

    def issue(
        self,
        names: Sequence[str | Identifier],
        *,
        solvers: Solvers,
        key: CertificateKey = KeySpec(),  # noqa: B008 - immutable
        common_name: str | None = None,
        contents: CertificateContents | None = None,
        profile: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        preferred_chain: str | None = None,
        replaces: bytes | None = None,
        resume: str | None = None,
        budget: Budget | None = None,
        caa_view: DnsView | None = None,
        on_event: OnEvent = ignore,
        pace: Pace = Pace(),  # noqa: B008 - immutable
        timeout: float = DEFAULT_TIMEOUT,
    ) -> IssuedCertificate:
        """Issue a certificate; see `issue`."""
        return self.run(
            issue(
                self.client,
                names,
                solvers=solvers,
                key=key,
                common_name=common_name,
                contents=contents,
                profile=profile,
                not_before=not_before,
                not_after=not_after,
                preferred_chain=preferred_chain,
                replaces=replaces,
                resume=resume,
                budget=budget,
                caa_view=caa_view,
                on_event=on_event,
                pace=pace,
                timeout=timeout,
            )
        )

    def renew(
        self,
        certificate_pem: bytes,
        *,
        solvers: Solvers,
        names: Sequence[str | Identifier] | None = None,
        key: CertificateKey = KeySpec(),  # noqa: B008 - immutable
        contents: CertificateContents | None = None,
        profile: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        preferred_chain: str | None = None,
        resume: str | None = None,
        budget: Budget | None = None,
        caa_view: DnsView | None = None,
        on_event: OnEvent = ignore,
        pace: Pace = Pace(),  # noqa: B008 - immutable
        timeout: float = DEFAULT_TIMEOUT,
    ) -> IssuedCertificate:
        """Renew a certificate; see `renew`."""
        return self.run(
            renew(
                self.client,
                certificate_pem,
                solvers=solvers,
                names=names,
                key=key,
                contents=contents,
                profile=profile,
                not_before=not_before,
                not_after=not_after,
                preferred_chain=preferred_chain,
                resume=resume,
                budget=budget,
                caa_view=caa_view,
                on_event=on_event,
                pace=pace,
                timeout=timeout,
            )
        )

    @contextmanager
    def open_provider(
        self, which: str | ProviderConfig, *, view: DnsView | None = None, **settings: Any
    ) -> Iterator[Provider]:
        """Open a DNS provider for solvers of this client; see `certwright.dns.providers.open_provider`."""
        opened = open_provider(which, view=view, **settings)
        provider = self._loop.run(_enter(opened))
        try:
            yield provider
        finally:
            if self._loop.is_here:
                self._loop.run(_leave(opened))

    def revoke(
        self, certificate_pem: bytes, *, key: bytes | None = None, reason: RevocationReason | None = None
    ) -> bool:
        """Revoke a certificate with the account key or its own; see `revoke`."""
        return self.run(revoke(self.client, certificate_pem, key=key, reason=reason))

    def fetch_renewal_info(self, certificate_pem: bytes) -> RenewalInfo:
        """Fetch the CA's renewal information for a certificate; see `fetch_renewal_info`."""
        return self.run(self.client.fetch_renewal_info(leaf_der(certificate_pem)))


@contextmanager
def connect(
    ca: str | None = None,
    *,
    account: AccountCredentials | AccountKey | None = None,
    transport: Transport | None = None,
    ca_bundle: str | None = None,
    proxy: str | None = None,
    client_certificate: ClientCertificate | None = None,
    timeouts: Timeouts | None = None,
    http2: bool = False,
    trust_env: bool = True,
    on_request: Callable[[RequestRecord], None] | None = None,
) -> Iterator[SyncClient]:
    """Open a client, and close it at the end of the block; see `certwright.client.connect` for the arguments."""
    loop = BackgroundLoop()
    try:
        opened: AbstractAsyncContextManager[Client] = connect_async(
            ca,
            account=account,
            transport=transport,
            ca_bundle=ca_bundle,
            proxy=proxy,
            client_certificate=client_certificate,
            timeouts=timeouts,
            http2=http2,
            trust_env=trust_env,
            on_request=on_request,
        )
        client = loop.run(_enter(opened))
        try:
            yield SyncClient(client, loop)
        finally:
            loop.end(_leave(opened))
    finally:
        loop.close()


async def _enter(opened: AbstractAsyncContextManager[_T]) -> _T:
    return await opened.__aenter__()


async def _leave(opened: AbstractAsyncContextManager[Any]) -> None:
    await opened.__aexit__(None, None, None)
