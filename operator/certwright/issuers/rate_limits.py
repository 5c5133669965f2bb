"""Shares a CA's 429 among all users of an account."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from certwright.issuers.waiting_line import WaitingLine
from certwright.resources import RateLimitStatus
from certwright.runtime.backoff import CLOCK_TOLERANCE, wait_until
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from certwright.acme import Identifier, RateLimited

LONGEST_SHARED: Final = dt.timedelta(hours=1)
"""After so long one of those who wait tries, whatever the CA said: it may have been about the one it said it to."""
FIRST_PACE: Final = dt.timedelta(seconds=10)
"""Between requests after a wait, until it is known what the CA bears."""
LONGEST_PACE: Final = dt.timedelta(minutes=5)
SHORTEST_PACE: Final = dt.timedelta(seconds=0.5)
"""At a pace below this there is no limit any more."""
FIRST_ROW: Final = 4
"""So many requests have to go well at a pace before it is doubled; twice as many each time that was too fast."""
LONGEST_ROW: Final = 64
PROBE_PATIENCE: Final = dt.timedelta(minutes=3)
"""Who was let through and is not heard of for so long keeps the others no more."""
PUNCTUAL: Final = dt.timedelta(seconds=2)
"""Who comes so long before or after its turn is about to come."""
NEAR: Final = 2
"""So many of those who come next are there when their turn should be."""
SLEEPS_ON: Final = 2
"""The others sleep for so many times as long, as they are called: few turns come sooner than expected,"""
LONGEST_SLEEP: Final = dt.timedelta(hours=6)
"""but no longer than this after the wait that holds for everybody."""
NEXT: Final = 1
"""So many are called while there is a limit, to learn when their turn is."""
RELEASED_FIRST: Final = 8
"""When there is no limit any more so many of those who wait are woken, in their order,"""
RELEASED_EACH: Final = 2
"""and so many more for each request that goes well: if the CA refuses again, the others have slept on."""
WORTH_KEEPING: Final = dt.timedelta(seconds=30)
"""A shorter wait is not written to the issuer's status."""
CONCURRENT_ORDERS: Final = 4
"""Orders of one account that are being placed at once: so many may be refused before the first refusal is known."""

Kind = Literal["newOrder", "other"]


class Turn(NamedTuple):
    """When it is somebody's turn.

    Attributes:
        at: About when, at the present pace.
        look: When to come again unless it is called.
    """

    at: dt.datetime
    look: dt.datetime


class RateLimitWait(Exception):
    """An order was not placed, because it is the turn of others.

    Attributes:
        turn: When it is this one's.
    """

    def __init__(self, turn: Turn) -> None:
        super().__init__(f"other Certificates come first until {rfc3339(turn.at)}")
        self.turn = turn


class Asker(NamedTuple):
    """Who wants to send a request.

    Attributes:
        namespace: Namespaces take turns.
        uid: The object.
    """

    namespace: str
    uid: str


class RateLimit:
    """The wait that a CA asked for, and the order in which those who wait are let through.

    After the wait one goes first. If that goes well the next follows at a pace, which grows until the CA refuses again
    or there is no limit any more. Whoever is next is called each time, so that the others can sleep on, however many.

    When there is no limit any more those who wait are woken, a few first and more for each request that goes well.

    Args:
        paced: Whether requests follow at a pace; else all go once the first has gone well.
        release: Wakes some of those who wait.

    Attributes:
        said: What the CA said last.
    """

    _since: dt.datetime | None
    _until: dt.datetime | None
    _asked: tuple[dt.datetime, dt.datetime] | None
    _last_good: dt.datetime | None
    _first: Asker | None
    _first_since: dt.datetime | None
    _pace: dt.timedelta
    _good: int
    _row: int

    def __init__(self, *, paced: bool, release: Callable[[Sequence[Asker]], None] = lambda _askers: None) -> None:
        self._paced, self._release = paced, release
        self.said = ""
        self._line: WaitingLine[Asker] = WaitingLine()
        self._open()

    @property
    def closed(self) -> bool:
        """Whether there is a limit now."""
        return self._until is not None

    @property
    def until(self) -> dt.datetime | None:
        """The end of the wait that holds for everybody; None if there is no limit."""
        return self._until

    def enter(self, asker: Asker, now: dt.datetime) -> Turn | None:
        """Return None if the request may be sent now, else when its turn comes. Tell `went_well` or `left`."""
        if not self.closed or asker == self._first:
            self._line.leave(asker)
            return None
        wait = wait_until(self._until, now, since=self._since)
        self._line.arrive(asker, now)
        self._line.drop_before(now - PROBE_PATIENCE)
        # Whoever comes is let through, unless one before is about to come.
        is_free = wait is None and not self._is_busy(now)
        if is_free and not self._line.is_due_before(asker, now - PUNCTUAL, now + PUNCTUAL):
            self._line.served(asker)
            self._first, self._first_since = asker, now
            return None
        pace = max(self._pace, SHORTEST_PACE)
        begin, ahead = wait or now + pace, self._line.ahead(asker)
        row = ahead * pace
        turn = Turn(begin + row, begin + (row if ahead <= NEAR else min(row * SLEEPS_ON, LONGEST_SLEEP)))
        self._line.comes_at(asker, turn.look)
        return turn

    def went_well(self, asker: Asker, now: dt.datetime) -> None:
        """Note that the CA did what was asked."""
        if not self.closed:
            self._wake(RELEASED_EACH, now)
        if not self.closed or asker != self._first:
            return
        self._first = None
        self._good += 1
        if self._good >= self._row:
            self._good, self._pace = 0, self._pace / 2
        if not self._paced or self._pace < SHORTEST_PACE:
            self._open()
            self._wake(RELEASED_FIRST, now)
            return
        self._last_good, self._since, self._until = now, now, now + self._pace
        self._wake(NEXT, now)

    def left(self, asker: Asker, now: dt.datetime) -> None:
        """Note that nothing is known of what became of a request."""
        if asker == self._first:
            self._first = None
            self._wake(NEXT, now)

    def forget(self, asker: Asker, now: dt.datetime) -> None:
        """Note that somebody never comes again: those behind must not wait for it to be heard of."""
        self._line.leave(asker)
        self.left(asker, now)
        if self.closed:
            self._wake(NEXT, now)

    def refused(self, until: dt.datetime, now: dt.datetime, said: str) -> None:
        """Note that the CA refused.

        Args:
            until: When requests are possible again, as the CA said.
            now: The present time.
            said: What it said.
        """
        until = min(until, now + LONGEST_SHARED)
        self._first = None
        self.said = said
        self._good = 0
        if self._last_good is None:
            self._pace = min(until - now, FIRST_PACE)
        else:
            self._pace = until - self._last_good
            self._row = min(self._row * 2, LONGEST_ROW)
        self._pace = min(max(self._pace, SHORTEST_PACE), LONGEST_PACE)
        self._last_good = None
        until = max(until, wait_until(self._until, now, since=self._since) or until)
        self._since, self._until = now, until
        self._asked = (now, until)
        self._wake(NEXT, now)

    def kept(self, kind: Kind, now: dt.datetime) -> RateLimitStatus | None:
        """Return what is to be in the issuer's status; None if nothing is worth it."""
        if self._asked is None or self._asked[1] - self._asked[0] < WORTH_KEEPING:
            return None
        since, until = (time.replace(microsecond=0) for time in self._asked)
        if until <= now:
            return None  # as it is written, or whoever waits for its end looks again and again in its last second
        return RateLimitStatus(requests=kind, since=since, until=until, message=self.said[:1000])

    def restore(self, kept: RateLimitStatus, now: dt.datetime) -> None:
        """Take up a wait that an earlier process wrote, if it could have."""
        begun = kept.since - now <= CLOCK_TOLERANCE
        if self.closed or not begun or not now < kept.until <= kept.since + LONGEST_SHARED + CLOCK_TOLERANCE:
            return
        self.refused(kept.until, min(kept.since, now), kept.message)

    def _open(self) -> None:
        self._since = self._until = self._last_good = self._first_since = None
        self._asked = None
        self._pace = dt.timedelta()
        self._good, self._row = 0, FIRST_ROW
        self._first = None

    def _wake(self, number: int, now: dt.datetime) -> None:
        if len(self._line):
            self._line.drop_before(now - PROBE_PATIENCE)
            self._release(self._line.call(number, now))

    def _is_busy(self, now: dt.datetime) -> bool:
        since = self._first_since
        if self._first is None or since is None:
            return False
        return dt.timedelta() <= now - since < PROBE_PATIENCE


class AccountLimits:
    """The limits of one account at one CA.

    Args:
        release: Wakes some of those who wait for one of them.

    Attributes:
        orders: For new orders.
        others: For everything else.
    """

    def __init__(self, release: Callable[[Sequence[Asker]], None] = lambda _askers: None) -> None:
        self.orders = RateLimit(paced=True, release=release)
        self.others = RateLimit(paced=False, release=release)
        self._placing = asyncio.Semaphore(CONCURRENT_ORDERS)

    def of(self, action: str) -> RateLimit:
        """Return the limit for an action; see `RequestRecord.action`."""
        return self.orders if action == "newOrder" else self.others

    def forget(self, asker: Asker, now: dt.datetime) -> None:
        """Note that somebody never comes again."""
        for limit in (self.orders, self.others):
            limit.forget(asker, now)

    @asynccontextmanager
    async def placing(self, asker: Asker, now: dt.datetime) -> AsyncIterator[None]:
        """Wait until an order may be placed, inside.

        Raises:
            RateLimitWait: The CA has refused another one meanwhile.
        """
        async with self._placing:
            turn = self.orders.enter(asker, now)
            if turn is not None:
                raise RateLimitWait(turn)
            yield

    def kept(self, now: dt.datetime) -> tuple[RateLimitStatus, ...]:
        """Return what is to be in the issuer's status."""
        found = (self.orders.kept("newOrder", now), self.others.kept("other", now))
        return tuple(one for one in found if one is not None)

    def restore(self, kept: Iterable[RateLimitStatus], now: dt.datetime) -> None:
        """Take up the waits in an issuer's status."""
        for one in kept:
            self.of(one.requests).restore(one, now)


def is_about_names(error: RateLimited, identifiers: Iterable[Identifier]) -> bool:
    """Return whether a refusal is about what was ordered, and not about the account: others may order then.

    CAs say so in words only: they name the domain, or speak of the set of names.
    """
    if error.identifiers:
        return True
    said = f"{error.problem.detail} {error.problem.title}".lower()
    return "exact set" in said or any(domain in said for one in identifiers for domain in _domains(one))


def _domains(identifier: Identifier) -> Iterator[str]:
    """Return a domain and those above it, but for the last label."""
    labels = identifier.value.removeprefix("*.").lower().split(".")
    yield from (".".join(labels[start:]) for start in range(max(1, len(labels) - 1)))
