"""Growing pauses after consecutive failures."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import Final

FIRST_SECONDS: Final = 2.0
LONGEST_SECONDS: Final = 300.0
CLOCK_TOLERANCE: Final = dt.timedelta(minutes=5)
"""By how much the clocks of two replicas may differ without a wait that the other wrote being taken for nonsense."""


@dataclass(frozen=True)
class Backoff:
    """Transient failures in a row of one kind of work, and the pause after the last of them.

    Attributes:
        failures: How many there were; 0 after a success.
        not_before: No further try before this time; None if one may be made at once.
        reported: Reason and message of the last failure, which is no news when it comes again.
        since: When the last failure was. If the clock is before that it was set back, and the pause means nothing.
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
            now: The present time.
            not_before: What the other side asked for; the later of this and our own pause holds.
            reported: Reason and message of the failure.
        """
        failures = self.failures + 1
        return Backoff(failures, max(now + pause_after(failures), not_before or now), reported, now)

    def pause(self, now: dt.datetime) -> dt.datetime | None:
        """Return the time of the next try if it is yet to come, else None."""
        return wait_until(self.not_before, now, since=self.since)


def wait_until(time: dt.datetime | None, now: dt.datetime, *, since: dt.datetime | None) -> dt.datetime | None:
    """Return the end of a wait if it is yet to come, else None.

    A wait that begins in the future was written while the clock was wrong, or before it was set back: it is over.

    Args:
        time: The end of the wait; None if there is none.
        now: The present time.
        since: When the wait began; None if that is not known.
    """
    if time is None or time <= now or (since is not None and since - now > CLOCK_TOLERANCE):
        return None
    return time


def pause_after(failures: int) -> dt.timedelta:
    """Return how long to wait after so many failures (1 or more) in a row: 2 s doubling to 5 min, with jitter."""
    seconds = min(FIRST_SECONDS * 2 ** min(failures - 1, 16), LONGEST_SECONDS)
    return dt.timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
