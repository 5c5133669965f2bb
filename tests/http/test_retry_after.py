from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.http.message import Headers
from certwright.http.retry_after import MAX_RETRY_AFTER, retry_after_seconds

NOW = datetime(1994, 11, 6, 8, 49, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("3", 3),
        (" 120 ", 120),
        ("9" * 5000, MAX_RETRY_AFTER),
        ("999999999", MAX_RETRY_AFTER),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 30),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 30),
        ("Sun Nov  6 08:49:37 1994", 30),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        ("Sun, 06 Nov 2094 08:49:37 GMT", MAX_RETRY_AFTER),
    ],
)
def test_seconds_and_all_three_forms_of_dates_are_understood_and_clamped(value: str, seconds: float) -> None:
    assert retry_after_seconds(Headers({"retry-after": value}), now=NOW) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "-1", ".5", "soon", "٣", "1e3", "Sun, 99 Nov 1994 08:49:37 GMT", "0x10"],
)
def test_garbage_is_ignored(value: str) -> None:
    assert retry_after_seconds(Headers({"Retry-After": value}), now=NOW) is None


def test_no_field_is_no_wait() -> None:
    assert retry_after_seconds(Headers(), now=NOW) is None


def test_a_date_counts_from_the_clock_of_the_server() -> None:
    headers = Headers({"Retry-After": "Sun, 06 Nov 1994 09:00:10 GMT", "Date": "Sun, 06 Nov 1994 09:00:00 GMT"})
    assert retry_after_seconds(headers, now=NOW) == 10


@given(st.text(max_size=200), st.text(max_size=60))
def test_no_value_breaks_it_and_every_answer_is_in_bounds(value: str, date: str) -> None:
    seconds = retry_after_seconds(Headers({"Retry-After": value, "Date": date}), now=NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@given(st.integers(0, int(MAX_RETRY_AFTER)))
def test_a_date_and_its_seconds_mean_the_same(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds(Headers({"Retry-After": date}), now=NOW) == seconds
