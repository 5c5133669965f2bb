"""A budget for a CA's rate limits: when the next order can be placed without being refused.

Keep one budget for each CA and public IP address, shared by everything that orders there. It knows only about its own
orders: after a restart it starts full unless it is restored, and it learns about other clients from the CA's refusals.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil, inf
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from certwright.acme.clock import Clock
from certwright.acme.errors import AcmeError
from certwright.acme.limits import NO_LIMITS
from certwright.acme.registered_domain import registered_domain
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from certwright.acme.identifier import Identifier
    from certwright.acme.limits import Limit, LimitProfile
    from certwright.acme.problem import RateLimited

MAX_COUNTERS: Final = 50_000
"""The maximum number of counters; beyond that, the least recently used ones are dropped."""

_Key: TypeAlias = tuple[str, ...]

DEFAULT_PAUSE: Final = 3600.0
"""How long a refusal without Retry-After is respected, in seconds."""

LONGEST_KEPT: Final = 31 * 86_400.0
"""The longest limit or pause, in seconds, that is restored from a saved budget."""

LATEST: Final = 5.0
"""How many seconds later than here the CA may count an order that is slow to arrive.

Otherwise a fast order could arrive before the CA has capacity for it."""
_LATE_PART: Final = 0.01
"""The maximum of this margin, as a part of the limit's period."""

# The maximum error of sums of floating-point seconds.
_ROUNDING: Final = 1e-6


class Counts(StrEnum):
    """What the CA counts against a limit."""

    ORDERS = "orders"
    CERTIFICATES = "certificates"
    FAILURES = "failures"


@dataclass(frozen=True)
class Claim:
    """One limit that applies to an order.

    Attributes:
        key: What is counted: a kind of limit, and the account, the registered domain or the domains that it is for.
        limit: The limit.
        words: A description, such as "the number of new certificates for example.com".
        counts: Whether the CA counts the order, its certificate or its failures.
    """

    key: _Key
    limit: Limit
    words: str
    counts: Counts


class OrderPurpose(StrEnum):
    """Why a certificate is ordered; renewals are exempt from some or all limits."""

    NEW = "new"
    SAME_NAMES = "same names"
    """For exactly the names of a certificate that was issued before, without `replaces`."""
    RENEWAL_INFO = "renewal info"
    """A renewal with `replaces`, within the window of its renewal information (RFC 9773)."""


@dataclass(frozen=True)
class Reservation:
    """The answer of a budget.

    Attributes:
        seconds: How long to wait; 0 means go ahead, and the order has been counted.
        limit: A description of the limit that requires the wait, or None.
        retry_at: When to ask again, aware UTC, or None.
        used: How much of the limit is used up, such as "50 of 50 in 7 days"; empty if it is not a published one.
    """

    seconds: float = 0.0
    limit: str | None = None
    retry_at: datetime | None = None
    used: str = ""
    _certificates: tuple[Claim, ...] = field(default=(), repr=False)

    @property
    def granted(self) -> bool:
        """Whether the order may go ahead."""
        return self.seconds <= 0


class BudgetExhausted(AcmeError):
    """The CA would refuse the order now, because a limit is used up. No request was sent.

    Attributes:
        limit: A description of the limit.
        retry_at: When there is capacity again, aware UTC.
        used: How much of it is used up, such as "50 of 50 in 7 days"; empty if it is not a published one.
    """

    temporary = True

    def __init__(self, reservation: Reservation) -> None:
        until = rfc3339(reservation.retry_at) if reservation.retry_at else "later"
        used = f" ({reservation.used})" if reservation.used else ""
        super().__init__(
            f"The CA would refuse this order: {reservation.limit} is used up{used}. The next order is possible at "
            f"{until}",
            retry_after=reservation.seconds,
        )
        self.limit = reservation.limit
        self.retry_at = reservation.retry_at
        self.used = reservation.used


@dataclass
class _Counter:
    """One token bucket, kept as the time at which it is full again (the generic cell rate algorithm).

    Attributes:
        full_at: That time.
        since: When it was last full: as many as there were in it then need no refill, and so no margin.
    """

    full_at: float
    since: float

    def wait(self, limit: Limit, now: float, number: int = 1) -> float:
        spent = number * limit.seconds_each - limit.period.total_seconds()
        needs_refill = self.full_at + spent > self.since + _ROUNDING
        wait = max(self.full_at + (_margin(limit) if needs_refill else 0.0), now) + spent - now
        return wait if wait > _ROUNDING else 0.0

    def take(self, limit: Limit, now: float) -> None:
        if self.full_at + _margin(limit) <= now:
            self.since = now
        # What is counted without asking, failures, empties the bucket and no more: so CAs count, too.
        full_at = max(self.full_at, now) + limit.seconds_each
        self.full_at = min(full_at, now + limit.period.total_seconds())


def _margin(limit: Limit) -> float:
    return min(LATEST, limit.period.total_seconds() * _LATE_PART)


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
        """Reserve an order. A granted order is counted. Otherwise nothing is, and the result says when to retry.

        The CA counts certificates when it issues them. Here they count from the order on, so that concurrent orders
        cannot exceed a limit together; call `give_back` if no certificate was issued.

        Args:
            account: The account URL.
            identifiers: What the certificate is for.
            purpose: Why it is ordered.
        """
        names = frozenset(identifiers)
        now = self._clock.monotonic()
        claims = self.claims(account=account, identifiers=names, purpose=purpose)
        waits = [(self.wait(claim), claim.words, self.usage(claim)) for claim in claims]
        paused = self.paused(account=account, identifiers=names)
        seconds, words, used = max([*waits, (paused[0], paused[1], "")], key=lambda one: one[0])
        if seconds > 0:
            return self._refuse(seconds, words, used)
        for claim in claims:
            if claim.counts is not Counts.FAILURES:
                self._take(claim.key, claim.limit, now)
        return Reservation(_certificates=tuple(claim for claim in claims if claim.counts is Counts.CERTIFICATES))

    def claims(
        self, *, account: str, identifiers: Iterable[Identifier], purpose: OrderPurpose = OrderPurpose.NEW
    ) -> tuple[Claim, ...]:
        """Return the limits that apply to an order; none of them is counted. See `reserve`."""
        return tuple(self._claims(account, frozenset(identifiers), purpose))

    def wait(self, claim: Claim, number: int = 1) -> float:
        """Return the seconds until a limit has capacity for this many more; 0 if it does now."""
        counter = self._counters.get(claim.key) or _Counter(-inf, -inf)
        return counter.wait(claim.limit, self._clock.monotonic(), number)

    def usage(self, claim: Claim) -> str:
        """Return how much of a limit is used up, for people: "50 of 50 in 7 days"."""
        return f"{self.used(claim)} of {claim.limit}"

    def used(self, claim: Claim) -> int:
        """Return how much of a limit is used up, rounded up."""
        counter = self._counters.get(claim.key)
        used = 0.0 if counter is None else (counter.full_at - self._clock.monotonic()) / claim.limit.seconds_each
        return max(0, ceil(used - _ROUNDING))

    def count(self, claim: Claim, *, ago: float = 0.0) -> None:
        """Count one more against a limit, even beyond its capacity.

        Args:
            claim: The limit.
            ago: How many seconds ago it was; count what was earlier first.
        """
        self._take(claim.key, claim.limit, self._clock.monotonic() - ago)

    def raise_to(self, claim: Claim, full_in: float) -> None:
        """Count as much against a limit as makes it unused again in so many seconds, if less is counted.

        More than the whole limit is not believed.
        """
        now = self._clock.monotonic()
        full_at = now + min(full_in, claim.limit.period.total_seconds())
        counter = self._counters.setdefault(claim.key, _Counter(now, now))
        counter.full_at = max(counter.full_at, full_at)
        self._counters.move_to_end(claim.key)
        self._trim(self._counters)

    def full_in(self, claim: Claim) -> float:
        """Return the seconds until nothing of a limit is used any more."""
        counter = self._counters.get(claim.key)
        return 0.0 if counter is None else max(0.0, counter.full_at - self._clock.monotonic())

    def paused(self, *, account: str, identifiers: Iterable[Identifier]) -> tuple[float, str]:
        """Return the seconds that are left of a refusal by the CA, and for what, in words; 0 if there is none."""
        names, now = frozenset(identifiers), self._clock.monotonic()
        if not self._pauses:
            return 0.0, ""
        waits = [(self._pauses.get(key, 0.0) - now, words) for key, words in _paused(account, names)]
        seconds, words = max(waits)
        return (seconds, words) if seconds > 0 else (0.0, "")

    def to_json(self) -> dict[str, Any]:
        """Return the counters, to be saved; see `restore`. They contain no secrets, but domains and account URLs."""
        now, wall = self._clock.monotonic(), self._clock.now()
        return {"saved_at": wall.isoformat()} | {
            name: [[*key, (wall + timedelta(seconds=until - now)).isoformat()] for key, until in kept if until > now]
            for name, kept in (
                ("counters", [(key, counter.full_at) for key, counter in self._counters.items()]),
                ("pauses", list(self._pauses.items())),
            )
        }

    def restore(self, document: Mapping[str, Any]) -> int:
        """Take up what `to_json` returned, in this process or an earlier one, beside what is counted already.

        What is over is left out, and so is what no limit is known for. If the clock has been set back since, everything
        counts for as long as it would have when it was kept, and no limit is believed to be more than used up.

        Args:
            document: As read from JSON.

        Returns:
            How many entries could not be read, and were left out.
        """
        unreadable = 0
        now = max(self._clock.now(), _saved_at(document) or self._clock.now())
        for name, restore in (("counters", self._restore_counter), ("pauses", self._restore_pause)):
            entries = document.get(name, [])
            if not isinstance(entries, list):
                unreadable += 1
                continue
            # The last ones were used last.
            for entry in entries[-self._max_counters :]:
                found = _read_entry(entry, now)
                if found is None:
                    unreadable += 1
                elif 0 < found[1] <= LONGEST_KEPT:
                    restore(*found)
        return unreadable

    def clear(self) -> None:
        """Forget everything that is counted."""
        self._counters.clear()
        self._pauses.clear()

    def give_back(self, reservation: Reservation) -> None:
        """Count no certificate for a granted order after all, because none was issued. Once for each reservation.

        The order itself stays counted.
        """
        for claim in reservation._certificates:  # noqa: SLF001 - its other half
            counter = self._counters.get(claim.key)
            if counter is not None:
                counter.full_at -= claim.limit.seconds_each
                if counter.full_at <= self._clock.monotonic():
                    del self._counters[claim.key]  # as if nothing had been

    def reserve_account(self) -> Reservation:
        """Reserve a new account."""
        words = "the number of new accounts from this address"
        return self._reserve_one(("account",), self.limits.accounts_per_address, words)

    def reserve_request(self, action: str) -> Reservation:
        """Reserve a single request, for programs that send hundreds per second.

        Args:
            action: What it is for; see `RequestRecord.action`.
        """
        words = f"the number of {action} requests a second"
        return self._reserve_one(("request", action), self.limits.requests.get(action), words)

    def record_failure(self, *, account: str, identifier: Identifier) -> None:
        """Count a failed validation; too many for one domain block orders with it."""
        self._take(_failures(account, identifier), self.limits.failed_validations, self._clock.monotonic())

    def learn(self, error: RateLimited, *, account: str, identifiers: Iterable[Identifier]) -> None:
        """Respect a refusal until the CA allows more: of the same domains, or of the account if it was not an order.

        One that names the registered domain of what was ordered holds for every order under it, and one about the
        number of orders for every order of the account.

        Args:
            error: What the CA said.
            account: The account URL.
            identifiers: What was ordered; empty if it was something else.
        """
        key = _refused(error, account, frozenset(identifiers))
        seconds = DEFAULT_PAUSE if error.retry_after is None else error.retry_after
        self._pauses[key] = max(self._pauses.get(key, 0.0), self._clock.monotonic() + seconds)
        self._pauses.move_to_end(key)
        self._trim(self._pauses)

    def __len__(self) -> int:
        return len(self._counters) + len(self._pauses)

    def _claims(self, account: str, names: frozenset[Identifier], purpose: OrderPurpose) -> Iterator[Claim]:
        limits = self.limits
        if not limits.renewals_exempt:
            purpose = OrderPurpose.NEW
        if purpose is OrderPurpose.RENEWAL_INFO:
            return
        if limits.certificates_per_exact_set is not None:
            words, key = "the limit for exactly these names", ("set", *_exact_set(names))
            yield Claim(key, limits.certificates_per_exact_set, words, Counts.CERTIFICATES)
        if limits.failed_validations is not None:
            for name in sorted(names):
                yield _failure_claim(account, name, limits.failed_validations)
        if purpose is OrderPurpose.SAME_NAMES:
            return
        if limits.orders_per_account is not None:
            yield _orders_claim(account, limits.orders_per_account)
        if limits.certificates_per_registered_domain is not None:
            for domain in sorted({registered_domain(name) for name in names}):
                words = f"the number of new certificates for {domain}"
                yield Claim(_domain(domain), limits.certificates_per_registered_domain, words, Counts.CERTIFICATES)

    def orders_of(self, account: str) -> Claim | None:
        """Return the limit on new orders of an account, or None if there is none."""
        limit = self.limits.orders_per_account
        return None if limit is None else _orders_claim(account, limit)

    def _restore_counter(self, key: _Key, left: float) -> None:
        limit = self._limit_of(key)
        if limit is None:
            return
        now = self._clock.monotonic()
        known = self._counters.setdefault(key, _Counter(now, now))
        known.full_at = max(known.full_at, now + min(left, limit.period.total_seconds()))
        self._counters.move_to_end(key)
        self._trim(self._counters)

    def _restore_pause(self, key: _Key, left: float) -> None:
        self._pauses[key] = max(self._pauses.get(key, 0.0), self._clock.monotonic() + left)
        self._pauses.move_to_end(key)
        self._trim(self._pauses)

    def _limit_of(self, key: _Key) -> Limit | None:
        """Return the limit that a counter is for, or None if there is none (any more)."""
        limits = self.limits
        if key[0] == "request":
            return limits.requests.get(key[-1])
        return {
            "set": limits.certificates_per_exact_set,
            "failures": limits.failed_validations,
            "orders": limits.orders_per_account,
            "domain": limits.certificates_per_registered_domain,
            "account": limits.accounts_per_address,
        }.get(key[0])

    def _reserve_one(self, key: _Key, limit: Limit | None, words: str) -> Reservation:
        now = self._clock.monotonic()
        seconds = self._wait(key, limit, now)
        if seconds > 0:
            return self._refuse(seconds, words)
        self._take(key, limit, now)
        return Reservation()

    def _refuse(self, seconds: float, words: str, used: str = "") -> Reservation:
        return Reservation(seconds, words, self._clock.now() + timedelta(seconds=seconds), used)

    def _wait(self, key: _Key, limit: Limit | None, now: float) -> float:
        counter = self._counters.get(key)
        return 0.0 if limit is None or counter is None else counter.wait(limit, now)

    def _take(self, key: _Key, limit: Limit | None, now: float) -> None:
        if limit is None:
            return
        self._counters.setdefault(key, _Counter(now, now)).take(limit, now)
        self._counters.move_to_end(key)
        self._trim(self._counters)

    def _trim(self, kept: OrderedDict[_Key, _Counter] | OrderedDict[_Key, float]) -> None:
        while len(kept) > self._max_counters:
            kept.popitem(last=False)


def _failures(account: str, identifier: Identifier) -> _Key:
    # A wildcard is validated by the name that it is a wildcard of.
    return ("failures", account, identifier.value.removeprefix("*."))


def _failure_claim(account: str, identifier: Identifier, limit: Limit) -> Claim:
    words = f"the number of failed validations of {identifier}"
    return Claim(_failures(account, identifier), limit, words, Counts.FAILURES)


def _orders_claim(account: str, limit: Limit) -> Claim:
    return Claim(("orders", account), limit, "the number of new orders of this account", Counts.ORDERS)


def _domain(registered: str) -> _Key:
    return ("domain", registered)


def _paused(account: str, names: frozenset[Identifier]) -> Iterator[tuple[_Key, str]]:
    """Return what may be paused of an order, and for what, in words."""
    yield _exact_set(names), "what the CA allows for these names"
    yield (account,), "what the CA allows this account"
    for domain in sorted({registered_domain(name) for name in names}):
        yield _domain(domain), f"what the CA allows for {domain}"


def _refused(error: RateLimited, account: str, names: frozenset[Identifier]) -> _Key:
    """Return what a refusal is about. CAs say so in words only (RFC 8555 section 6.6)."""
    if not names:
        return (account,)
    said = f"{error.problem.detail} {error.problem.title}".lower()
    if "exact set" in said or "authorization" in said or "validation" in said:
        return _exact_set(names)
    for domain in sorted({registered_domain(name) for name in names}):
        if re.search(rf"(?<![\w.-]){re.escape(domain)}(?![\w-]|\.\w)", said):
            return _domain(domain)
    return _exact_set(names)


def _saved_at(document: Mapping[str, Any]) -> datetime | None:
    """Return when a document was kept, aware, or None if it does not say."""
    try:
        return datetime.fromisoformat(document["saved_at"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _read_entry(entry: object, now: datetime) -> tuple[_Key, float] | None:
    """Return what a kept entry is for, and the seconds that it still counts; None if it cannot be read."""
    if not isinstance(entry, list) or len(entry) not in range(2, 5) or not all(isinstance(one, str) for one in entry):
        return None
    try:
        return tuple(entry[:-1]), (datetime.fromisoformat(entry[-1]) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


def _exact_set(names: Iterable[Identifier]) -> _Key:
    # A digest, so that a hundred domains take no more memory than one.
    text = "\n".join(sorted(f"{name.type}:{name.value}" for name in names))
    return ("names", hashlib.sha256(text.encode()).hexdigest())
