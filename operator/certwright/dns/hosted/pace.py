"""The pace at which one credential may send requests."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Pace:
    """Lets requests go at a given rate, in the order in which they came; a few at once after a pause.

    Args:
        per_second: How many, in the long run.
        at_once: How many after a pause.
        monotonic: The clock, in seconds.
        sleep: Waits.
    """

    def __init__(
        self,
        per_second: float,
        at_once: int = 1,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gap = 1 / per_second
        self._at_once = at_once
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether the next one has to wait."""
        return self._next > self._monotonic()

    async def turn(self) -> None:
        """Wait for a turn."""
        now = self._monotonic()
        self._next = max(self._next, now - self._gap * (self._at_once - 1)) + self._gap
        wait = self._next - self._gap - now
        if wait > 0:
            await self._sleep(wait)

    def hold(self, seconds: float) -> None:
        """Let nobody go for some seconds; those who wait already do not wait longer."""
        self._next = max(self._next, self._monotonic() + seconds)
