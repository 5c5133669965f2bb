"""The scheduler: renewals, polls and retries wait in one heap."""

from __future__ import annotations

import asyncio
import heapq
import math
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")


class Scheduler(Generic[K]):
    """Hands over each key at its time; a key has at most one time.

    Args:
        due: Called with each key at its time.
        now: The clock, in seconds; the monotonic one except in tests.
    """

    def __init__(self, due: Callable[[K], None], *, now: Callable[[], float] | None = None) -> None:
        self._due = due
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._heap: list[tuple[float, int, K]] = []
        self._times: dict[K, tuple[float, int]] = {}
        self._sequence = 0
        self._earlier = asyncio.Event()

    def __len__(self) -> int:
        """The number of scheduled keys."""
        return len(self._times)

    def at(self, key: K, seconds: float) -> None:
        """Schedule a key in this many seconds, replacing its former time.

        Raises:
            ValueError: The time is not a number, which would break the order of the heap.
        """
        if math.isnan(seconds):
            raise ValueError(f"the time of {key} is not a number")
        self._sequence += 1
        entry = (self._now() + max(0.0, seconds), self._sequence)
        self._times[key] = entry
        heapq.heappush(self._heap, (*entry, key))
        if self._heap[0][1] == self._sequence:
            self._earlier.set()
        if len(self._heap) > 2 * len(self._times) + 64:
            self._compact()

    def no_later(self, key: K, seconds: float) -> None:
        """Schedule a key in this many seconds, unless it is already scheduled earlier."""
        known = self._times.get(key)
        if known is None or known[0] > self._now() + seconds:
            self.at(key, seconds)

    def forget(self, key: K) -> None:
        """Drop a key's time."""
        self._times.pop(key, None)

    async def run(self) -> None:
        """Hand keys over until cancelled."""
        while True:
            self._earlier.clear()
            wait = self._hand_over()
            try:
                async with asyncio.timeout(wait):
                    await self._earlier.wait()
            except TimeoutError:
                continue

    def _hand_over(self) -> float | None:
        """Hand over all keys that are due; return the seconds until the next one, or None."""
        while self._heap:
            time, sequence, key = self._heap[0]
            if self._times.get(key) != (time, sequence):
                heapq.heappop(self._heap)
                continue
            wait = time - self._now()
            if wait > 0:
                return wait
            heapq.heappop(self._heap)
            del self._times[key]
            self._due(key)
        return None

    def _compact(self) -> None:
        """Drop replaced entries, so that the heap stays within twice the number of keys."""
        self._heap = [(time, sequence, key) for key, (time, sequence) in self._times.items()]
        heapq.heapify(self._heap)
