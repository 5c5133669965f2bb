"""The result of a reconciliation: when to reconcile again."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

NOW: Final = dt.timedelta()
LONGEST: Final = dt.timedelta(days=3650)
"""As good as never; a number of seconds that no timedelta holds becomes this."""


@dataclass(frozen=True)
class Result:
    """When a key is to be looked at again, besides the events that bring it back in any case.

    Attributes:
        after: How long until then, never negative; None if only an event brings it back.
        said: Why, in a word or two for the log; no part of what makes two results equal.
    """

    after: dt.timedelta | None = None
    said: str = field(default="", compare=False)

    ON_EVENT: ClassVar[Result]
    """Only an event brings the key back."""

    def __post_init__(self) -> None:
        """Take a time that is past for now."""
        if self.after is not None and self.after < NOW:
            object.__setattr__(self, "after", NOW)

    @property
    def seconds(self) -> float | None:
        """Seconds until then; None if only an event brings the key back."""
        return None if self.after is None else self.after.total_seconds()

    @classmethod
    def again_in(cls, seconds: float) -> Result:
        """Look again in so many seconds, at once if they are over.

        Raises:
            ValueError: It is not a number.
        """
        if math.isnan(seconds):
            raise ValueError("the time until the next look is not a number")
        return cls(dt.timedelta(seconds=max(0.0, seconds)) if seconds < LONGEST.total_seconds() else LONGEST)

    @classmethod
    def again_at(cls, time: dt.datetime, now: dt.datetime) -> Result:
        """Look again at this time, at once if it is past."""
        return cls(time - now)

    def no_later_than(self, limit: dt.timedelta) -> Result:
        """Return this, or a look after `limit` if that comes first."""
        return self if self.after is not None and self.after <= limit else Result(limit, self.said)

    def saying(self, why: str) -> Result:
        """Return this with what the log is to say of it."""
        return replace(self, said=why)


Result.ON_EVENT = Result()
