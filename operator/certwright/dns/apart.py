"""A thread with its own event loop, for code that may block, so that it does not delay anything else."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
R = TypeVar("R")

ANSWER_SECONDS: Final = 1.0
"""An event loop that does not respond within this time counts as blocked."""


class Blocked(Exception):
    """The thread has not returned to its event loop for too long."""


class Failed(Exception):
    """An exception in the thread, of any kind, so that `SystemExit` there does not end this process.

    Attributes:
        error: The exception.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class Apart(Generic[T]):
    """An object that lives in its own thread: it is created there, and all its methods run there.

    The thread is a daemon, so a call that never returns does not keep the process from exiting.

    Args:
        make: Creates the object; called in the thread before the first call.
        name: The name of the thread.
    """

    def __init__(self, make: Callable[[], T], *, name: str) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._object: T | None = None
        self.is_closed = False
        self.running = 0
        """How many calls are running in the thread."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, act: Callable[[T], Awaitable[R]], *, seconds: float) -> R:
        """Run a function in the thread, and wait for it in the caller's loop.

        Args:
            act: Called with the object. Its exceptions are raised here.
            seconds: The time limit.

        Raises:
            TimeoutError: It took longer, and was cancelled.
            Blocked: It took longer, and cannot be cancelled, because it is in a blocking call.
        """
        here, ended = asyncio.get_running_loop(), asyncio.Event()
        outcome: concurrent.futures.Future[R] = concurrent.futures.Future()
        tasks: list[asyncio.Task[None]] = []

        def end() -> None:
            self.running -= 1
            ended.set()

        async def work() -> None:
            try:
                if self._object is None:
                    self._object = self._make()
                outcome.set_result(await act(self._object))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the caller's to judge
                outcome.set_exception(Failed(error))
            finally:
                with suppress(RuntimeError):  # the loop of the caller is closed: nobody waits any more
                    here.call_soon_threadsafe(end)

        self.running += 1
        # In the caller's context, so that its requests count for the same tenant.
        self._soon(lambda: tasks.append(self._loop.create_task(work(), context=copy_context())))
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except (TimeoutError, asyncio.CancelledError) as error:
            self._soon(lambda: [one.cancel() for one in tasks])
            if isinstance(error, TimeoutError) and not await self._answers():
                raise Blocked from None
            raise
        return outcome.result()

    def _soon(self, act: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(act, context=copy_context())

    async def _answers(self) -> bool:
        alive, here = asyncio.Event(), asyncio.get_running_loop()
        self._loop.call_soon_threadsafe(lambda: here.call_soon_threadsafe(alive.set))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await alive.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """End the thread as soon as it returns to its event loop."""
        self.is_closed = True
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._loop.stop)

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()
