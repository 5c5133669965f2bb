"""Who waits for capacity in a CA's limit, and who is next: fair between namespaces, the most urgent first."""

from __future__ import annotations

import bisect
import datetime as dt
from collections import Counter
from enum import IntEnum
from typing import Final, NamedTuple

MAX_IN_NAMESPACE: Final = 1000
"""So many of a namespace have a place. Others come again later: a place takes memory, and theirs would be far away."""
MAX_PLACES: Final = 20_000
"""The same for all namespaces together."""
PATIENCE: Final = dt.timedelta(minutes=5)
"""Who does not come for so long after its turn loses its place."""
SWEEP: Final = dt.timedelta(seconds=30)
"""How often lost places are looked for."""
SMALLEST_SHARE: Final = 4
"""A namespace may take as many turns as this before others' retries come before its renewals."""


class Priority(IntEnum):
    """Why an order is placed, the most important first."""

    RENEWAL = 0
    FIRST = 1
    """The first certificate, one for a changed spec, or one that somebody asked for before it is due."""
    RETRY = 2
    """After an attempt that failed."""


class Rank(NamedTuple):
    """Where somebody stands among those of its namespace.

    Attributes:
        priority: What comes first.
        time: Among equals: when the certificate expires, for renewals, else since when it waits. Unix time.
        uid: Of the Certificate.
    """

    priority: Priority
    time: float
    uid: str


class _Placed(NamedTuple):
    namespace: str
    rank: Rank
    turn: dt.datetime


class WaitingRoom:
    """Places of those who wait.

    Namespaces take turns. In each round renewals come before first certificates and these before retries, of all
    namespaces; a namespace that has had its share of the limit comes after those that have not, whatever it asks for:
    else its renewals, which it may have made up, would hold up everybody.

    Args:
        capacity: How many the limit allows in its period; the share of a namespace is its part of that.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._rows: dict[str, list[Rank]] = {}
        self._places: dict[str, _Placed] = {}
        self._served: Counter[str] = Counter()
        self._swept: dt.datetime | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._places)

    @property
    def last_turn(self) -> dt.datetime | None:
        """When the last one's turn is expected; None if nobody waits."""
        return max((placed.turn for placed in self._places.values()), default=None)

    def since(self, uid: str) -> float | None:
        """Return the time in the rank of somebody who waits."""
        placed = self._places.get(uid)
        return None if placed is None else placed.rank.time

    def ahead(self, namespace: str, rank: Rank, now: dt.datetime) -> int:
        """Return how many come before somebody, whether or not it has a place."""
        self._sweep(now)
        row = self._rows.get(namespace, [])
        index = bisect.bisect_left(row, rank)
        share = max(SMALLEST_SHARE, self._capacity // max(1, len({*self._rows, namespace})))
        mine = self._turn(namespace, index, rank, share)
        found = index
        for other, ranks in self._rows.items():
            if other != namespace:
                found += bisect.bisect_left(
                    range(len(ranks)),
                    mine,
                    key=lambda at, other=other, ranks=ranks: self._turn(other, at, ranks[at], share),  # type: ignore[misc]  # bound at once
                )
        return found

    def wait(self, namespace: str, rank: Rank, turn: dt.datetime) -> None:
        """Give somebody a place, or its place another time.

        Args:
            namespace: Of the Certificate.
            rank: Where it stands.
            turn: When it will come.
        """
        self.leave(rank.uid)
        row = self._rows.get(namespace, [])
        if len(row) >= MAX_IN_NAMESPACE or len(self._places) >= MAX_PLACES:
            if not row or row[-1] < rank:
                return
            del self._places[row.pop().uid]  # the last of the namespace makes room for one that comes before it
        bisect.insort(row, rank)
        self._rows[namespace] = row
        self._places[rank.uid] = _Placed(namespace, rank, turn)

    def served(self, namespace: str, uid: str) -> None:
        """Note that somebody has had its turn."""
        self.leave(uid)
        self._served[namespace] += 1

    def leave(self, uid: str) -> None:
        """Take somebody's place away."""
        placed = self._places.pop(uid, None)
        if placed is None:
            return
        row = self._rows[placed.namespace]
        del row[bisect.bisect_left(row, placed.rank)]
        if not row:
            del self._rows[placed.namespace]

    def _turn(self, namespace: str, index: int, rank: Rank, share: int) -> tuple[bool, int, int, float, str]:
        number = self._served[namespace] + index
        return (number >= share, rank.priority, number, rank.time, rank.uid)

    def _sweep(self, now: dt.datetime) -> None:
        if self._swept is not None and dt.timedelta() <= now - self._swept < SWEEP:
            return
        self._swept = now
        for uid in [uid for uid, placed in self._places.items() if placed.turn < now - PATIENCE]:
            self.leave(uid)
