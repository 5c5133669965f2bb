"""The remaining capacity of each CA's published limits, for all orders of this process.

The CA counts an order when it is placed, and its certificate when the order is finalized. So orders are counted
immediately; the certificate of an open order reserves capacity only within its own namespace, and counts for everyone
once it is finalized, so that orders that never lead to a certificate do not use up the capacity of others.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from certwright.acme import Budget, Clock, Limit, LimitProfile, OrderPurpose, limits_of
from certwright.acme.budget import Counts
from certwright.issuers.waiting_room import Rank, WaitingRoom
from certwright.resources import RateLimitUsageStatus
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from certwright.acme import Identifier, RateLimited
    from certwright.acme.budget import Claim
    from certwright.issuers.authorities import Authority
    from certwright.issuers.waiting_room import Priority
    from certwright.resources import AcmeIssuerSpec, RateLimit

LONGEST_SLEEP: Final = dt.timedelta(hours=6)
"""Who waits longer looks this often whether it goes faster than expected: others may have given up."""
SHORTEST_SLEEP: Final = dt.timedelta(seconds=1)
MAX_BUDGETS: Final = 256
"""CAs, with their limits, that are kept; those that were used longest ago go first."""
KEPT_PARTS: Final = 10
"""What is counted of an account's orders is written down ahead, in parts of a tenth of the limit."""


CROWD: Final = 1000
"""Limits that are remembered before it is worth looking for those of which nothing is used any more."""


class Waiting(NamedTuple):
    """What is shown of those who wait for room in one kind of limit.

    Attributes:
        number: How many.
        seconds: Until the turn of the last.
        used: The used share of the limit, where it is highest.
    """

    number: int
    seconds: float
    used: float


@dataclass(frozen=True)
class Applicant:
    """Who wants to order.

    Attributes:
        namespace: Namespaces take turns.
        uid: The Certificate.
        identifiers: What it is for.
        purpose: Whether it is exempt from limits.
        priority: Whose turn comes first.
        expires: When the certificate that is to be renewed expires; None without one.
    """

    namespace: str
    uid: str
    identifiers: tuple[Identifier, ...]
    purpose: OrderPurpose
    priority: Priority
    expires: dt.datetime | None = None


@dataclass(frozen=True)
class Shortage:
    """Why an order has to wait.

    Attributes:
        limit: Which limit, in words.
        used: How much of it is used up, such as "50 of 50 in 7 days".
        ahead: How many others wait before it.
        until: About when its turn comes.
    """

    limit: str
    used: str
    ahead: int
    until: dt.datetime


class BudgetWait(Exception):
    """An order was not placed: others took the room meanwhile.

    Attributes:
        shortage: Why it has to wait.
    """

    def __init__(self, shortage: Shortage) -> None:
        super().__init__(f"{shortage.limit} is used up until {rfc3339(shortage.until)}")
        self.shortage = shortage


@dataclass(frozen=True)
class _Flight:
    """An order that is open."""

    namespace: str
    url: str | None
    claims: tuple[Claim, ...]
    is_counted: bool = False


class CaBudget:
    """The budget of one CA, for all accounts there.

    Args:
        limits: What it allows.
        clock: The present time, aware UTC.
        monotonic: Seconds that only ever pass; what is counted does not follow a step of the clock.
    """

    def __init__(
        self, limits: LimitProfile, clock: Callable[[], dt.datetime], monotonic: Callable[[], float] | None = None
    ) -> None:
        self._clock = clock
        times = Clock(now=clock) if monotonic is None else Clock(now=clock, monotonic=monotonic)
        self._budget = Budget(limits, clock=times)
        self._flights: dict[str, _Flight] = {}
        self._held: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._rooms: dict[tuple[str, ...], WaitingRoom] = {}
        self._limits: dict[tuple[str, ...], Claim] = {}
        self._written: dict[str, dt.datetime] = {}
        self._crowded = CROWD

    @property
    def limits(self) -> LimitProfile:
        """What the CA allows."""
        return self._budget.limits

    def ask(self, account: str, applicant: Applicant) -> Shortage | None:
        """Return None if there is room for an order, else when to ask again; who asks has a place among the others."""
        found: tuple[float, Claim, int] | None = None
        for claim in self._claims(account, applicant):
            ahead = self._ahead(claim, applicant)
            wait = self._budget.wait(claim, 1 + ahead + self._held_by_others(claim, applicant))
            if wait > 0 and (found is None or wait > found[0]):
                found = wait, claim, ahead
        seconds, words = self._budget.paused(account=account, identifiers=applicant.identifiers)
        if seconds > (found[0] if found is not None else 0.0):
            return Shortage(words, "", 0, self._turn(seconds))
        if found is None:
            return None
        wait, claim, ahead = found
        until = self._turn(wait)
        self._rooms[claim.key].wait(applicant.namespace, self._rank(claim, applicant), until)
        return Shortage(claim.words, self._budget.usage(claim), ahead, until)

    def place(self, account: str, applicant: Applicant) -> None:
        """Count an order that is about to be placed.

        Raises:
            BudgetWait: There is no room for it.
        """
        shortage = self.ask(account, applicant)
        if shortage is not None:
            raise BudgetWait(shortage)
        for claim in self._claims(account, applicant):
            self._rooms[claim.key].served(applicant.namespace, applicant.uid)
            if claim.counts is Counts.ORDERS:
                self._budget.count(claim)
        self._tidy()
        self.given_up(applicant.uid)
        self._fly(account, applicant, None)

    def opened(self, account: str, applicant: Applicant, url: str) -> None:
        """Note that an order is open: the one that was just placed, or one of an earlier process."""
        flight = self._flights.get(applicant.uid)
        if flight is not None and flight.url is None:
            self._flights[applicant.uid] = replace(flight, url=url)
        elif flight is None or flight.url != url:
            self.given_up(applicant.uid)
            self._fly(account, applicant, url)

    def finalized(self, uid: str) -> None:
        """Count the certificate of an open order, once."""
        flight = self._flights.get(uid)
        if flight is None or flight.is_counted:
            return
        for claim in flight.claims:
            self._budget.count(claim)
        self._let_go(flight)
        self._flights[uid] = replace(flight, is_counted=True)

    def given_up(self, uid: str) -> None:
        """Forget the order of a Certificate, which is done or will not lead to a certificate."""
        flight = self._flights.pop(uid, None)
        if flight is not None and not flight.is_counted:
            self._let_go(flight)

    def forget(self, uid: str) -> None:
        """Forget a Certificate that is gone, but not what it used up."""
        self.given_up(uid)
        for room in self._rooms.values():
            room.leave(uid)
        self._tidy()

    def failed(self, account: str, identifiers: Iterable[Identifier]) -> None:
        """Count failed validations."""
        for identifier in identifiers:
            self._budget.record_failure(account=account, identifier=identifier)

    def learn(self, error: RateLimited, account: str, identifiers: Iterable[Identifier]) -> None:
        """Take in that the CA has refused an order for what was to be certified."""
        self._budget.learn(error, account=account, identifiers=identifiers)

    def recount(self, issued: Iterable[tuple[dt.datetime, tuple[Identifier, ...]]]) -> None:
        """Count the certificates that an earlier process obtained.

        Args:
            issued: For each when it was issued, and what for.
        """
        now = self._clock()
        for time, identifiers in sorted(issued, key=lambda one: one[0]):
            for claim in self._budget.claims(account="", identifiers=identifiers):
                ago = max(0.0, (now - time).total_seconds())
                if claim.counts is Counts.CERTIFICATES and ago < claim.limit.period.total_seconds():
                    self._budget.count(claim, ago=ago)

    def kept(self, account: str, before: RateLimitUsageStatus | None) -> RateLimitUsageStatus | None:
        """Return what the issuer's status is to say of an account's orders; None if there is no limit on them.

        It is ahead of what is used, so that it need not be written at each order, and a process that is killed has
        written enough.

        Args:
            account: The account.
            before: What it says; it stays while it is true.
        """
        claim = self._budget.orders_of(account)
        if claim is None:
            return None
        now, full_in = self._clock(), self._budget.full_in(claim)
        same = before is not None and (before.allowed, before.period) == (claim.limit.count, claim.limit.period)
        # Of what is not written, a process that starts assumes as much as may be missing.
        if full_in <= _ahead_of(claim.limit).total_seconds():
            return before if same else None
        if before is not None and same and now + dt.timedelta(seconds=full_in) <= before.until:
            self._written[account] = before.until
            return before
        until = now + min(dt.timedelta(seconds=full_in) + _ahead_of(claim.limit), claim.limit.period)
        until = self._written[account] = until.replace(microsecond=0) + dt.timedelta(seconds=1)
        return RateLimitUsageStatus(
            limit="ordersPerAccount",
            used=min(self._budget.used(claim), claim.limit.count),
            allowed=claim.limit.count,
            period=claim.limit.period,
            until=until,
        )

    def is_unwritten(self, account: str) -> bool:
        """Whether the issuer's status says less than what its account has used up."""
        claim = self._budget.orders_of(account)
        if claim is None:
            return False
        full_in = dt.timedelta(seconds=self._budget.full_in(claim))
        return full_in > _ahead_of(claim.limit) and self._clock() + full_in > self._written.get(account, _NEVER)

    def restore(self, account: str, kept: RateLimitUsageStatus | None) -> None:
        """Take up what an earlier process wrote of an account's orders, and what it may have left out."""
        claim = self._budget.orders_of(account)
        if claim is None:
            return
        assumed = _ahead_of(claim.limit)
        if kept is not None and (kept.allowed, kept.period) == (claim.limit.count, claim.limit.period):
            assumed = max(assumed, kept.until - self._clock())
        self._budget.raise_to(claim, assumed.total_seconds())

    def waiting(self) -> dict[str, Waiting]:
        """Return what is to be shown of each kind of limit, by its field in an issuer's spec."""
        self._tidy()
        now, found = self._clock(), {name: Waiting(0, 0.0, 0.0) for name in _FIELDS.values()}
        for key, claim in self._limits.items():
            name = _FIELDS[key[0]]
            room, before = self._rooms.get(key), found[name]
            last = room.last_turn if room is not None else None
            seconds = 0.0 if last is None else max(0.0, (last - now).total_seconds())
            used = min(1.0, self._budget.used(claim) / claim.limit.count)
            number = before.number + (len(room) if room is not None else 0)
            found[name] = Waiting(number, max(before.seconds, seconds), max(before.used, used))
        return found

    def _claims(self, account: str, applicant: Applicant) -> tuple[Claim, ...]:
        claims = self._budget.claims(account=account, identifiers=applicant.identifiers, purpose=applicant.purpose)
        for claim in claims:
            if claim.key not in self._rooms:
                self._rooms[claim.key] = WaitingRoom(claim.limit.count)
            self._limits[claim.key] = claim
        return claims

    def _rank(self, claim: Claim, applicant: Applicant) -> Rank:
        since = self._rooms[claim.key].since(applicant.uid)
        time = self._clock().timestamp() if since is None else since
        if applicant.expires is not None:
            time = applicant.expires.timestamp()
        return Rank(applicant.priority, time, applicant.uid)

    def _ahead(self, claim: Claim, applicant: Applicant) -> int:
        room = self._rooms[claim.key]
        # Failures are no places that one takes and the next one misses.
        if not len(room) or claim.counts is Counts.FAILURES:
            return 0
        return room.ahead(applicant.namespace, self._rank(claim, applicant), self._clock())

    def _held_by_others(self, claim: Claim, applicant: Applicant) -> int:
        if claim.counts is not Counts.CERTIFICATES:
            return 0
        held = self._held[applicant.namespace, claim.key]
        own = self._flights.get(applicant.uid)
        return held - 1 if own is not None and not own.is_counted and claim in own.claims else held

    def _fly(self, account: str, applicant: Applicant, url: str | None) -> None:
        claims = tuple(one for one in self._claims(account, applicant) if one.counts is Counts.CERTIFICATES)
        self._flights[applicant.uid] = _Flight(applicant.namespace, url, claims)
        self._held.update((applicant.namespace, claim.key) for claim in claims)

    def _let_go(self, flight: _Flight) -> None:
        for claim in flight.claims:
            place = (flight.namespace, claim.key)
            self._held[place] -= 1
            if not self._held[place]:
                del self._held[place]

    def _turn(self, seconds: float) -> dt.datetime:
        return self._clock() + max(SHORTEST_SLEEP, dt.timedelta(seconds=seconds))

    def _tidy(self) -> None:
        """Drop the rooms in which nobody waits, and what is unused; the counts are in the budget, which has a bound."""
        self._rooms = {key: room for key, room in self._rooms.items() if len(room)}
        if len(self._limits) > self._crowded:
            kept = {key: claim for key, claim in self._limits.items() if key in self._rooms or self._budget.used(claim)}
            self._limits, self._crowded = kept, 2 * len(kept) + CROWD


@dataclass(frozen=True)
class AccountBudget:
    """The budget of one account.

    Attributes:
        ca: Of its CA; shared by all accounts there.
        account: Which account: its URL and the thumbprint of its key, as a status may name another's URL.
    """

    ca: CaBudget
    account: str

    def ask(self, applicant: Applicant) -> Shortage | None:
        """See `CaBudget.ask`."""
        return self.ca.ask(self.account, applicant)

    def place(self, applicant: Applicant) -> None:
        """See `CaBudget.place`."""
        self.ca.place(self.account, applicant)

    def opened(self, applicant: Applicant, url: str) -> None:
        """See `CaBudget.opened`."""
        self.ca.opened(self.account, applicant, url)

    def failed(self, identifiers: Iterable[Identifier]) -> None:
        """See `CaBudget.failed`."""
        self.ca.failed(self.account, identifiers)

    def learn(self, error: RateLimited, identifiers: Iterable[Identifier]) -> None:
        """See `CaBudget.learn`."""
        self.ca.learn(error, self.account, identifiers)

    @property
    def is_unwritten(self) -> bool:
        """See `CaBudget.is_unwritten`."""
        return self.ca.is_unwritten(self.account)


class Budgets:
    """The budgets of all CAs.

    Args:
        clock: The present time, aware UTC.
        monotonic: See `CaBudget`.
    """

    def __init__(self, clock: Callable[[], dt.datetime], monotonic: Callable[[], float] | None = None) -> None:
        self._clock, self._monotonic = clock, monotonic
        self._budgets: OrderedDict[tuple[Authority, tuple[object, ...]], CaBudget] = OrderedDict()

    def of(self, authority: Authority, spec: AcmeIssuerSpec) -> CaBudget:
        """Return the budget of an issuer's CA.

        Issuers share one if they reach the CA in the same way and go by the same limits: who has a CA of his own answer
        under another's name, or sets limits of his own, only counts for himself.
        """
        limits = profile_of(spec)
        place = (authority, (*(getattr(limits, name) for name in _FIELDS_OF_SPEC), limits.renewals_exempt))
        if place not in self._budgets:
            self._budgets[place] = CaBudget(limits, self._clock, self._monotonic)
            while len(self._budgets) > MAX_BUDGETS:
                self._budgets.popitem(last=False)
        self._budgets.move_to_end(place)
        return self._budgets[place]

    def forget(self, uid: str) -> None:
        """Forget a Certificate that is gone."""
        for budget in self._budgets.values():
            budget.forget(uid)

    def waiting(self) -> dict[tuple[str, str], Waiting]:
        """Return what is to be shown, by the CA's directory URL and the limit's field in an issuer's spec."""
        found: dict[tuple[str, str], Waiting] = {}
        for (authority, _), budget in self._budgets.items():
            for name, one in budget.waiting().items():
                before = found.get((authority.server, name), Waiting(0, 0.0, 0.0))
                found[authority.server, name] = Waiting(
                    before.number + one.number, max(before.seconds, one.seconds), max(before.used, one.used)
                )
        return found


def profile_of(spec: AcmeIssuerSpec) -> LimitProfile:
    """Return the limits that an issuer goes by: those that its spec sets, else those that its CA publishes."""
    published, given = limits_of(spec.server), spec.rate_limits
    if given is None:
        return published
    exempt = published.renewals_exempt if given.renewals_exempt is None else given.renewals_exempt
    return replace(
        published,
        orders_per_account=_limit(given.orders_per_account, published.orders_per_account),
        certificates_per_registered_domain=_limit(
            given.certificates_per_registered_domain, published.certificates_per_registered_domain
        ),
        certificates_per_exact_set=_limit(given.certificates_per_exact_set, published.certificates_per_exact_set),
        failed_validations=_limit(given.failed_validations, published.failed_validations),
        renewals_exempt=exempt,
    )


def _limit(given: RateLimit | None, published: Limit | None) -> Limit | None:
    return published if given is None else Limit(given.count, given.period)


def unlimited(clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> AccountBudget:
    """Return the budget of an account at a CA that publishes no limits."""
    return AccountBudget(CaBudget(LimitProfile(), clock), "")


def _ahead_of(limit: Limit) -> dt.timedelta:
    return limit.period / limit.count * max(1, limit.count // KEPT_PARTS)


_NEVER: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_FIELDS_OF_SPEC: Final = (
    "orders_per_account",
    "certificates_per_registered_domain",
    "certificates_per_exact_set",
    "failed_validations",
)
_FIELDS: Final = {
    "orders": "ordersPerAccount",
    "domain": "certificatesPerRegisteredDomain",
    "set": "certificatesPerExactSet",
    "failures": "failedValidations",
}
"""What limits are called in an issuer's spec and in metrics, by the first part of their keys."""
