"""The three ways in which the client depends on time, for tests to replace."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """Wall clock, stop watch and sleep.

    Attributes:
        now: The time in UTC, aware. Needed for a Retry-After in the form of a date.
        monotonic: Seconds from an arbitrary start, never going back. Time-outs and ages are measured with it.
        sleep: Waits for a number of seconds.
    """

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
