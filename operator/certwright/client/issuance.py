"""One issuance, step by step."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from certwright.acme import (
    AccountDoesNotExist,
    AcmeError,
    BudgetExhausted,
    Identifier,
    InvalidCertificate,
    MalformedResponse,
    NoSuchChain,
    OrderFailed,
    OrderPurpose,
    OrderStatus,
    PollTimedOut,
    ProblemError,
    RateLimited,
    UnsafeUrl,
    UserActionRequired,
    certificate_identifier,
    issuer_names,
)
from certwright.acme.identifier import canonical
from certwright.acme.validation import Review
from certwright.challenges.solver import solvers_for
from certwright.client.certificate import IssuedCertificate, chain_of, leaf_der, names_of
from certwright.client.errors import (
    CertificateStartsLater,
    IssuanceTimedOut,
    PreferredChainMissing,
    UnusableCertificate,
)
from certwright.client.events import (
    AuthorizationReused,
    BudgetWaited,
    CaaObjected,
    Issued,
    OrderNotResumed,
    OrderPlaced,
    OrderReady,
    OrderResumed,
    RenewalInfoUnavailable,
    ReplacementRefused,
    StartAwaited,
)
from certwright.client.key import exported, values
from certwright.client.validation import answer, presented, select
from certwright.dns import DnsError, check_caa
from certwright.pki import NotYetValid, PkiError, SigningRequest, check_before_write
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from certwright.acme import Authorization, Budget, CertificateChainPem, Challenge, Client, Order, Pace, Reservation
    from certwright.challenges.solver import Solvers
    from certwright.client.events import OnEvent
    from certwright.client.key import RequestTask
    from certwright.dns import DnsView
    from certwright.pki import PrivateKey


LONGEST_RESERVE: Final = 5.0
"""Seconds of the timeout that are reserved for the end, or a tenth of the timeout if that is less."""


class Issuance:
    """One issuance in progress."""

    def __init__(
        self,
        client: Client,
        identifiers: tuple[Identifier, ...],
        notify: OnEvent,
        seconds: float,
        *,
        pace: Pace,
        for_servers: bool = False,
    ) -> None:
        self.order: Order | None = None
        self._for_servers = for_servers
        self._client = client
        self._pace = pace
        self._identifiers = identifiers
        self._notify = notify
        self._clock = client.server.clock
        self._start = self._clock.monotonic()
        self._deadline = self._start + seconds
        # For the last request of a poll, and to find out why the order is not done.
        self._reserve = min(seconds / 10, LONGEST_RESERVE)
        self._key: PrivateKey | SigningRequest | None = None
        self._reservation: Reservation | None = None
        self._may_be_issued = False
        self._replaces_refused = False
        self._authorizations: tuple[Authorization, ...] | None = None

    async def look_at_caa(self, view: DnsView, solvers: Solvers) -> None:
        """Report objections from CAA records; a failed lookup is not an objection."""
        identities = (await self._client.server.directory()).meta.caa_identities
        for identifier in self._identifiers if identities else ():
            if identifier.type != "dns":
                continue
            try:
                verdict = await check_caa(
                    view,
                    identifier.value,
                    identities=identities,
                    account_url=self._client.account_url,
                    methods=[solver.challenge_type for solver in solvers_for(solvers, identifier)],
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
        """Place the order as soon as the budget allows it."""
        certificate = None if replaces is None else _identifier_of(replaces)
        if budget is not None:
            self._reservation = await self._wait_for_room(budget, await self._purpose(replaces, certificate))
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
        # Before anything else, so that the caller can store the order whatever happens next.
        self._notify(OrderPlaced(order))
        if budget is not None and self._replaces_refused:
            # It was placed as an ordinary order after all, so it counts as one even if it exceeds the limit.
            purpose = await self._purpose(replaces, None)
            self._reservation = budget.reserve(
                account=self._client.account_url or "", identifiers=self._identifiers, purpose=purpose
            )

    async def resume_order(
        self, url: str, *, profile: str | None, not_before: datetime | None, not_after: datetime | None
    ) -> bool:
        """Resume an earlier order; if that is not possible, notify and return False."""
        reason: str | None
        try:
            order = await self._client.fetch_order(url)
            reason = self._unfit(order, profile, not_before, not_after)
            if reason is None and order.status is OrderStatus.PENDING:
                self._authorizations = await self._client.fetch_authorizations(order)
                reason = _lost(self._authorizations)
        except (ProblemError, MalformedResponse, UnsafeUrl) as error:
            if not _is_about_the_order(error):
                raise
            reason = str(error)
        if reason is None:
            self.order = order
            self._notify(OrderResumed(order))
            return True
        self._authorizations = None
        self._notify(OrderNotResumed(url, reason))
        return False

    async def validate_and_finalize(self, solvers: Solvers, request: RequestTask, budget: Budget | None) -> None:
        """Validate all domains while the key and the CSR are generated, and finalize the order."""
        order = self._placed()
        if order.status in (OrderStatus.PROCESSING, OrderStatus.VALID):
            # An earlier run has finalized the order.
            self._key, _ = await request
            return
        if order.status is OrderStatus.READY:
            for identifier in order.identifiers:
                self._notify(AuthorizationReused(identifier.value))
        if request.done():
            request.result()
        try:
            if order.status is OrderStatus.PENDING:
                assignments = await select(self._client, order, solvers, self._notify, self._authorizations)
                async with presented(assignments, self._notify):
                    answered = await answer(self._client, assignments, self._notify)
                    order = await self._validated(order, answered)
            self._key, csr = await request
        except OrderFailed as failure:
            if budget is not None:
                self._count_failures(budget, failure)
            raise
        self._notify(OrderReady(order))
        self._may_be_issued = True
        try:
            self.order = await self._client.finalize(order, csr)
        except ProblemError as error:
            self._may_be_issued = error.temporary or error.status == HTTPStatus.NOT_FOUND
            raise

    async def _validated(self, order: Order, answered: Collection[Challenge]) -> Order:
        """Wait until all domains are validated, and return the current order."""
        asked = max((one.retry_after for one in answered if one.retry_after is not None), default=None)
        self.order = order = replace(order, retry_after=asked)
        until = {OrderStatus.READY, OrderStatus.PROCESSING, OrderStatus.VALID}
        return await self._client.poll_order(
            order, until=until, timeout=self._patience(), answered=answered, pace=self._pace
        )

    async def collect(self, preferred_chain: str | None, *, current: bytes | None) -> IssuedCertificate:
        """Download the certificate, choose its chain, check it, and ask when to renew it."""
        client = self._client
        try:
            self.order = order = await client.poll_order(self._placed(), timeout=self._patience(), pace=self._pace)
        except OrderFailed:
            self._may_be_issued = False
            raise
        chain = await client.download_certificate(order)
        issued = await self._usable(chain, order, current)
        if preferred_chain is not None:
            issued = await self._with_chain(preferred_chain, chain, issued, current)
        if (await client.server.directory()).renewal_info is not None:
            try:
                issued = replace(issued, renewal_info=await client.fetch_renewal_info(leaf_der(issued.chain_pem)))
            except AcmeError as error:
                self._notify(RenewalInfoUnavailable(error))
        self._notify(Issued(issued))
        return issued

    def settle(self, budget: Budget) -> None:
        """Return the reserved capacity to the budget if certainly no certificate was issued."""
        if self._reservation is not None and not self._may_be_issued:
            budget.give_back(self._reservation)
            self._reservation = None

    async def _purpose(self, replaces: bytes | None, certificate: str | None) -> OrderPurpose:
        if replaces is None:
            return OrderPurpose.NEW
        if certificate is not None and (await self._client.server.directory()).renewal_info is not None:
            return OrderPurpose.RENEWAL_INFO
        same = set(map(canonical, names_of(chain_of(replaces)))) == set(map(canonical, self._identifiers))
        return OrderPurpose.SAME_NAMES if same else OrderPurpose.NEW

    async def _wait_for_room(self, budget: Budget, purpose: OrderPurpose) -> Reservation:
        account = self._client.account_url or ""
        while True:
            reservation = budget.reserve(account=account, identifiers=self._identifiers, purpose=purpose)
            if reservation.granted:
                return reservation
            if reservation.seconds > self._left():
                raise BudgetExhausted(reservation)
            self._notify(BudgetWaited(reservation))
            await self._clock.sleep(reservation.seconds)

    def _unfit(
        self, order: Order, profile: str | None, not_before: datetime | None, not_after: datetime | None
    ) -> str | None:
        """Return why an order does not match this issuance, or None."""
        if order.status is OrderStatus.INVALID:
            return "it is invalid"
        finalized = order.status in (OrderStatus.PROCESSING, OrderStatus.VALID)
        if not finalized and order.expires is not None and order.expires <= self._clock.now():
            return f"it expired at {order.expires:%Y-%m-%dT%H:%M:%SZ}"
        if set(map(canonical, order.identifiers)) != set(map(canonical, self._identifiers)):
            return "it is for other names"
        if profile is not None and order.profile not in (None, profile):
            return f"it has the profile {order.profile}"
        for wanted, has in ((not_before, order.not_before), (not_after, order.not_after)):
            if wanted is not None and has is not None and wanted.replace(microsecond=0) != has:
                return "it has another validity period"
        return None

    def _replacement_refused(self, error: AcmeError) -> None:
        self._replaces_refused = True
        self._notify(ReplacementRefused(error))

    async def _usable(self, chain: CertificateChainPem, order: Order, current: bytes | None) -> IssuedCertificate:
        """Check the issued certificate; if the CA's clock is ahead, wait until it is valid.

        Raises:
            UnusableCertificate: It differs from the order.
            CertificateStartsLater: It becomes valid only after the timeout.
        """
        try:
            return self._checked(chain, order, current)
        except UnusableCertificate as error:
            if not isinstance(error.__cause__, NotYetValid) or not error.__cause__.starts_soon:
                raise
            early = error.__cause__
        seconds = (early.usable_from - self._clock.now()).total_seconds()
        if seconds > self._left():
            raise CertificateStartsLater(early.not_before, early.usable_from, order_url=order.url) from early
        self._notify(StartAwaited(early.not_before, early.usable_from))
        await self._clock.sleep(seconds + 1.0)
        return self._checked(chain, order, current)

    async def _with_chain(
        self, preferred: str, chain: CertificateChainPem, issued: IssuedCertificate, current: bytes | None
    ) -> IssuedCertificate:
        """Return the certificate with the preferred chain.

        Raises:
            PreferredChainMissing: No such chain is usable; the error has the certificate, so nothing is lost.
        """
        try:
            chosen = await self._client.choose_chain(chain, preferred)
            return issued if chosen is chain else self._checked(chosen, self._placed(), current)
        except NoSuchChain as error:
            raise PreferredChainMissing(error, issued) from error
        except UnusableCertificate as error:
            missing = NoSuchChain(wanted=preferred, offered=issuer_names(chain)[-1:])
            raise PreferredChainMissing(missing, issued) from error

    def _checked(self, chain: CertificateChainPem, order: Order, current: bytes | None) -> IssuedCertificate:
        assert self._key is not None  # noqa: S101 - set before the order was finalized
        try:
            parsed = check_before_write(
                chain_of(chain.pem),
                self._key,
                dns_names=values(self._identifiers, "dns"),
                ip_addresses=values(self._identifiers, "ip"),
                now=self._clock.now(),
                current=None if current is None else chain_of(current).leaf,
                is_exact=True,
                for_servers=self._for_servers,
            )
        except (AcmeError, PkiError) as error:
            raise UnusableCertificate(
                f"The CA issued a different certificate than ordered: {error}",
                order_url=order.url,
                certificate_url=chain.url,
            ) from error
        return IssuedCertificate(
            chain_pem=parsed.pem,
            private_key_pem=b"" if isinstance(self._key, SigningRequest) else exported(self._key),
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
            budget.record_failure(account=self._client.account_url or "", identifier=Identifier("dns", name))

    def _placed(self) -> Order:
        assert self.order is not None  # noqa: S101 - place_order comes first
        return self.order

    def _left(self) -> float:
        return max(self._deadline - self._clock.monotonic(), 0.0)

    def _patience(self) -> float:
        return max(self._left() - self._reserve, 0.0)

    def timed_out(self, error: TimeoutError | PollTimedOut) -> IssuanceTimedOut:
        """Return the error for a timeout: how long it took, the state of the order, and what the CA said."""
        seconds = self._clock.monotonic() - self._start
        if isinstance(error, PollTimedOut):
            said = f"No certificate after {seconds:.0f} s: {error}"
        else:
            said = f"No certificate after {seconds:.0f} s"
            said += f". The order {self.order.url} is {self.order.status}" if self.order else ""
        return IssuanceTimedOut(
            said,
            order_url=self.order.url if self.order else None,
            retry_after=error.retry_after if isinstance(error, PollTimedOut) else None,
            reasons=error.reasons if isinstance(error, PollTimedOut) else None,
        )


def _lost(authorizations: Collection[Authorization]) -> str | None:
    """Return why a pending order will never become ready, or None."""
    failed = Review.of(authorizations, ()).failed
    return f"it has failed: {listed(f'{name}: {problem}' for name, problem in failed.items())}" if failed else None


def _is_about_the_order(error: AcmeError) -> bool:
    """Return whether an error means that an order is unusable, not just that the CA cannot tell now."""
    if isinstance(error, AccountDoesNotExist | UserActionRequired):
        return False
    if isinstance(error, MalformedResponse):
        # A gateway may answer anything, and the order may be finalized, so it is not given up for that.
        return error.status >= HTTPStatus.BAD_REQUEST
    return not error.temporary


def _identifier_of(certificate_pem: bytes) -> str | None:
    """Return the identifier for `replaces`, or None if there is none; the renewal continues without it."""
    certificate = leaf_der(certificate_pem)
    try:
        return certificate_identifier(certificate)
    except InvalidCertificate:
        return None
