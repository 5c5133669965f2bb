from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.resources import InvalidDuration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("2160h", timedelta(days=90)),
        ("2160h0m0s", timedelta(days=90)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1.5h", timedelta(hours=1, minutes=30)),
        ("90s", timedelta(seconds=90)),
        ("0s", timedelta(0)),
        ("250ms", timedelta(milliseconds=250)),
        ("1.000001s", timedelta(seconds=1, microseconds=1)),
        ("1m30.5s", timedelta(seconds=90, milliseconds=500)),
    ],
)
def test_go_durations_are_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a duration"),
        ("90d", "a unit for days"),
        ("2w", "a unit for days or weeks"),
        ("-1h", "is negative"),
        ("90", "has no unit"),
        ("1m1h", "is not a duration"),
        ("1 h", "is not a duration"),
        ("P90D", "a unit for days"),
        ("9999999h", "is not a duration"),
        ("h", "is not a duration"),
        ("1h" + "0" * 40 + "m", "longer than"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InvalidDuration, match=message):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=90), "2160h"),
        (timedelta(hours=1, minutes=30), "1h30m"),
        (timedelta(minutes=2), "2m"),
        (timedelta(0), "0s"),
        (timedelta(seconds=1, milliseconds=500), "1.5s"),
        (timedelta(hours=1, seconds=1), "1h1s"),
    ],
)
def test_durations_are_written_in_their_shortest_form(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@pytest.mark.parametrize("duration", [timedelta(microseconds=-1), timedelta(hours=1_000_000)])
def test_what_no_object_can_hold_is_not_written(duration: timedelta) -> None:
    with pytest.raises(InvalidDuration, match="out of range"):
        format_duration(duration)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=999_999)))
def test_a_written_duration_reads_the_same(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(alphabet="0123456789.hms-", max_size=12))
def test_any_text_is_read_or_refused_never_worse(text: str) -> None:
    try:
        duration = parse_duration(text)
    except InvalidDuration:
        return
    assert duration >= timedelta(0)
