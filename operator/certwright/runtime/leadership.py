"""Whether this process may act; everything checks this before it sends a request."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class NotLeading(asyncio.CancelledError):
    """The right to act has ended, or has not begun.

    A kind of cancellation, because it is handled as one: nothing is retried, classified or written to a status; the
    work in hand just ends, and whoever leads next takes it up from what is written down.
    """


def boot_clock() -> float:
    """Return seconds since boot, those in which the machine was suspended included where the system tells them.

    The monotonic clock of Linux stands still meanwhile; a laptop or a virtual machine that wakes up would believe in a
    lease that ended long ago. (A hypervisor that stops a machine together with all of its clocks cannot be noticed.)
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Leadership:
    """The right to act, until a time that every renewal of the lease moves on.

    It begins once and ends once: a process that lost it never gets it back, because it could not tell which of the work
    in hand is from before.

    Args:
        clock: In seconds; `boot_clock` unless a test says otherwise.

    Attributes:
        begun: Set when it begins.
    """

    def __init__(self, *, clock: Callable[[], float] = boot_clock) -> None:
        self._clock = clock
        self._until = -math.inf
        self._ended = False
        self.begun = asyncio.Event()

    @classmethod
    def unlimited(cls) -> Leadership:
        """Return one for an operator that runs alone: it has begun, and nothing ends it."""
        leadership = cls()
        leadership.extend(math.inf)
        return leadership

    @property
    def left(self) -> float:
        """Seconds until it ends unless it is extended; negative or 0 when it is over or has not begun."""
        return 0.0 if self._ended else self._until - self._clock()

    def holds(self) -> bool:
        """Whether this process may act now."""
        return self.left > 0

    @property
    def is_limited(self) -> bool:
        """Whether others may lead before or after."""
        return self._until != math.inf

    def check(self) -> None:
        """Raise `NotLeading` unless this process may act now."""
        if not self.holds():
            raise NotLeading

    def extend(self, until: float) -> bool:
        """Begin, or move the end on.

        Args:
            until: A time of the clock.

        Returns:
            Whether that could be done: not if it is over already, or the time is past.
        """
        if self._ended or (self.begun.is_set() and not self.holds()) or until <= self._clock():
            return False
        self._until = max(self._until, until)
        self.begun.set()
        return True

    def end(self) -> None:
        """End it for good."""
        self._ended = True
