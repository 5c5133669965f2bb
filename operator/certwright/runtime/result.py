"""The result of a reconciliation: when to reconcile again."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

NOW: Final = dt.timedelta()
LONGEST: Final = dt.timedelta(days=3650)
"""Practically never; replaces a number of seconds that is too large for a timedelta."""


@dataclass(frozen=True)
class Result:
    """When to reconcile a key again, apart from events, which always do.

    Attributes:
        after: How long until then, never negative; None for only after an event.
        said: The reason, in a word or two for the log; not part of equality.
    """

    after: dt.timedelta | None = None
    said: str = field(default="", compare=False)

    ON_EVENT: ClassVar[Result]
    """Reconcile only after an event."""

    def __post_init__(self) -> None:
        """Replace a time in the past by now."""
        if self.after is not None and self.after < NOW:
            object.__setattr__(self, "after", NOW)

    @property
    def seconds(self) -> float | None:
        """Seconds until then; None for only after an event."""
        return None if self.after is None else self.after.total_seconds()

    @classmethod
    def again_in(cls, seconds: float) -> Result:
        """Reconcile again in this many seconds, immediately if negative.

        Raises:
            ValueError: It is not a number.
        """
        if math.isnan(seconds):
            raise ValueError("the time until the next look is not a number")
        return cls(dt.timedelta(seconds=max(0.0, seconds)) if seconds < LONGEST.total_seconds() else LONGEST)

    @classmethod
    def again_at(cls, time: dt.datetime, now: dt.datetime) -> Result:
        """Reconcile again at this time, immediately if it is in the past."""
        return cls(time - now)

    def no_later_than(self, limit: dt.timedelta) -> Result:
        """Return this result, or one after `limit` if that is sooner."""
        return self if self.after is not None and self.after <= limit else Result(limit, self.said)

    def saying(self, why: str) -> Result:
        """Return this result with a reason for the log."""
        return replace(self, said=why)


Result.ON_EVENT = Result()
