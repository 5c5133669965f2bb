import datetime as dt
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.resources.cron import CRON, parse_schedule

BERLIN, UTC = ZoneInfo("Europe/Berlin"), ZoneInfo("Etc/UTC")


def times(schedule: str, after: str, count: int, zone: ZoneInfo = UTC) -> list[str]:
    found = parse_schedule(schedule).matches(dt.datetime.fromisoformat(after + "+00:00"), zone)
    return [time.strftime("%m-%dT%H:%M") for time in islice(found, count)]


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("30 2 * * *", "2026-06-01T02:30", ["06-01T02:30", "06-02T02:30"]),
        ("*/20 4 * * *", "2026-06-01T04:05", ["06-01T04:20", "06-01T04:40", "06-02T04:00"]),
        ("10/25 4 * * *", "2026-06-01T04:05", ["06-01T04:10", "06-01T04:35", "06-02T04:10"]),
        ("0 2 * * SAT,sun", "2026-06-01T00:00", ["06-06T02:00", "06-07T02:00", "06-13T02:00"]),
        ("0 2 * * FRI-MON", "2026-06-02T00:00", ["06-05T02:00", "06-06T02:00", "06-07T02:00", "06-08T02:00"]),
        ("0 2 * * 7", "2026-06-01T00:00", ["06-07T02:00"]),
        ("0 0 29 FEB *", "2027-03-01T00:00", ["02-29T00:00"]),
        ("0 0 13 * FRI", "2026-06-01T00:00", ["06-05T00:00", "06-12T00:00", "06-13T00:00"]),
        ("@monthly", "2026-06-02T00:00", ["07-01T00:00", "08-01T00:00"]),
        ("0  3,5-6   1 */6 *", "2026-06-02T00:00", ["07-01T03:00", "07-01T05:00", "07-01T06:00", "01-01T03:00"]),
    ],
)
def test_what_a_schedule_matches(schedule: str, after: str, expected: list[str]) -> None:
    assert times(schedule, after, len(expected)) == expected


def test_a_schedule_that_never_matches_is_not_searched_for_ever() -> None:
    assert times("0 0 31 2 *", "2026-06-01T00:00", 1) == []


def test_clocks_that_are_changed() -> None:
    assert times("30 2 * * *", "2026-03-28T12:00", 2, BERLIN) == ["03-29T01:30", "03-30T00:30"]
    assert times("30 2 * * *", "2026-10-24T12:00", 2, BERLIN) == ["10-25T00:30", "10-26T01:30"]
    hours = times("0 * * * *", "2026-10-24T22:00", 5, BERLIN)
    assert hours == ["10-24T22:00", "10-24T23:00", "10-25T00:00", "10-25T01:00", "10-25T02:00"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 2 * *", "fewer than five fields"),
        ("0 0 2 * * *", "more than five fields"),
        ("TZ=UTC 0 2 * * *", "write it in timeZone"),
        ("@often", "is not one of @hourly"),
        ("60 2 * * *", "is not a cron schedule"),
        ("0 2 0 * *", "is not a cron schedule"),
        ("0 2 * * MOO", "is not a cron schedule"),
        ("*/0 2 * * *", "is not a cron schedule"),
        ("0 2 * * L", "is not a cron schedule"),
        ("", "is not a cron schedule"),
    ],
)
def test_what_is_no_schedule(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_schedule(text)


@given(st.from_regex(CRON.pattern, fullmatch=True, alphabet="*/-,@ 0123456789abcdefghijlmnoprstuvwy"))
def test_what_the_api_server_accepts_can_be_computed(text: str) -> None:
    if len(text) <= CRON.max_length:
        schedule = parse_schedule(text)
        assert schedule.minutes
        assert schedule.hours
        assert schedule.weekdays <= set(range(7))
        next(schedule.matches(dt.datetime(2026, 6, 1, tzinfo=dt.UTC), BERLIN), None)


class CountingZone(ZoneInfo):
    """Berlin's clock; counts how often it is asked for its offset."""

    asked = 0

    def utcoffset(self, time: dt.datetime | None) -> dt.timedelta | None:
        type(self).asked += 1
        return super().utcoffset(time)


@pytest.mark.parametrize("day", ["2026-06-01", "2026-03-29", "2026-10-25"])
def test_a_match_of_every_minute_costs_no_conversion_of_every_minute(day: str) -> None:
    """Whoever may write a Certificate chooses schedule and day; each look computes it on the event loop."""
    zone = CountingZone.no_cache("Europe/Berlin")
    CountingZone.asked = 0
    after = dt.datetime.fromisoformat(f"{day}T20:00+00:00")
    assert next(parse_schedule(f"* * {after.day} * *").matches(after, zone)) == after
    assert CountingZone.asked < 700


@given(
    st.sampled_from(["* * * * *", "30 2 * * *", "*/17 0,23 * * *", "15 1 28-31 3,10 SUN", "10 * * 3,10 0"]),
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns", "Pacific/Apia"]),
    st.datetimes(dt.datetime(2011, 1, 1), dt.datetime(2030, 1, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001 - naive
)
def test_what_is_computed_is_what_the_clock_on_the_wall_shows(text: str, name: str, after: dt.datetime) -> None:
    schedule, zone = parse_schedule(text), ZoneInfo(name)
    found = list(schedule.matches(after, zone, days=1))
    assert found == sorted(set(found))
    for time in found[:: max(1, len(found) // 20)]:
        local = time.astimezone(zone)
        assert time >= after
        if (local + dt.timedelta(hours=3)).utcoffset() == (local - dt.timedelta(hours=3)).utcoffset():
            assert local.minute in schedule.minutes
            assert local.hour in schedule.hours
            assert schedule.matches_day(local.date())
