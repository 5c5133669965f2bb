"""Delays reconciliations that keep asking to run again immediately, so that a defect does not become a busy loop."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from certwright.runtime.backoff import pause_after

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from certwright.runtime.result import Result

K = TypeVar("K", bound="Hashable")

logger = logging.getLogger(__name__)

IMMEDIATE_SECONDS: Final = 1.0
"""A reconciliation that follows sooner than this is immediate; timers fire slightly early if the wall clock is slow."""
MOST_IN_A_ROW: Final = 5
"""How many immediate reconciliations in a row may have no visible effect before the next one is delayed."""
MOST_IN_WINDOW: Final = 60
"""The limit in a time window even with effects, because two reconciliations may undo each other forever."""
WINDOW_SECONDS: Final = 600.0
MAX_KEYS: Final = 10_000
"""The maximum number of tracked keys; beyond that, the least recent one is dropped."""


@dataclass
class _Row:
    """Immediate reconciliations of one key.

    Attributes:
        looks: How many in a row, since the last event.
        pauses: How many in a row were delayed.
        progress: The visible state after the last one.
        times: When they were requested, within the window.
    """

    looks: int = 0
    pauses: int = 0
    progress: Hashable = None
    times: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_IN_WINDOW))

    def is_crowded(self, now: float) -> bool:
        """Whether the limit of the window is reached."""
        return len(self.times) == MOST_IN_WINDOW and now - self.times[0] < WINDOW_SECONDS


class LoopGuard(Generic[K]):
    """Delays immediate reconciliations of a key by 2 s, growing to 5 min, after a few in a row without effect.

    Args:
        on_pause: Called with a key whose next reconciliation is delayed.
        now: The clock, in seconds; that of the event loop except in tests.
    """

    def __init__(self, on_pause: Callable[[K], object], *, now: Callable[[], float] | None = None) -> None:
        self._on_pause = on_pause
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._rows: OrderedDict[K, _Row] = OrderedDict()

    def __len__(self) -> int:
        """The number of tracked keys."""
        return len(self._rows)

    def seconds(self, key: K, result: Result, progress: Callable[[K], Hashable]) -> float | None:
        """Return in how many seconds to reconcile a key again; None for only after an event.

        Args:
            key: The key.
            result: The result of the reconciliation.
            progress: Returns the visible state of the key's object; called only for immediate reconciliations.
        """
        seconds, now = result.seconds, self._now()
        if seconds is None or seconds >= IMMEDIATE_SECONDS:
            self._calm(key, now)
            return seconds
        row = self._rows.setdefault(key, _Row())
        self._rows.move_to_end(key)
        if len(self._rows) > MAX_KEYS:
            self._rows.popitem(last=False)
        seen = progress(key)
        if seen != row.progress and not row.is_crowded(now):
            row.looks, row.pauses, row.progress = 0, 0, seen
        row.looks += 1
        crowded = row.is_crowded(now)
        row.times.append(now)
        if row.looks <= MOST_IN_A_ROW and not crowded:
            return seconds
        return self._pause(key, row, result)

    def happened(self, key: K) -> None:
        """Note an event for a key's object, such as a change by its owner, which resets the count."""
        self._calm(key, self._now())

    def forget(self, key: K) -> None:
        """Drop a key that is gone."""
        self._rows.pop(key, None)

    def _calm(self, key: K, now: float) -> None:
        row = self._rows.get(key)
        if row is None or row.is_crowded(now):
            return
        row.looks = row.pauses = 0
        if now - row.times[-1] >= WINDOW_SECONDS:
            del self._rows[key]

    def _pause(self, key: K, row: _Row, result: Result) -> float:
        row.pauses += 1
        seconds = pause_after(row.pauses).total_seconds()
        self._on_pause(key)
        if row.pauses == 1:
            logger.error(
                "%s was reconciled again %d times in a row without effect (%s); it now waits %.0f s, and longer each "
                "time. This is a bug in Certwright: please report it",
                key,
                row.looks,
                result.said or "the look does not say why",
                seconds,
            )
        return seconds
