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
"""A next look that comes sooner than this is immediate: a timer rings a little early when the wall clock is slow."""
MOST_IN_A_ROW: Final = 5
"""So many immediate looks in a row change nothing that can be seen before the next one waits."""
MOST_IN_WINDOW: Final = 60
"""So many there may be in a window whatever they change: two looks may undo what the other did, for ever."""
WINDOW_SECONDS: Final = 600.0
MAX_KEYS: Final = 10_000
"""So many keys with immediate looks are known at once; beyond it the one that asked longest ago is forgotten."""


@dataclass
class _Row:
    """Immediate looks at one key.

    Attributes:
        looks: How many in a row, since something happened.
        pauses: How many were made to wait in a row.
        progress: What could be seen after the last of them.
        times: When they were asked for, those of the window.
    """

    looks: int = 0
    pauses: int = 0
    progress: Hashable = None
    times: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_IN_WINDOW))

    def is_crowded(self, now: float) -> bool:
        """Whether there were as many in the window as there may be."""
        return len(self.times) == MOST_IN_WINDOW and now - self.times[0] < WINDOW_SECONDS


class LoopGuard(Generic[K]):
    """Turns immediate looks at a key into pauses that grow from 2 s to 5 min, after a few in a row without effect.

    Args:
        on_pause: Called with a key whose next look had to wait.
        now: The clock, in seconds; that of the event loop unless a test says otherwise.
    """

    def __init__(self, on_pause: Callable[[K], object], *, now: Callable[[], float] | None = None) -> None:
        self._on_pause = on_pause
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._rows: OrderedDict[K, _Row] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are known."""
        return len(self._rows)

    def seconds(self, key: K, result: Result, progress: Callable[[K], Hashable]) -> float | None:
        """Return in how many seconds a key is to be looked at again; None if only an event brings it back.

        Args:
            key: What was looked at.
            result: What the look ended in.
            progress: Returns what can be seen of the key's object; asked only after an immediate look.
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
        """Note that something happened to a key's object, such as a change by its owner: looks have a reason again."""
        self._calm(key, self._now())

    def forget(self, key: K) -> None:
        """Forget a key that is gone."""
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
