"""Times and tables in readable form."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE: Final = dt.timedelta(minutes=1)
HOUR: Final = dt.timedelta(hours=1)
DAY: Final = dt.timedelta(days=1)
_TWO_UNITS_BELOW: Final = 10
_GAP: Final = "   "


def span(length: dt.timedelta) -> str:
    """Return a length of time: `42s`, `5m30s`, `12m`, `5h12m`, `23h`, `9d4h`, `59d`."""
    length = abs(length)
    for unit, word, smaller, smaller_word in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "m"),
        (MINUTE, "m", None, "s"),
    ):
        if length < unit * (2 if unit == DAY else 1):
            continue
        whole, rest = divmod(length, unit)
        part = int(rest / (smaller or dt.timedelta(seconds=1)))
        return f"{whole}{word}{part}{smaller_word}" if whole < _TWO_UNITS_BELOW and part else f"{whole}{word}"
    return f"{int(length.total_seconds())}s"


def relative(time: dt.datetime | None, now: dt.datetime, *, none: str = "-") -> str:
    """Return when something is or was: `in 59d`, `3h ago`."""
    if time is None:
        return none
    return f"in {span(time - now)}" if time > now else f"{span(now - time)} ago"


def both(time: dt.datetime | None, now: dt.datetime, *, none: str = "unknown") -> str:
    """Return when something is or was, in both ways: `2026-01-31T12:00:00Z (in 59d)`."""
    return none if time is None else f"{rfc3339(time)} ({relative(time, now)})"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table with columns as wide as what is in them, the last one as it is."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (headings, *rows)
    ]
