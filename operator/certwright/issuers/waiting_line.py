"""The queue of those who wait for the end of a CA's rate limit; namespaces take turns."""

from __future__ import annotations

import bisect
import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    import datetime as dt


class Waiter(Protocol):
    """Whoever may wait; it can be hashed."""

    @property
    def namespace(self) -> str:
        """Namespaces take turns."""


Who = TypeVar("Who", bound=Waiter)


class _Place(NamedTuple):
    ticket: int
    look: dt.datetime


class WaitingLine(Generic[Who]):
    """Places of those who wait: in each round the first of each namespace, then the second, and so on.

    A look of one costs a few steps for each namespace, however many wait: with thousands of Certificates behind one
    limit, a walk along the line in each of their looks would keep the process busy.
    """

    def __init__(self) -> None:
        self._rows: OrderedDict[str, list[int]] = OrderedDict()
        self._places: dict[Who, _Place] = {}
        self._holders: dict[int, Who] = {}
        self._looks: list[tuple[dt.datetime, int]] = []
        self._called: set[Who] = set()
        self._tickets = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._places)

    def arrive(self, who: Who, now: dt.datetime) -> None:
        """Note that somebody has come, who gets a place at the end of its namespace unless it has one."""
        if who in self._places:
            self.comes_at(who, now)
            return
        self._tickets += 1
        self._rows.setdefault(who.namespace, []).append(self._tickets)
        self._holders[self._tickets] = who
        self._places[who] = _Place(self._tickets, now)
        bisect.insort(self._looks, (now, self._tickets))

    def comes_at(self, who: Who, look: dt.datetime) -> None:
        """Note when somebody who has a place comes again."""
        self._called.discard(who)
        ticket, before = self._places[who]
        del self._looks[bisect.bisect_left(self._looks, (before, ticket))]
        self._places[who] = _Place(ticket, look)
        bisect.insort(self._looks, (look, ticket))

    def leave(self, who: Who) -> None:
        """Take somebody's place away."""
        place = self._places.pop(who, None)
        if place is None:
            return
        del self._looks[bisect.bisect_left(self._looks, (place.look, place.ticket))]
        del self._holders[place.ticket]
        self._called.discard(who)
        row = self._rows[who.namespace]
        del row[bisect.bisect_left(row, place.ticket)]
        if not row:
            del self._rows[who.namespace]

    def served(self, who: Who) -> None:
        """Take the place of somebody whose turn it is; the other namespaces come before its own now."""
        self.leave(who)
        if who.namespace in self._rows:
            self._rows.move_to_end(who.namespace)

    def drop_before(self, time: dt.datetime) -> None:
        """Take away the places of those who were to come before a time, and did not."""
        while self._looks and self._looks[0][0] < time:
            self.leave(self._holders[self._looks[0][1]])

    def ahead(self, who: Who) -> int:
        """Return how many come before somebody who has a place."""
        depth, found, extra = self._depth(who), 0, 1
        for namespace, row in self._rows.items():
            if namespace == who.namespace:
                found, extra = found + depth, 0
            else:
                found += min(len(row), depth + extra)
        return found

    def is_due_before(self, who: Who, begin: dt.datetime, end: dt.datetime) -> bool:
        """Whether one of those who come before somebody is to come between two times."""
        depth, order = self._depth(who), None
        for index in range(bisect.bisect_right(self._looks, (begin, self._tickets)), len(self._looks)):
            look, ticket = self._looks[index]
            if look >= end:
                return False
            other = self._holders[ticket]
            if other == who:
                continue
            if order is None:
                order = {namespace: number for number, namespace in enumerate(self._rows)}
            if (self._depth(other), order[other.namespace]) < (depth, order[who.namespace]):
                return True
        return False

    def call(self, number: int, now: dt.datetime) -> list[Who]:
        """Return the first few who were not called yet; they keep their places until they come, for a while."""
        found: list[Who] = []
        for depth in itertools.count():
            reached = [self._holders[row[depth]] for row in self._rows.values() if depth < len(row)]
            found += [who for who in reached if who not in self._called][: number - len(found)]
            if not reached or len(found) == number:
                break
        for who in found:
            self.comes_at(who, now)
        self._called.update(found)
        return found

    def _depth(self, who: Who) -> int:
        return bisect.bisect_left(self._rows[who.namespace], self._places[who].ticket)
