from __future__ import annotations

import datetime as dt

import pytest

from certwright.runtime.backoff import Backoff, pause_after

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


def test_nothing_is_waited_for_before_the_first_failure() -> None:
    assert Backoff().pause(NOW) is None


def test_pauses_double_up_to_a_longest_one() -> None:
    backoff, now, pauses = Backoff(), NOW, []
    for _ in range(40):
        backoff = backoff.failed(now)
        until = backoff.pause(now)
        assert until is not None
        pauses.append((until - now).total_seconds())
        now = until
        assert backoff.pause(now) is None, "it is time"
    assert backoff.failures == 40
    for failures, pause in enumerate(pauses):
        assert 0.8 * min(2.0 * 2**failures, 300) <= pause <= 1.2 * min(2.0 * 2**failures, 300)


@pytest.mark.parametrize(("asked", "counts"), [(3600, True), (0, False), (None, False)])
def test_a_later_time_that_the_other_side_asks_for_counts(asked: float | None, *, counts: bool) -> None:
    not_before = None if asked is None else NOW + dt.timedelta(seconds=asked)
    backoff = Backoff().failed(NOW, not_before=not_before)
    assert (backoff.not_before == not_before) is counts
    assert backoff.not_before is not None
    assert backoff.not_before >= NOW + dt.timedelta(seconds=1.6)


def test_what_was_reported_is_kept_until_the_next_failure() -> None:
    told = ("Reason", "message")
    backoff = Backoff().failed(NOW, reported=told)
    assert backoff.reported == told
    assert backoff.failed(NOW).reported is None


def test_pauses_differ_so_that_not_everything_comes_at_once() -> None:
    assert len({pause_after(3) for _ in range(20)}) > 1
