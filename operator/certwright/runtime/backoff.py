"""Growing pauses after consecutive failures."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import Final

FIRST_SECONDS: Final = 2.0
LONGEST_SECONDS: Final = 300.0
CLOCK_TOLERANCE: Final = dt.timedelta(minutes=5)
"""How much the clocks of two replicas may differ before a wait written by the other one is ignored."""


@dataclass(frozen=True)
class Backoff:
    """Consecutive transient failures of one kind of work, and the pause after the last one.

    Attributes:
        failures: The number of failures; 0 after a success.
        not_before: The earliest time of the next attempt; None for immediately.
        reported: Reason and message of the last failure, so that it is not reported twice.
        since: The time of the last failure. If it is in the future, the clock was set back, and the pause is void.
    """

    failures: int = 0
    not_before: dt.datetime | None = None
    reported: tuple[str, str] | None = None
    since: dt.datetime | None = None

    def failed(
        self, now: dt.datetime, *, not_before: dt.datetime | None = None, reported: tuple[str, str] | None = None
    ) -> Backoff:
        """Return the back-off after one more failure.

        Args:
            now: The current time.
            not_before: The time that the server asked for; the later of this and our own pause applies.
            reported: Reason and message of the failure.
        """
        failures = self.failures + 1
        return Backoff(failures, max(now + pause_after(failures), not_before or now), reported, now)

    def pause(self, now: dt.datetime) -> dt.datetime | None:
        """Return the time of the next attempt if it is in the future, otherwise None."""
        return wait_until(self.not_before, now, since=self.since)


def wait_until(time: dt.datetime | None, now: dt.datetime, *, since: dt.datetime | None) -> dt.datetime | None:
    """Return the end of a wait if it is in the future, otherwise None.

    A wait that began in the future was written while the clock was wrong, or before it was set back, so it is ignored.

    Args:
        time: The end of the wait; None if there is none.
        now: The current time.
        since: When the wait began; None if unknown.
    """
    if time is None or time <= now or (since is not None and since - now > CLOCK_TOLERANCE):
        return None
    return time


def pause_after(failures: int) -> dt.timedelta:
    """Return how long to wait after so many failures (1 or more) in a row: 2 s doubling to 5 min, with jitter."""
    seconds = min(FIRST_SECONDS * 2 ** min(failures - 1, 16), LONGEST_SECONDS)
    return dt.timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
