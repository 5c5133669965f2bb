"""A certificate in one call."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from certwright.acme import (
    AccountKey,
    AcmeError,
    BudgetExhausted,
    ConnectionFailed,
    Identifier,
    InvalidAccountKey,
    InvalidIdentifier,
    OrderFailed,
    OrderNotReady,
    OrderPurpose,
    OrderStatus,
    PollTimedOut,
    RateLimited,
    certificate_identifier,
)
from certwright.client.certificate import IssuedCertificate, KeySpec, chain_of, leaf_der, private_key_of
from certwright.client.errors import IssuanceTimedOut, KeyReused, UnusableCertificate
from certwright.client.events import (
    AuthorizationReused,
    BudgetWaited,
    CaaObjected,
    Issued,
    OrderPlaced,
    OrderReady,
    RenewalInfoUnavailable,
    ReplacementRefused,
)
from certwright.client.proving import in_place, prepare, tell
from certwright.dns import DnsError, check_caa
from certwright.pki import PkiError, build_csr, check_before_write, private_key_to_pem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from certwright.acme import Budget, CertificateChainPem, Client, Order
    from certwright.client.certificate import CertificateKey
    from certwright.client.events import Event, OnEvent
    from certwright.client.solver import Solvers
    from certwright.dns import DnsView
    from certwright.pki import PrivateKey

#: Seconds for one issuance, unless the caller gives another number.
DEFAULT_TIMEOUT: Final = 600.0


def _ignore(_event: Event) -> None:
    pass


async def issue(
    client: Client,
    names: Sequence[str | Identifier],
    *,
    solvers: Solvers,
    key: CertificateKey = KeySpec(),  # noqa: B008 - immutable
    common_name: str | None = None,
    profile: str | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    preferred_chain: str | None = None,
    replaces: bytes | None = None,
    budget: Budget | None = None,
    caa_view: DnsView | None = None,
    on_event: OnEvent = _ignore,
    timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - it bounds a whole conversation, and names the order
) -> IssuedCertificate:
    """Get a certificate: order, prove all names together, request, download, check.

    Names that are proven already are not proven again. The key and the request are made while the CA validates. If
    this task is cancelled, or the time is up, what was presented is cleaned up before the error is raised, which
    takes two minutes at most.

    Args:
        client: An account that is registered.
        names: Domain names, wildcards and IP addresses; text as `Identifier.parse` reads it.
        solvers: In the order of preference, or a function that returns them for an identifier.
        key: The key of the certificate: to be made, or one that there is (PEM or object).
        common_name: The subject's CN, one of the names; None for an empty subject, which is what CAs prefer today.
        profile: One of the directory's `meta.profiles`; None leaves it to the CA.
        not_before: When the certificate should begin to be valid, aware; many CAs refuse it.
        not_after: When it should end, aware; many CAs refuse it.
        preferred_chain: The common name of the issuer that the chain shall lead to; None for the CA's default chain.
        replaces: The certificate that this one renews, in PEM; see `renew`.
        budget: The CA's rate limits; the order waits for room if there will be some in time.
        caa_view: Looks at the CAA records of the names first, and reports an objection as an event.
        on_event: Told what happens; see `certwright.client.events`.
        timeout: Seconds for all of it.

    Raises:
        InvalidIdentifier: A name is none, there is no name at all, or the common name is none of them.
        InvalidPrivateKey: The key cannot be read or made.
        NoSolver: No solver answers what the CA offers for a name.
        SolverFailed: A solver could not do its work.
        OrderFailed: The CA did not see the proof of a name; see `by_identifier`.
        NoSuchChain: The preferred chain is not on offer. The certificate is issued: get it by the order's URL, which
            the event `OrderPlaced` told.
        UnusableCertificate: What the CA issued is not what was asked for.
        KeyReused: The key is the account's.
        BudgetExhausted: There is no room within the time given.
        IssuanceTimedOut: It took longer than `timeout`.
        AcmeError: What else can go wrong; see `certwright.acme.errors` and `problem_error`.
    """
    identifiers = tuple(dict.fromkeys(map(_identifier, names)))
    issuance = _Issuance(client, identifiers, on_event, timeout)
    request = asyncio.create_task(asyncio.to_thread(issuance.make_request, key, common_name))
    request.add_done_callback(_look_at)
    try:
        async with asyncio.timeout(timeout):
            if not (isinstance(key, KeySpec) and key.algorithm == "RSA"):
                # Done in no time, and a mistake in it shows before anything is ordered.
                await request
            if caa_view is not None:
                await issuance.look_at_caa(caa_view)
            await issuance.place_order(
                profile=profile, not_before=not_before, not_after=not_after, replaces=replaces, budget=budget
            )
            await issuance.prove_and_finalize(solvers, request, budget)
            return await issuance.collect(preferred_chain, current=replaces)
    except (TimeoutError, PollTimedOut) as error:
        url = issuance.order.url if issuance.order else None
        state = f" The order {url} is {issuance.order.status}." if issuance.order else ""
        raise IssuanceTimedOut(f"There was no certificate after {timeout:g} s.{state}", order_url=url) from error
    finally:
        request.cancel()


class _Issuance:
    """One issuance under way."""

    def __init__(self, client: Client, identifiers: tuple[Identifier, ...], notify: OnEvent, seconds: float) -> None:
        self.order: Order | None = None
        self._client = client
        self._identifiers = identifiers
        self._notify = notify
        self._clock = client.server.clock
        self._deadline = self._clock.monotonic() + seconds
        self._key: PrivateKey | None = None

    async def look_at_caa(self, view: DnsView) -> None:
        """Report what CAA records object to; what cannot be looked up is no objection."""
        identities = (await self._client.server.directory()).meta.caa_identities
        for identifier in self._identifiers if identities else ():
            if identifier.type != "dns":
                continue
            try:
                verdict = await check_caa(
                    view, identifier.value, identities=identities, account_url=self._client.account_url
                )
            except DnsError:
                continue
            if not verdict.allowed:
                self._notify(CaaObjected(identifier.value, verdict.reason))

    async def place_order(
        self,
        *,
        profile: str | None,
        not_before: datetime | None,
        not_after: datetime | None,
        replaces: bytes | None,
        budget: Budget | None,
    ) -> None:
        """Make the order, when the budget has room for it."""
        certificate = None if replaces is None else certificate_identifier(leaf_der(replaces))
        if budget is not None:
            await self._wait_for_room(budget, renews=certificate is not None)
        try:
            if certificate is None:
                order = await self._client.new_order(
                    self._identifiers, profile=profile, not_before=not_before, not_after=not_after
                )
            else:
                order = await self._client.new_replacement_order(
                    self._identifiers,
                    replaces=certificate,
                    profile=profile,
                    not_before=not_before,
                    not_after=not_after,
                    on_refusal=self._replacement_refused,
                )
        except RateLimited as error:
            if budget is not None:
                budget.learn(error, account=self._client.account_url or "", identifiers=self._identifiers)
            raise
        self.order = order
        self._notify(OrderPlaced(order))

    async def prove_and_finalize(
        self, solvers: Solvers, request: asyncio.Task[tuple[PrivateKey, bytes]], budget: Budget | None
    ) -> None:
        """Prove all names, while key and request are made, and hand the request in."""
        order = self._placed()
        if order.status is OrderStatus.READY:
            for identifier in order.identifiers:
                self._notify(AuthorizationReused(identifier.value))
        if request.done():
            request.result()
        try:
            if order.status is OrderStatus.PENDING:
                assignments = await prepare(self._client, order, solvers, self._notify)
                async with in_place(assignments, self._notify):
                    await tell(self._client, assignments, self._notify)
                    order = await self._client.poll_order(
                        order, until={OrderStatus.READY, OrderStatus.VALID}, timeout=self._left()
                    )
            self._key, csr = await request
        except OrderFailed as failure:
            if budget is not None:
                self._count_failures(budget, failure)
            raise
        self._notify(OrderReady(order))
        self.order = await self._finalize(order, csr)

    async def collect(self, preferred_chain: str | None, *, current: bytes | None) -> IssuedCertificate:
        """Download the certificate, choose its chain, check it, and ask when to renew it."""
        client = self._client
        self.order = order = await client.poll_order(self._placed(), timeout=self._left())
        chain = await client.download_certificate(order)
        if preferred_chain is not None:
            chain = await client.choose_chain(chain, preferred_chain)
        issued = self._checked(chain, order, current)
        if (await client.server.directory()).renewal_info is not None:
            try:
                issued = replace(issued, renewal_info=await client.fetch_renewal_info(chain.certificates[0]))
            except AcmeError as error:
                self._notify(RenewalInfoUnavailable(error))
        self._notify(Issued(issued))
        return issued

    async def _wait_for_room(self, budget: Budget, *, renews: bool) -> None:
        purpose = OrderPurpose.NEW
        if renews:
            offered = (await self._client.server.directory()).renewal_info is not None
            purpose = OrderPurpose.RENEWAL_INFO if offered else OrderPurpose.SAME_NAMES
        account = self._client.account_url or ""
        while True:
            reservation = budget.reserve(account=account, identifiers=self._identifiers, purpose=purpose)
            if reservation.granted:
                return
            if reservation.seconds > self._left():
                raise BudgetExhausted(reservation)
            self._notify(BudgetWaited(reservation))
            await self._clock.sleep(reservation.seconds)

    def _replacement_refused(self, error: AcmeError) -> None:
        self._notify(ReplacementRefused(error))

    def make_request(self, key: CertificateKey, common_name: str | None) -> tuple[PrivateKey, bytes]:
        """Make the key and the request for it; slow for RSA, so in a thread."""
        private_key = private_key_of(key)
        if self._is_account_key(private_key):
            raise KeyReused("The key of the certificate is the account key; a certificate needs one of its own")
        try:
            csr = build_csr(
                private_key,
                dns_names=[name.value for name in self._identifiers if name.type == "dns"],
                ip_addresses=[name.value for name in self._identifiers if name.type == "ip"],
                common_name=common_name,
            )
        except PkiError as error:
            raise InvalidIdentifier(f"The certificate cannot be requested: {error}") from error
        return private_key, csr

    def _is_account_key(self, private_key: PrivateKey) -> bool:
        try:
            return AccountKey(private_key) == self._client.key
        except InvalidAccountKey:
            return False

    async def _finalize(self, order: Order, csr: bytes) -> Order:
        try:
            return await self._client.finalize(order, csr)
        except (ConnectionFailed, OrderNotReady):
            # It may have arrived, or the order may be further than it seemed: its own state says so.
            seen = await self._client.fetch_order(order.url)
            if seen.status is OrderStatus.READY:
                return await self._client.finalize(seen, csr)
            if seen.status in (OrderStatus.PROCESSING, OrderStatus.VALID):
                return seen
            raise

    def _checked(self, chain: CertificateChainPem, order: Order, current: bytes | None) -> IssuedCertificate:
        assert self._key is not None  # noqa: S101 - set before the order was finalized
        try:
            parsed = chain_of(chain.pem)
            check_before_write(
                parsed,
                self._key,
                dns_names=[name.value for name in self._identifiers if name.type == "dns"],
                ip_addresses=[name.value for name in self._identifiers if name.type == "ip"],
                now=self._clock.now(),
                current=None if current is None else chain_of(current).leaf,
            )
        except (AcmeError, PkiError) as error:
            raise UnusableCertificate(
                f"The CA issued a certificate that is not the one that was asked for: {error}",
                order_url=order.url,
                certificate_url=chain.url,
            ) from error
        return IssuedCertificate(
            chain_pem=parsed.pem,
            private_key_pem=private_key_to_pem(self._key),
            identifiers=self._identifiers,
            not_before=parsed.leaf.not_valid_before_utc,
            not_after=parsed.leaf.not_valid_after_utc,
            order_url=order.url,
            certificate_url=chain.url,
            alternate_urls=chain.alternate_urls,
            replaced=order.replaces is not None,
        )

    def _count_failures(self, budget: Budget, failure: OrderFailed) -> None:
        for name in failure.by_identifier:
            identifier = Identifier.parse(name.removeprefix("*."))
            budget.record_failure(account=self._client.account_url or "", identifier=identifier)

    def _placed(self) -> Order:
        assert self.order is not None  # noqa: S101 - place_order comes first
        return self.order

    def _left(self) -> float:
        return max(self._deadline - self._clock.monotonic(), 0.0)


def _look_at(request: asyncio.Task[tuple[PrivateKey, bytes]]) -> None:
    """Look at an error that nobody waits for any more, so that asyncio does not complain about it."""
    if not request.cancelled():
        request.exception()


def _identifier(name: str | Identifier) -> Identifier:
    return name if isinstance(name, Identifier) else Identifier.parse(name)
