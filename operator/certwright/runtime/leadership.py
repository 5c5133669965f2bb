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

    It is a kind of cancellation, because it is handled like one: nothing is retried, classified or written to a status.
    The current work just ends, and the next leader resumes it from what is written down.
    """


def boot_clock() -> float:
    """Return seconds since boot, including suspended time where the system supports that.

    Linux's monotonic clock stops during a suspension, so a laptop or a virtual machine that wakes up would trust a
    lease that ended long ago. (A hypervisor that stops a machine together with all its clocks cannot be detected.)
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Leadership:
    """The right to act until a given time, which every renewal of the lease extends.

    It begins once and ends once: a process that lost it never gets it back, because it could not tell which of its work
    predates the loss.

    Args:
        clock: The clock, in seconds; `boot_clock` except in tests.

    Attributes:
        begun: Set when the leadership begins.
    """

    def __init__(self, *, clock: Callable[[], float] = boot_clock) -> None:
        self._clock = clock
        self._until = -math.inf
        self._ended = False
        self.begun = asyncio.Event()

    @classmethod
    def unlimited(cls) -> Leadership:
        """Return a leadership that has begun and never ends, for an operator without leader election."""
        leadership = cls()
        leadership.extend(math.inf)
        return leadership

    @property
    def left(self) -> float:
        """Seconds until it ends; 0 or negative if it has ended or not begun."""
        return 0.0 if self._ended else self._until - self._clock()

    def holds(self) -> bool:
        """Whether this process may act now."""
        return self.left > 0

    @property
    def is_limited(self) -> bool:
        """Whether other processes may lead before or after."""
        return self._until != math.inf

    def check(self) -> None:
        """Raise `NotLeading` unless this process may act now."""
        if not self.holds():
            raise NotLeading

    def extend(self, until: float) -> bool:
        """Begin, or extend the end.

        Args:
            until: The new end, by the clock.

        Returns:
            Whether that was possible: not if it has already ended, or the time has passed.
        """
        if self._ended or (self.begun.is_set() and not self.holds()) or until <= self._clock():
            return False
        self._until = max(self._until, until)
        self.begun.set()
        return True

    def end(self) -> None:
        """End it permanently."""
        self._ended = True
