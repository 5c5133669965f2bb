"""A thread with an event loop of its own, for code that may block: what it does holds up nothing else."""

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
"""An event loop that does not come round in that time is blocked."""


class Blocked(Exception):
    """The thread has not come back to its event loop for too long."""


class Failed(Exception):
    """What was raised in the thread, whatever it is: `SystemExit` there ends nothing here.

    Attributes:
        error: What was raised.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class Apart(Generic[T]):
    """An object that lives in a thread of its own: it is made there, and all its methods run there.

    The thread is a daemon: one that never ends does not keep the process from ending.

    Args:
        make: Makes the object; called in the thread, at the first call.
        name: Of the thread.
    """

    def __init__(self, make: Callable[[], T], *, name: str) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._object: T | None = None
        self.is_closed = False
        self.running = 0
        """How many calls have not ended in the thread."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, act: Callable[[T], Awaitable[R]], *, seconds: float) -> R:
        """Run something in the thread, and wait for it in the loop of the caller.

        Args:
            act: Gets the object. What it raises is raised here.
            seconds: How long it may take.

        Raises:
            TimeoutError: It took longer; it was told to end.
            Blocked: As above, and it is in a call that blocks, so it cannot be told.
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
        # In the caller's context: what it asks for is asked for on behalf of the same tenant.
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
        """End the thread once what runs in it comes back to the event loop."""
        self.is_closed = True
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._loop.stop)

    @property
    def is_alive(self) -> bool:
        """Whether the thread has not ended."""
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
