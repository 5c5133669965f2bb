"""One at a time, for each thing that must not be changed by two at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

K = TypeVar("K")


class Turns(Generic[K]):
    """Locks by key; one that nobody holds or waits for takes no memory."""

    def __init__(self) -> None:
        self._locks: dict[K, _CountedLock] = {}

    @asynccontextmanager
    async def at(self, key: K) -> AsyncIterator[None]:
        """Wait until nobody else is inside with the same key."""
        counted = self._locks.setdefault(key, _CountedLock())
        counted.users += 1
        try:
            async with counted.lock:
                yield
        finally:
            counted.users -= 1
            if not counted.users:
                self._locks.pop(key, None)


class _CountedLock:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
