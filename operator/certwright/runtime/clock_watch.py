"""Notices when the wall clock was set or the machine was suspended, which timers do not."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from certwright.runtime.leadership import boot_clock

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
NOTICED_SECONDS: Final = 2.0
"""The difference at which everything is reconciled; a slewed clock also reaches it after a while."""


class ClockWatch:
    """Compares the wall clock with the clock that timers run on.

    Renewals are due by the wall clock, but timers use the monotonic one, which stops while a machine is suspended and
    does not follow when the wall clock is set.

    Args:
        on_step: Called when the clocks diverge.
        wall: The wall clock, in seconds.
        timer: The clock of timers, in seconds.
        boot: Seconds since boot, including suspended time; only for the log message.
    """

    def __init__(
        self,
        on_step: Callable[[], None],
        *,
        wall: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        boot: Callable[[], float] = boot_clock,
    ) -> None:
        self._on_step = on_step
        self._wall = wall
        self._timer = timer
        self._boot = boot
        self._ahead, self._suspended = self._differences()

    async def run(self) -> None:
        """Compare the clocks every few seconds until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Compare the clocks once."""
        ahead, suspended = self._differences()
        step, slept = ahead - self._ahead, suspended - self._suspended
        if abs(step) < NOTICED_SECONDS:
            return
        self._ahead, self._suspended = ahead, suspended
        what = f"the machine was suspended for {slept:.0f} s" if slept > NOTICED_SECONDS else "the wall clock was set"
        logger.warning("%s (it is %+.0f s from where it was expected); checking everything again", what, step)
        self._on_step()

    def _differences(self) -> tuple[float, float]:
        timer = self._timer()
        return self._wall() - timer, self._boot() - timer
