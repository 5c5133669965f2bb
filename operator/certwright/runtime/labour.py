"""Measures the CPU time of a reconciliation: its steps on the event loop, and its jobs in threads.

A step on the event loop cannot be interrupted, and nothing else happens meanwhile, not even a renewal of the lease.
Only its end shows that it took too long, and this must be noticed then, as there may be no other chance to act on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

Spent: TypeAlias = "Callable[[float], None]"
"""Called with the CPU seconds of each step or job, at its end."""

_SPENT: ContextVar[Spent | None] = ContextVar("_SPENT", default=None)


async def metered(work: Coroutine[Any, Any, T], spent: Spent) -> T:
    """Run some work, and report the CPU time of each step, including those of tasks that it creates, and of its jobs.

    To include tasks, the loop needs `make_task` as its task factory.
    """
    token = _SPENT.set(spent)
    try:
        return await _Metered(work, spent)
    finally:
        _SPENT.reset(token)


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread, like `asyncio.to_thread`, and count its CPU time for the current work.

    Only for functions that hold the GIL; generating an RSA key does not, so it may take long.
    """
    spent = _SPENT.get()
    if spent is None:
        return await asyncio.to_thread(function, *args, **kwargs)

    def job() -> T:
        started = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent(time.thread_time() - started)

    return await asyncio.to_thread(job)


def make_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T] | Generator[Any, None, T], **options: Any
) -> asyncio.Task[T]:
    """Create a task whose steps count for the work that created it, for `loop.set_task_factory`."""
    spent = _SPENT.get()
    if spent is not None and isinstance(work, Coroutine):
        work = _Metered(work, spent)
    return asyncio.Task(work, loop=loop, **options)


class _Metered(Coroutine[Any, Any, T]):
    """A coroutine whose steps are timed.

    Args:
        work: The coroutine.
        spent: Called after each step.
    """

    def __init__(self, work: Coroutine[Any, Any, T], spent: Spent) -> None:
        self._work = work
        self._spent = spent

    def send(self, value: Any) -> Any:
        """Run a step."""
        started = time.thread_time()
        try:
            return self._work.send(value)
        finally:
            self._spent(time.thread_time() - started)

    def throw(self, *error: Any) -> Any:
        """Run a step that begins with an exception."""
        started = time.thread_time()
        try:
            return self._work.throw(*error)
        finally:
            self._spent(time.thread_time() - started)

    def close(self) -> None:
        """End it."""
        self._work.close()

    def __await__(self) -> Generator[Any, None, T]:
        return self

    def __iter__(self) -> _Metered[T]:
        return self

    def __next__(self) -> Any:
        return self.send(None)
