from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from certwright.acme import RenewalInfo, renewal_by_lifetime
from certwright.cli.acme.renewal_decision import decide, early_renewals, heard, is_to_be_asked
from certwright.cli.acme.settings import IssuanceSettings, Metadata, RenewalState

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LONG = Metadata(IssuanceSettings(("a.example.test",), "https://ca.example.test"), START, START, START + 90 * DAY, "0a")
SHORT = replace(LONG, not_after=START + 6 * DAY)
NOTHING = RenewalState("0a")


@pytest.mark.parametrize(("days", "due"), [(90, 60), (45, 30), (10, 10 - 10 / 3), (9, 4.5), (6, 3)])
def test_a_third_of_the_life_is_left_or_a_half_of_a_short_one(days: float, due: float) -> None:
    assert abs(renewal_by_lifetime(START, START + days * DAY) - (START + due * DAY)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("metadata", "state", "after", "due"),
    [
        (LONG, NOTHING, 59.9 * DAY, False),
        (LONG, NOTHING, 60 * DAY, True),
        (SHORT, NOTHING, 2.9 * DAY, False),
        (SHORT, NOTHING, 3 * DAY, True),
        # The CA's word goes before the lifetime, in both directions.
        (LONG, replace(NOTHING, at=START + 5 * DAY), 6 * DAY, True),
        (LONG, replace(NOTHING, at=START + 70 * DAY), 65 * DAY, False),
        # But not beyond the end, nor until it is too late for a second try.
        (LONG, replace(NOTHING, at=START + 95 * DAY), 65 * DAY, True),
        (LONG, replace(NOTHING, at=START + 89.9 * DAY), 81.1 * DAY, True),
        # A window of the whole lifetime says nothing.
        (LONG, replace(NOTHING, window_start=START, window_end=START + 90 * DAY, at=START + DAY), 2 * DAY, False),
        # What was issued early itself is not replaced by a window from before, and by a later one after a pause.
        (LONG, replace(NOTHING, at=START - HOUR), DAY, True),
        (LONG, replace(NOTHING, at=START - HOUR, early_renewals=1), 50 * DAY, False),
        (LONG, replace(NOTHING, at=START + HOUR, early_renewals=3), 30 * HOUR, False),
        (LONG, replace(NOTHING, at=START + HOUR, early_renewals=3), 37 * HOUR, True),
        # A run half a day after the last one renews what would be due before the next.
        (LONG, replace(NOTHING, looked_at=START + 59.1 * DAY), 59.6 * DAY, True),
        (LONG, replace(NOTHING, looked_at=START + 59.0 * DAY), 59.1 * DAY, False),
        # That the last one was a month ago does not mean that the next one comes in a month.
        (LONG, replace(NOTHING, looked_at=START), 50 * DAY, False),
        # A clock that went back is no reason.
        (LONG, replace(NOTHING, looked_at=START + 80 * DAY), 50 * DAY, False),
    ],
)
def test_when_it_is_due(metadata: Metadata, state: RenewalState, after: timedelta, due: bool) -> None:  # noqa: FBT001
    assert decide(metadata, state, START + after).now is due


def test_a_ca_that_wants_each_certificate_renewed_at_once_gets_ever_fewer() -> None:
    """As with a cache that is stale, or a window that is always an hour ago; `renew` runs every hour."""
    for window in (timedelta(), -HOUR):
        issued, state, orders = START, NOTHING, 0
        for hour in range(24 * 30):
            now = START + hour * HOUR
            metadata = replace(LONG, issued_at=issued, not_before=issued - HOUR, not_after=issued + 90 * DAY)
            info = (
                RenewalInfo(START - 2 * HOUR, START - HOUR) if not window else RenewalInfo(now - HOUR, now + window / 2)
            )
            state = replace(heard(state, info, now), looked_at=now)
            if decide(metadata, state, now).now:
                state, issued = RenewalState("0a", early_renewals=early_renewals(metadata, state, now)), now
                orders += 1
        assert 1 <= orders <= 5, window


def test_a_limit_is_waited_for() -> None:
    state = replace(NOTHING, retry_at=START + 62 * DAY)
    waiting = decide(LONG, state, START + 61 * DAY)
    assert (waiting.now, waiting.waits, waiting.at) == (False, True, START + 62 * DAY)
    assert decide(LONG, state, START + 62 * DAY).now
    assert not decide(LONG, state, START + 50 * DAY).waits


def test_the_instant_is_kept_while_the_window_is() -> None:
    info = RenewalInfo(START + 50 * DAY, START + 52 * DAY, "https://ca.example.test/why", retry_after=3600)
    first = heard(NOTHING, info, START)
    assert first.at is not None
    assert info.start <= first.at <= info.end
    assert first.ask_again == START + HOUR
    again = heard(first, info, START + DAY)
    assert (again.at, again.ask_again) == (first.at, START + DAY + HOUR)
    moved = heard(again, RenewalInfo(START, START + HOUR), START + DAY)
    assert moved.at is not None
    assert moved.at <= START + HOUR
    assert decide(LONG, moved, START + DAY).now
    assert "https://ca.example.test/why" in decide(LONG, first, START).reason


def test_the_ca_is_asked_when_its_word_has_run_out() -> None:
    assert is_to_be_asked(NOTHING, START)
    state = replace(NOTHING, ask_again=START + HOUR)
    assert not is_to_be_asked(state, START)
    assert is_to_be_asked(state, START + HOUR)
