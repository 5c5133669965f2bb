"""Maintenance windows: when the next one is open. Pure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from certwright.resources.cron import SEARCHED_DAYS, parse_schedule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.resources import RenewalWindow

LONGEST: Final = dt.timedelta(days=31)
"""So long a window is open at most."""
LAST_YEAR: Final = 9990
"""Calendars end soon after it; only a forged certificate ends so late."""


class Opening(NamedTuple):
    """One time that a window is open."""

    start: dt.datetime
    end: dt.datetime


def next_opening(windows: Iterable[RenewalWindow], time: dt.datetime, *, until: dt.datetime) -> Opening | None:
    """Return the first opening that is not over at a time and begins before another; None if there is none."""
    if time.year > LAST_YEAR:
        return None
    found = [one for window in windows if (one := _opening(window, time, until)) is not None]
    return min(found, default=None)


def _opening(window: RenewalWindow, time: dt.datetime, until: dt.datetime) -> Opening | None:
    duration = min(window.duration, LONGEST)
    days = min((until - time + duration).days + 2, SEARCHED_DAYS)
    for start in parse_schedule(window.schedule).matches(time - duration, ZoneInfo(window.time_zone), days=days):
        if start >= until:
            return None
        if start + duration > time:
            return Opening(start, start + duration)
    return None
