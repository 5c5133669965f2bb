"""What the parts of a simulation share: the clock, chance, and who is dead."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.simulation.loop import VirtualLoop

START: Final = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAY: Final = 86_400.0


class World:
    """The time as the operator sees it, and as it is.

    Args:
        loop: Whose time passes.
        seed: Of all chance.

    Attributes:
        offset: By how many seconds the clock of the operator's machine is wrong.
        counts: What has happened, by name.
        process: The process of the operator; the requests of an earlier one have no effect any more.
    """

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.loop = loop
        self.random = random.Random(seed)  # noqa: S311 - to be repeated
        self.offset = 0.0
        self.counts: Counter[str] = Counter()
        self.process = 0
        self.countdown: int | None = None
        self.died = asyncio.Event()

    @property
    def true_now(self) -> dt.datetime:
        """The time as CAs have it."""
        return START + dt.timedelta(seconds=self.loop.time())

    def now(self) -> dt.datetime:
        """The time as the operator has it."""
        return self.true_now + dt.timedelta(seconds=self.offset)

    def seconds(self) -> float:
        """The same in seconds since 1970."""
        return self.now().timestamp()

    def chance(self, probability: float) -> bool:
        """Throw a die."""
        return self.random.random() < probability

    def live_or_die(self, process: int) -> None:
        """Let a request pass, unless the process that sends it is dead, or dies of it.

        Args:
            process: Which one it is.

        Raises:
            CancelledError: It is.
        """
        if process != self.process:
            raise asyncio.CancelledError
        if self.countdown is not None:
            self.countdown -= 1
            if self.countdown <= 0:
                self.kill()
                raise asyncio.CancelledError

    def kill(self) -> None:
        """Kill the process: from now on nothing that it sends has an effect."""
        self.countdown = None
        self.process += 1
        self.counts["restarts"] += 1
        self.died.set()
