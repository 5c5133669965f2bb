from __future__ import annotations

import itertools
import logging

import pytest

from certwright.runtime import loop_guard
from certwright.runtime.loop_guard import MAX_KEYS, MOST_IN_A_ROW, MOST_IN_WINDOW, WINDOW_SECONDS, LoopGuard
from certwright.runtime.result import Result

NOW = Result.again_in(0).saying("Sleep")


class Object:
    """An object that is looked at as soon as its looks ask for it, at a time that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.paused: list[str] = []
        self.seen = 0
        self.guard: LoopGuard[str] = LoopGuard(self.paused.append, now=lambda: self.time)

    def look(self, result: Result = NOW, key: str = "web") -> float | None:
        return self.guard.seconds(key, result, lambda _key: self.seen)

    def looks_within(self, seconds: float, *, moves: int = 0) -> int:
        """Look for so long, each time when the last look asked for it; each takes 10 ms."""
        end, looks = self.time + seconds, 0
        while self.time < end:
            self.seen = (self.seen + 1) % moves if moves else self.seen
            looks, pause = looks + 1, self.look()
            assert pause is not None
            self.time += pause + 0.01
        return looks


@pytest.fixture
def web() -> Object:
    return Object()


def test_a_look_that_always_asks_for_another_one_at_once_soon_waits_longer_each_time(web: Object) -> None:
    pauses = [web.look() for _ in range(MOST_IN_A_ROW + 12)]
    assert pauses[:MOST_IN_A_ROW] == [0.0] * MOST_IN_A_ROW
    waits = [pause for pause in pauses[MOST_IN_A_ROW:] if pause is not None]
    assert 1.6 <= waits[0] <= 2.4
    assert 240 <= waits[-1] <= 360
    assert all(1.3 * first < then for first, then in itertools.pairwise(waits[:7]))
    assert web.paused == ["web"] * 12


def test_a_day_of_such_looks_is_a_few_hundred_of_them(web: Object) -> None:
    assert web.looks_within(86_400) < 400


def test_two_states_that_undo_each_other_for_ever_are_no_progress_without_end(web: Object) -> None:
    assert web.looks_within(WINDOW_SECONDS, moves=2) < MOST_IN_WINDOW + 20
    assert web.looks_within(86_400, moves=3) < 12_000


@pytest.mark.parametrize("seconds", [0.0, 0.999, -5.0])
def test_hardly_any_wait_is_none(web: Object, seconds: float) -> None:
    for _ in range(MOST_IN_A_ROW):
        web.look(Result.again_in(seconds))
    assert (web.look(Result.again_in(seconds)) or 0) > 1.5


@pytest.mark.parametrize("result", [Result.again_in(1), Result.again_in(3600), Result.ON_EVENT])
def test_a_wait_ends_the_row_and_is_kept_as_it_is(web: Object, result: Result) -> None:
    for _ in range(4):
        for _ in range(MOST_IN_A_ROW):
            assert web.look() == 0.0
        assert web.look(result) == result.seconds
    assert web.paused == []


def test_what_can_be_seen_to_move_may_go_on_at_once(web: Object) -> None:
    for number in range(MOST_IN_WINDOW - 1):
        web.seen = number
        assert web.look() == 0.0
    assert web.paused == []


def test_what_happens_gives_looks_a_reason_again(web: Object) -> None:
    for _ in range(5):
        web.guard.happened("web")
        assert [web.look() for _ in range(MOST_IN_A_ROW)] == [0.0] * MOST_IN_A_ROW
    web.look()
    assert web.paused == ["web"]


def test_a_loop_whose_own_writes_come_back_as_events_is_found_all_the_same(web: Object) -> None:
    looks = 0
    for _ in range(1000):
        web.guard.happened("web")
        web.time += (web.look() or 0.0) + 0.01
        looks += 1
        if web.time > 1000 + WINDOW_SECONDS:
            break
    assert looks < MOST_IN_WINDOW + 20


def test_one_line_in_the_log_tells_of_a_row(web: Object, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger=loop_guard.__name__):
        web.looks_within(3600)
    (line,) = caplog.messages
    assert line.startswith("web was reconciled again 6 times in a row without effect (Sleep); it now waits ")
    assert "bug in Certwright" in line


def test_others_are_not_concerned(web: Object) -> None:
    web.looks_within(60)
    assert web.look(key="other") == 0.0


def test_it_remembers_no_more_keys_than_it_may_and_none_for_longer_than_needed(web: Object) -> None:
    for number in range(MAX_KEYS + 10):
        web.look(key=f"web-{number}")
    assert len(web.guard) == MAX_KEYS
    web.guard.forget("web-20")
    web.look(Result.ON_EVENT, key="web-21")
    assert len(web.guard) == MAX_KEYS - 1
    web.time += WINDOW_SECONDS
    web.look(Result.again_in(86_400), key="web-21")
    assert len(web.guard) == MAX_KEYS - 2
    web.guard.forget("never seen")
