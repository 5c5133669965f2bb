from __future__ import annotations

import datetime as dt

import pytest

from certwright.runtime.result import Result

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("result", "seconds"),
    [
        (Result.ON_EVENT, None),
        (Result.again_in(2.5), 2.5),
        (Result.again_in(-1), 0.0),
        (Result.again_at(NOW + HOUR, NOW), 3600.0),
        (Result.again_at(NOW - HOUR, NOW), 0.0),
    ],
    ids=["on an event", "later", "in the past", "at a time", "at a time that is past"],
)
def test_when_to_look_again(result: Result, seconds: float | None) -> None:
    assert result.seconds == seconds


@pytest.mark.parametrize(
    ("result", "bounded"),
    [
        (Result.ON_EVENT, Result(HOUR)),
        (Result.again_in(60), Result.again_in(60)),
        (Result.again_in(7200), Result(HOUR)),
    ],
    ids=["instead of never", "it is sooner", "it is later"],
)
def test_a_look_is_no_later_than_a_limit(result: Result, bounded: Result) -> None:
    assert result.no_later_than(HOUR) == bounded
