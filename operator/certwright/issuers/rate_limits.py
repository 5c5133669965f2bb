"""One budget for all who use an account: what a CA's 429 to one of them means for the others."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from certwright.resources import RateLimitStatus
from certwright.runtime.backoff import CLOCK_TOLERANCE, wait_until
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

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
LONGEST_SLEEP: Final = dt.timedelta(minutes=1)
"""After the wait everybody comes this often to see whether it goes faster than expected."""
WORTH_KEEPING: Final = dt.timedelta(seconds=30)
"""A shorter wait is not written to the issuer's status."""
CONCURRENT_ORDERS: Final = 4
"""Orders of one account that are being placed at once: so many may be refused before the first refusal is known."""

Kind = Literal["newOrder", "other"]


class RateLimitWait(Exception):
    """An order was not placed, because it is the turn of others.

    Attributes:
        until: When it is this one's.
    """

    def __init__(self, until: dt.datetime) -> None:
        super().__init__(f"it is the turn of others until {rfc3339(until)}")
        self.until = until


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
    or there is no limit any more.

    Args:
        paced: Whether requests follow at a pace; else all go once the first has gone well.

    Attributes:
        said: What the CA said last.
    """

    _since: dt.datetime | None
    _until: dt.datetime | None
    _asked: tuple[dt.datetime, dt.datetime] | None
    _last_good: dt.datetime | None
    _first: Asker | None
    _first_since: dt.datetime | None
    _waiting: OrderedDict[str, OrderedDict[Asker, dt.datetime]]
    _pace: dt.timedelta
    _good: int
    _row: int

    def __init__(self, *, paced: bool) -> None:
        self._paced = paced
        self.said = ""
        self._open()

    @property
    def closed(self) -> bool:
        """Whether there is a limit now."""
        return self._until is not None

    @property
    def until(self) -> dt.datetime | None:
        """The end of the wait that holds for everybody; None if there is no limit."""
        return self._until

    def enter(self, asker: Asker, now: dt.datetime) -> dt.datetime | None:
        """Return None if the request may be sent now, else about when its turn comes. Tell `went_well` or `left`."""
        if not self.closed or asker == self._first:
            return None
        wait = wait_until(self._until, now, since=self._since)
        ahead = self._ahead(asker, now)
        # Whoever comes is let through, unless one before is about to come.
        due = any(abs(turn - now) < PUNCTUAL for turn in ahead)
        if wait is None and not due and not self._is_busy(now):
            self._forget(asker)
            self._first, self._first_since = asker, now
            return None
        pace = max(self._pace, SHORTEST_PACE)
        turn = (wait or now + pace) + min(len(ahead) * pace, LONGEST_SLEEP)
        self._waiting[asker.namespace][asker] = turn
        return turn

    def went_well(self, asker: Asker, now: dt.datetime) -> None:
        """Note that the CA did what was asked."""
        if not self.closed or asker != self._first:
            return
        self._first = None
        self._good += 1
        if self._good >= self._row:
            self._good, self._pace = 0, self._pace / 2
        if not self._paced or self._pace < SHORTEST_PACE:
            self._open()
            return
        self._last_good, self._since, self._until = now, now, now + self._pace

    def left(self, asker: Asker) -> None:
        """Note that nothing is known of what became of a request."""
        if asker == self._first:
            self._first = None

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
        self._waiting = OrderedDict()

    def _is_busy(self, now: dt.datetime) -> bool:
        since = self._first_since
        if self._first is None or since is None:
            return False
        return dt.timedelta() <= now - since < PROBE_PATIENCE

    def _forget(self, asker: Asker) -> None:
        waiting = self._waiting.get(asker.namespace)
        if waiting is None:
            return
        waiting.pop(asker, None)
        # The other namespaces come first now.
        self._waiting.move_to_end(asker.namespace)
        if not waiting:
            del self._waiting[asker.namespace]

    def _ahead(self, asker: Asker, now: dt.datetime) -> list[dt.datetime]:
        """Return the turns of those before, as namespaces take turns; who has not come for its turn has none."""
        self._waiting.setdefault(asker.namespace, OrderedDict()).setdefault(asker, now)
        for namespace, waiting in list(self._waiting.items()):
            for gone in [one for one, turn in waiting.items() if turn < now - PROBE_PATIENCE and one != asker]:
                del waiting[gone]
            if not waiting:
                del self._waiting[namespace]
        rows = [list(waiting.items()) for waiting in self._waiting.values()]
        found: list[dt.datetime] = []
        for depth in itertools.count():
            for one, turn in (row[depth] for row in rows if depth < len(row)):
                if one == asker:
                    return found
                found.append(turn)
        raise AssertionError("it is among those who wait")


class AccountLimits:
    """The limits of one account at one CA.

    Attributes:
        orders: For new orders.
        others: For everything else.
    """

    def __init__(self) -> None:
        self.orders = RateLimit(paced=True)
        self.others = RateLimit(paced=False)
        self._placing = asyncio.Semaphore(CONCURRENT_ORDERS)

    def of(self, action: str) -> RateLimit:
        """Return the limit for an action; see `RequestRecord.action`."""
        return self.orders if action == "newOrder" else self.others

    @asynccontextmanager
    async def placing(self, asker: Asker, now: dt.datetime) -> AsyncIterator[None]:
        """Wait until an order may be placed, inside.

        Raises:
            RateLimitWait: The CA has refused another one meanwhile.
        """
        async with self._placing:
            until = self.orders.enter(asker, now)
            if until is not None:
                raise RateLimitWait(until)
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
