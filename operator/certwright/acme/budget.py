"""A budget for a CA's rate limits: when the next order can be placed without being refused.

Keep one budget for each CA and public IP address, shared by everything that orders there. It only knows what went
through it: after a restart it starts full, and it learns about other clients from the CA's refusals.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from certwright.acme.clock import Clock
from certwright.acme.errors import AcmeError
from certwright.acme.limits import NO_LIMITS
from certwright.acme.registered_domain import registered_domain
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from certwright.acme.identifier import Identifier
    from certwright.acme.limits import Limit, LimitProfile
    from certwright.acme.problem import RateLimited

MAX_COUNTERS: Final = 50_000
"""How many counters are kept; the least recently used ones are dropped beyond that."""

_Key: TypeAlias = tuple[str, ...]

DEFAULT_PAUSE: Final = 3600.0
"""How long a refusal without Retry-After is respected, in seconds."""

# What sums of floating-point seconds are off by at most.
_ROUNDING: Final = 1e-6


class _Counts(StrEnum):
    ORDERS = "orders"
    CERTIFICATES = "certificates"
    FAILURES = "failures"


@dataclass(frozen=True)
class _Claim:
    """One limit that applies to an order, and whether the CA counts the order, its certificate or its failures."""

    key: _Key
    limit: Limit | None
    words: str
    counts: _Counts


class OrderPurpose(StrEnum):
    """Why a certificate is ordered; renewals are exempt from some limits, or all."""

    NEW = "new"
    SAME_NAMES = "same names"
    """For exactly the names of a certificate that was issued before, without `replaces`."""
    RENEWAL_INFO = "renewal info"
    """A renewal with `replaces`, within the window of its renewal information (RFC 9773)."""


@dataclass(frozen=True)
class Reservation:
    """The answer of a budget.

    Attributes:
        seconds: How long to wait; 0 means go ahead, and then it is counted already.
        limit: Which limit asks for the wait, in words, or None.
        retry_at: When to ask again, aware UTC, or None.
    """

    seconds: float = 0.0
    limit: str | None = None
    retry_at: datetime | None = None
    _certificates: tuple[_Claim, ...] = field(default=(), repr=False)

    @property
    def granted(self) -> bool:
        """Whether the order may go ahead."""
        return self.seconds <= 0


class BudgetExhausted(AcmeError):
    """The CA would refuse the order for now: one of its limits is used up. Nothing was asked of it.

    Attributes:
        limit: Which one, in words.
        retry_at: When there is room again, aware UTC.
    """

    temporary = True

    def __init__(self, reservation: Reservation) -> None:
        until = rfc3339(reservation.retry_at) if reservation.retry_at else "later"
        super().__init__(
            f"The CA would refuse this order: {reservation.limit} is used up. The next order is possible at {until}",
            retry_after=reservation.seconds,
        )
        self.limit = reservation.limit
        self.retry_at = reservation.retry_at


@dataclass
class _Counter:
    """One token bucket, kept as the time at which it is full again (the generic cell rate algorithm)."""

    full_at: float

    def wait(self, limit: Limit, now: float) -> float:
        wait = self.full_at + limit.seconds_each - limit.period.total_seconds() - now
        return wait if wait > _ROUNDING else 0.0

    def take(self, limit: Limit, now: float) -> None:
        # What is counted without asking, failures, empties the bucket and no more: so CAs count, too.
        full_at = max(self.full_at, now) + limit.seconds_each
        self.full_at = min(full_at, now + limit.period.total_seconds())


class Budget:
    """Counts orders, failures and requests against the limits of one CA. Pure: it never waits and sends nothing.

    `reserve` is one step without a pause in between, so tasks of one event loop can share a budget; threads cannot.
    """

    def __init__(
        self, limits: LimitProfile = NO_LIMITS, *, clock: Clock | None = None, max_counters: int = MAX_COUNTERS
    ) -> None:
        """Start with all limits unused.

        Args:
            limits: What the CA publishes; see `limits_of`.
            clock: The time.
            max_counters: How many counters are kept at most.
        """
        self.limits = limits
        self._clock = clock or Clock()
        self._max_counters = max_counters
        self._counters: OrderedDict[tuple[str, ...], _Counter] = OrderedDict()
        # Learned from refusals: until when a set of names, or an account, is not to be tried.
        self._pauses: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def reserve(
        self, *, account: str, identifiers: Iterable[Identifier], purpose: OrderPurpose = OrderPurpose.NEW
    ) -> Reservation:
        """Reserve an order. A granted order is counted; otherwise nothing is, and the answer says when to retry.

        The CA counts certificates when it issues them. Here they count from the order on, so that concurrent orders do
        not exceed a limit together: `give_back` what an order did not use.

        Args:
            account: The account URL.
            identifiers: What the certificate is for.
            purpose: Why it is ordered.
        """
        names = frozenset(identifiers)
        now = self._clock.monotonic()
        claims = tuple(self._claims(account, names, purpose))
        waits = [(self._wait(claim.key, claim.limit, now), claim.words) for claim in claims]
        waits += [
            (self._pauses.get(_exact_set(names), 0.0) - now, "what the CA allows for these names"),
            (self._pauses.get((account,), 0.0) - now, "what the CA allows this account"),
        ]
        seconds, words = max(waits)
        if seconds > 0:
            return self._refuse(seconds, words)
        for claim in claims:
            if claim.counts is not _Counts.FAILURES:
                self._take(claim.key, claim.limit, now)
        return Reservation(_certificates=tuple(claim for claim in claims if claim.counts is _Counts.CERTIFICATES))

    def give_back(self, reservation: Reservation) -> None:
        """Count no certificate for a granted order after all, because none was issued. Once for each reservation.

        The order itself stays counted.
        """
        for claim in reservation._certificates:  # noqa: SLF001 - its other half
            counter = self._counters.get(claim.key)
            if counter is not None and claim.limit is not None:
                counter.full_at -= claim.limit.seconds_each

    def reserve_account(self) -> Reservation:
        """Ask for a new account."""
        words = "the number of new accounts from this address"
        return self._reserve_one(("account",), self.limits.accounts_per_address, words)

    def reserve_request(self, action: str) -> Reservation:
        """Ask for a single request, for those who send hundreds a second.

        Args:
            action: What it is for; see `RequestRecord.action`.
        """
        words = f"the number of {action} requests a second"
        return self._reserve_one(("request", action), self.limits.requests.get(action), words)

    def record_failure(self, *, account: str, identifier: Identifier) -> None:
        """Count a failed validation; too many for one domain block orders with it."""
        self._take(_failures(account, identifier), self.limits.failed_validations, self._clock.monotonic())

    def learn(self, error: RateLimited, *, account: str, identifiers: Iterable[Identifier]) -> None:
        """Respect a refusal: block the same domains, or the account if it was not an order, until the CA allows more.

        Args:
            error: What the CA said.
            account: The account URL.
            identifiers: What was ordered; empty if it was something else.
        """
        names = frozenset(identifiers)
        key = _exact_set(names) if names else (account,)
        seconds = DEFAULT_PAUSE if error.retry_after is None else error.retry_after
        self._pauses[key] = max(self._pauses.get(key, 0.0), self._clock.monotonic() + seconds)
        self._pauses.move_to_end(key)
        self._trim(self._pauses)

    def __len__(self) -> int:
        return len(self._counters) + len(self._pauses)

    def _claims(self, account: str, names: frozenset[Identifier], purpose: OrderPurpose) -> Iterator[_Claim]:
        if purpose is OrderPurpose.RENEWAL_INFO:
            return
        limits = self.limits
        words = "the limit for exactly these names"
        yield _Claim(("set", *_exact_set(names)), limits.certificates_per_exact_set, words, _Counts.CERTIFICATES)
        for name in sorted(names) if limits.failed_validations is not None else ():
            words = f"the number of failed validations of {name}"
            yield _Claim(_failures(account, name), limits.failed_validations, words, _Counts.FAILURES)
        if purpose is OrderPurpose.SAME_NAMES:
            return
        words = "the number of new orders of this account"
        yield _Claim(("orders", account), limits.orders_per_account, words, _Counts.ORDERS)
        if limits.certificates_per_registered_domain is not None:
            for domain in sorted({registered_domain(name) for name in names}):
                words = f"the number of new certificates for {domain}"
                yield _Claim(("domain", domain), limits.certificates_per_registered_domain, words, _Counts.CERTIFICATES)

    def _reserve_one(self, key: _Key, limit: Limit | None, words: str) -> Reservation:
        now = self._clock.monotonic()
        seconds = self._wait(key, limit, now)
        if seconds > 0:
            return self._refuse(seconds, words)
        self._take(key, limit, now)
        return Reservation()

    def _refuse(self, seconds: float, words: str) -> Reservation:
        return Reservation(seconds, words, self._clock.now() + timedelta(seconds=seconds))

    def _wait(self, key: _Key, limit: Limit | None, now: float) -> float:
        counter = self._counters.get(key)
        return 0.0 if limit is None or counter is None else counter.wait(limit, now)

    def _take(self, key: _Key, limit: Limit | None, now: float) -> None:
        if limit is None:
            return
        self._counters.setdefault(key, _Counter(now)).take(limit, now)
        self._counters.move_to_end(key)
        self._trim(self._counters)

    def _trim(self, kept: OrderedDict[_Key, _Counter] | OrderedDict[_Key, float]) -> None:
        while len(kept) > self._max_counters:
            kept.popitem(last=False)


def _failures(account: str, identifier: Identifier) -> _Key:
    # A wildcard is validated by the name that it is a wildcard of.
    return ("failures", account, identifier.value.removeprefix("*."))


def _exact_set(names: Iterable[Identifier]) -> _Key:
    # A digest, so that a hundred domains take no more memory than one.
    text = "\n".join(sorted(f"{name.type}:{name.value}" for name in names))
    return ("names", hashlib.sha256(text.encode()).hexdigest())
