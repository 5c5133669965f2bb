"""A small, bounded cache for data that changes rarely, with one lookup at a time for each key."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class ExpiringCache(Generic[K, V]):
    """Caches results for a while. All callers that wait for a failing lookup get its error, which is not kept."""

    def __init__(self, *, seconds: float, max_entries: int = 4096, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._max_entries = max_entries
        self._clock = clock
        self._entries: dict[K, tuple[float, V]] = {}
        self._running: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        """Return the cached value, or the result of `make`. If `make` fails, all waiting callers get the exception."""
        entry = self._entries.get(key)
        if entry and self._clock() < entry[0]:
            return entry[1]
        task = self._running.get(key)
        if task is None:
            task = asyncio.ensure_future(self._make(key, make))
            self._running[key] = task
            task.add_done_callback(_retrieve)
        # Shielded, so that the cancellation of one caller does not affect the others.
        return await asyncio.shield(task)

    async def _make(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        try:
            value = await make()
        finally:
            self._running.pop(key, None)
        # The oldest goes first; dicts keep the order of insertion.
        self._entries.pop(key, None)
        while len(self._entries) >= self._max_entries:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (self._clock() + self._seconds, value)
        return value


def _retrieve(task: asyncio.Task[V]) -> None:
    """Retrieve the error of a lookup that no caller waits for, so that asyncio does not warn about it."""
    if not task.cancelled():
        task.exception()
