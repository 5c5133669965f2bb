from __future__ import annotations

import asyncio
import time

import pytest

from certwright.runtime.leadership import Leadership, NotLeading, boot_clock


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leadership(clock: Clock) -> Leadership:
    return Leadership(clock=clock)


def test_it_has_not_begun_at_first(leadership: Leadership) -> None:
    assert not leadership.holds()
    assert not leadership.begun.is_set()
    assert leadership.is_limited
    with pytest.raises(NotLeading):
        leadership.check()


def test_it_lasts_until_an_instant_that_can_be_moved_on(leadership: Leadership, clock: Clock) -> None:
    assert leadership.extend(1006)
    assert leadership.begun.is_set()
    clock.now = 1005.9
    leadership.check()
    assert leadership.left == pytest.approx(0.1)
    assert leadership.extend(1010)
    clock.now = 1009.9
    assert leadership.holds()
    clock.now = 1010
    assert not leadership.holds()


def test_an_earlier_end_changes_nothing(leadership: Leadership) -> None:
    leadership.extend(1006)
    assert leadership.extend(1003)
    assert leadership.left == 6


def test_what_is_over_stays_over(leadership: Leadership, clock: Clock) -> None:
    leadership.extend(1006)
    clock.now = 1006
    assert not leadership.extend(1012)
    assert not leadership.holds()


def test_what_was_ended_stays_ended(leadership: Leadership) -> None:
    leadership.extend(1006)
    leadership.end()
    assert not leadership.extend(1012)
    assert leadership.left == 0


def test_it_cannot_begin_in_the_past(leadership: Leadership) -> None:
    assert not leadership.extend(1000)
    assert not leadership.begun.is_set()


def test_an_operator_that_runs_alone_may_always_act() -> None:
    leadership = Leadership.unlimited()
    assert (leadership.holds(), leadership.begun.is_set(), leadership.is_limited) == (True, True, False)


def test_the_clock_counts_the_time_since_boot() -> None:
    # The other clock stands still while the machine sleeps, and is never ahead.
    before = time.monotonic()
    assert boot_clock() >= before


def test_to_be_refused_is_to_be_cancelled() -> None:
    """Whoever handles errors of all kinds must not take it for one of them."""
    assert issubclass(NotLeading, asyncio.CancelledError)
    assert not issubclass(NotLeading, Exception)
