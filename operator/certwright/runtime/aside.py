"""A reconciliation that waits long for an external system gives up its worker in the meantime.

A DNS provider may not respond for one zone, or a CA not at all. The workers that wait for it would not be available to
other objects.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SLOW_SECONDS: Final = 2.0
"""A wait longer than this gives up its worker; for a shorter one, that is not worth the effort."""
SLOW_CA_SECONDS: Final = 5.0
"""The same for a step with requests to a CA: several, each of which waits for its turn, and a working CA is slower than
a name server."""


class Look:
    """A reconciliation in progress.

    Args:
        leave: Gives up its worker, and returns whether that was possible.

    Attributes:
        is_aside: Whether it has given up its worker; then it should end soon after its wait.
        on_aside: Called when it steps aside.
    """

    def __init__(self, leave: Callable[[], bool]) -> None:
        self._leave = leave
        self.is_aside = False
        self.on_aside: Callable[[], None] = lambda: None

    def step_aside(self) -> None:
        """Give up the worker, if that is possible now."""
        if not self.is_aside and self._leave():
            self.is_aside = True
            self.on_aside()


LOOK: Final[ContextVar[Look | None]] = ContextVar("LOOK", default=None)
"""The reconciliation that the current task belongs to; tasks that it starts belong to it as well."""


@asynccontextmanager
async def aside_if_slow(after: float | None = None) -> AsyncIterator[None]:
    """Step aside if the block takes long. Has no effect outside of a reconciliation.

    Args:
        after: After how many seconds to step aside; None for `SLOW_SECONDS`.
    """
    look, seconds = LOOK.get(), SLOW_SECONDS if after is None else after
    if look is None:
        yield
        return
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def step_aside() -> None:
        nonlocal timer
        look.step_aside()
        if not look.is_aside:
            timer = loop.call_later(SLOW_SECONDS, step_aside)

    timer = loop.call_later(seconds, step_aside)
    try:
        yield
    finally:
        timer.cancel()


@asynccontextmanager
async def time_limit(seconds: float, *, aside: float) -> AsyncIterator[asyncio.Timeout]:
    """Interrupt the block when it takes too long: `asyncio.timeout`.

    Args:
        seconds: The time limit.
        aside: The time limit if the reconciliation steps aside, as it then delays nothing else.
    """
    look, begun = LOOK.get(), asyncio.get_running_loop().time()
    async with asyncio.timeout(seconds) as limit:
        if look is None:
            yield limit
            return
        look.on_aside = lambda: limit.reschedule(begun + aside)
        try:
            yield limit
        finally:
            look.on_aside = lambda: None


def is_aside() -> bool:
    """Return whether the reconciliation of the current task has given up its worker."""
    look = LOOK.get()
    return look is not None and look.is_aside
