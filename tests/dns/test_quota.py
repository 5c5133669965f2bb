"""How often something may be done, by several limits at the same time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from certwright.dns.hosted.quota import Limit, Quota

LIMITS = (Limit(2, 1), Limit(3, 10), Limit(5, 100))


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_the_limit_that_lasts_longest_says_how_long_to_wait() -> None:
    clock = Clock()
    quota = Quota(LIMITS, monotonic=clock)
    assert quota.wait() == (0, None)
    waits = []
    for _ in range(6):
        wait, limit = quota.wait()
        waits.append((wait, limit))
        clock.now += wait
        quota.count()
    assert waits == [(0, None), (0, None), (1, LIMITS[0]), (9, LIMITS[1]), (0, None), (90, LIMITS[2])]


def test_it_is_unused_when_its_longest_period_has_passed() -> None:
    clock = Clock()
    quota = Quota(LIMITS, monotonic=clock)
    seen = [quota.is_unused]
    quota.count()
    for seconds in (99, 1):
        clock.now += seconds
        seen.append(quota.is_unused)
    assert seen == [True, False, True]


@given(st.lists(st.floats(0, 20), max_size=60))
def test_no_period_has_more_than_its_limit(gaps: list[float]) -> None:
    clock = Clock()
    quota = Quota(LIMITS, monotonic=clock)
    done: list[float] = []
    for gap in gaps:
        clock.now += gap
        clock.now += quota.wait()[0]
        quota.count()
        done.append(clock.now)
    for most, seconds in LIMITS:
        for first, last in zip(done, done[most:], strict=False):
            assert last - first >= seconds - 0.001
