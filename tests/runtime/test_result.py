from __future__ import annotations

import datetime as dt

import pytest

from certwright.runtime.result import LONGEST, Result

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("result", "seconds"),
    [
        (Result.ON_EVENT, None),
        (Result.again_in(2.5), 2.5),
        (Result.again_in(-1), 0.0),
        (Result.again_in(float("inf")), LONGEST.total_seconds()),
        (Result.again_at(NOW + HOUR, NOW), 3600.0),
        (Result.again_at(NOW - HOUR, NOW), 0.0),
    ],
    ids=["on an event", "later", "in the past", "never", "at a time", "at a time that is past"],
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


def test_a_time_that_is_not_a_number_is_refused_rather_than_taken_for_now() -> None:
    with pytest.raises(ValueError, match="not a number"):
        Result.again_in(float("nan"))


@pytest.mark.parametrize(
    "result",
    [Result(-HOUR), Result.ON_EVENT.no_later_than(-HOUR), Result.again_in(60).no_later_than(-HOUR)],
    ids=["given", "as a limit", "as an earlier limit"],
)
def test_a_time_that_is_past_is_now(result: Result) -> None:
    assert result.seconds == 0.0


def test_why_is_for_the_log_alone() -> None:
    said = Result.again_in(60).saying("Sleep")
    assert (said.said, said.no_later_than(HOUR).said, said.no_later_than(HOUR / 120).said) == ("Sleep",) * 3
    assert said == Result.again_in(60)
