"""What a look at a key ends in: when to look again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Result:
    """When a key is to be looked at again, besides the events that bring it back in any case.

    Attributes:
        after: How long until then; None if only an event brings it back.
    """

    after: dt.timedelta | None = None

    ON_EVENT: ClassVar[Result]
    """Only an event brings the key back."""

    @property
    def seconds(self) -> float | None:
        """Seconds until then; None if only an event brings the key back."""
        return None if self.after is None else self.after.total_seconds()

    @classmethod
    def again_in(cls, seconds: float) -> Result:
        """Look again in so many seconds, at once if they are over."""
        return cls(dt.timedelta(seconds=max(0.0, seconds)))

    @classmethod
    def again_at(cls, time: dt.datetime, now: dt.datetime) -> Result:
        """Look again at this time, at once if it is past."""
        return cls(max(dt.timedelta(), time - now))

    def no_later_than(self, limit: dt.timedelta) -> Result:
        """Return this, or a look after `limit` if that comes first."""
        return Result(limit if self.after is None else min(self.after, limit))


Result.ON_EVENT = Result()
