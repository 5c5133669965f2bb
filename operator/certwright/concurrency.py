"""Helpers for asyncio: concurrent calls, locks by key, and work that a cancellation does not stop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable

K = TypeVar("K")
T = TypeVar("T")


async def gather_all(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all calls, even if one fails, so that none is still running during the next step.

    Raises:
        BaseException: The exception of the first failed call, in the given order.
    """
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def run_shielded(work: Coroutine[Any, Any, None], *, seconds: float) -> None:
    """Finish the work even if this task is cancelled; the cancellation is raised afterwards.

    Args:
        work: The work.
        seconds: The time limit, after which the work is cancelled.

    Raises:
        TimeoutError: The work did not finish in time.
    """
    task = asyncio.ensure_future(asyncio.wait_for(work, seconds))
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        # Retrieved, so that asyncio does not log an error that no task receives.
        task.exception()
        raise cancellation
    task.result()


class KeyedLock(Generic[K]):
    """Locks by key. A lock that no task holds or waits for takes no memory."""

    def __init__(self) -> None:
        self._locks: dict[K, _CountedLock] = {}

    @asynccontextmanager
    async def at(self, key: K) -> AsyncIterator[None]:
        """Wait until no other task holds the lock of this key."""
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
