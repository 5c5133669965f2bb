"""Schedules in cron's five fields, as Kubernetes' CronJobs take them, and when they next match in a time zone."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from certwright.resources.text_rule import Hint, TextRule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_HOUR_LONG: Final = dt.timedelta(hours=1)
_DAY_LONG: Final = dt.timedelta(days=1)
SEARCHED_DAYS: Final = 400
"""So far ahead a match is looked for; what matches less often than once a year is as good as never."""


def _field(value: str) -> str:
    part = rf"(?:\*|(?:{value})(?:-(?:{value}))?)(?:/[1-9][0-9]?)?"
    return rf"{part}(?:,{part})*"


_MINUTE: Final = _field("[0-5]?[0-9]")
_HOUR: Final = _field("[01]?[0-9]|2[0-3]")
_DAY: Final = _field("0?[1-9]|[12][0-9]|3[01]")
_MONTH: Final = _field(f"0?[1-9]|1[0-2]|(?i:{'|'.join(_MONTHS)})")
_WEEKDAY: Final = _field(f"[0-7]|(?i:{'|'.join(_DAYS)})")

CRON: Final = TextRule(
    pattern=rf"{_MINUTE} +{_HOUR} +{_DAY} +{_MONTH} +{_WEEKDAY}|{'|'.join(_MACROS)}",
    message="is not a cron schedule: write minute, hour, day of month, month and day of week, such as 0 2 * * SUN",
    max_length=100,
    hints=(
        Hint("^(?:CRON_)?TZ=", "has a time zone: write it in timeZone"),
        Hint("^@", "is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually"),
        Hint(
            "^ *[^ ]+(?: +[^ ]+){0,3} *$",
            "has fewer than five fields: minute, hour, day of month, month, day of week, such as 0 2 * * SUN",
        ),
        Hint("^ *[^ ]+(?: +[^ ]+){5,}", "has more than five fields: there is none for seconds or years"),
    ),
)


@dataclass(frozen=True)
class Schedule:
    """What a text of five fields matches.

    Attributes:
        minutes: In ascending order, as for the others.
        hours: Of the day.
        days: Of the month.
        months: From 1.
        weekdays: From 0, Sunday.
        either_day: Whether one of day of month and day of week is enough: cron's rule when both are restricted.
        every_hour: Whether all hours match, so that an hour that comes twice counts twice.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    every_hour: bool

    def matches_day(self, day: dt.date) -> bool:
        """Whether there are matches on a day."""
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either_day else of_month and of_week

    def matches(self, after: dt.datetime, zone: ZoneInfo, *, days: int = SEARCHED_DAYS) -> Iterator[dt.datetime]:
        """Yield the matches at or after a time, aware UTC, in their order.

        A local time that a change of the clock leaves out counts when it would have come by the clock before. One that
        comes twice counts the first time, and both times if the schedule is for every hour.

        Args:
            after: The time, aware.
            zone: Whose clock the fields are about.
            days: How many days are searched.
        """
        # A change of the clock moves a match by less than a day.
        day = (after.astimezone(zone) - dt.timedelta(days=1)).date()
        last = day + dt.timedelta(days=days + 1)
        while day <= last:
            if day.month not in self.months:
                day = _first_of_next_month(day)
                continue
            if self.matches_day(day):
                yield from self._of_day(day, after, zone)
            day += _DAY_LONG

    def _of_day(self, day: dt.date, after: dt.datetime, zone: ZoneInfo) -> Iterator[dt.datetime]:
        """Yield the matches of a day at or after a time; those of one whose clock is not changed by arithmetic."""
        midnight = dt.datetime(day.year, day.month, day.day, tzinfo=zone)
        begin, end = midnight.astimezone(dt.UTC), (midnight + _DAY_LONG).astimezone(dt.UTC)
        if end - begin != _DAY_LONG or midnight.replace(fold=1).astimezone(dt.UTC) != begin:
            yield from (time for time in self._of_changed_day(day, zone) if time >= after)
            return
        for hour in self.hours:
            full = begin + dt.timedelta(hours=hour)
            if full + _HOUR_LONG <= after:
                continue
            for minute in self.minutes:
                time = full + dt.timedelta(minutes=minute)
                if time >= after:
                    yield time

    def _of_changed_day(self, day: dt.date, zone: ZoneInfo) -> list[dt.datetime]:
        """Return the matches of a day; minutes are converted one by one only in the hours about the change."""
        found: set[dt.datetime] = set()
        for hour in self.hours:
            full = dt.datetime(day.year, day.month, day.day, hour, tzinfo=zone)
            ends = (full, full.replace(minute=59))
            if len({end.replace(fold=fold).utcoffset() for end in ends for fold in (0, 1)}) == 1:
                begin = full.astimezone(dt.UTC)
                found.update(begin + dt.timedelta(minutes=minute) for minute in self.minutes)
                continue
            for minute in self.minutes:
                local = full.replace(minute=minute)
                found.add(local.astimezone(dt.UTC))
                if self.every_hour:
                    found.add(local.replace(fold=1).astimezone(dt.UTC))
        return sorted(found)


def _first_of_next_month(day: dt.date) -> dt.date:
    return (day.replace(day=28) + dt.timedelta(days=4)).replace(day=1)


@lru_cache(maxsize=256)
def parse_schedule(text: str) -> Schedule:
    """Parse a schedule.

    Raises:
        ValueError: It is none; the message says why.
    """
    CRON.check(text)
    minute, hour, day, month, weekday = _MACROS.get(text, text).split()
    days, weekdays = _numbers(day, 1, 31), _numbers(weekday, 0, 7, _DAYS)
    return Schedule(
        minutes=tuple(sorted(_numbers(minute, 0, 59))),
        hours=tuple(sorted(_numbers(hour, 0, 23))),
        days=frozenset(days),
        months=frozenset(_numbers(month, 1, 12, _MONTHS, first_name=1)),
        weekdays=frozenset(number % 7 for number in weekdays),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
        every_hour=hour == "*",
    )


def _numbers(field: str, least: int, most: int, names: tuple[str, ...] = (), *, first_name: int = 0) -> set[int]:
    """Return what a field matches. A range may go around its end: FRI-MON."""
    found: set[int] = set()
    for part in field.lower().split(","):
        span, _, step_text = part.partition("/")
        step = int(step_text or 1)
        begin, _, end = span.partition("-")
        if span == "*":
            first, last = least, most
        else:
            first = _number(begin, names, first_name)
            # As in Kubernetes: N/STEP goes on to the end.
            last = _number(end, names, first_name) if end else most if step_text else first
        if first <= last:
            found.update(range(first, last + 1, step))
        else:
            around = [*range(first, most + 1), *range(least, last + 1)]
            found.update(around[::step])
    return found


def _number(text: str, names: tuple[str, ...], first_name: int) -> int:
    return names.index(text) + first_name if re.fullmatch("[a-z]+", text) else int(text)
