from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from certwright.runtime.scheduler import Scheduler


class Clock:
    """Time that a test moves; what has come due by then is handed over."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.due: list[str] = []
        self.scheduler: Scheduler[str] = Scheduler(self.take, now=lambda: self.seconds)

    def take(self, key: str) -> None:
        self.due.append(key)

    async def after(self, seconds: float) -> list[str]:
        self.seconds += seconds
        self.due.clear()
        self.scheduler._hand_over()
        return list(self.due)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_keys_come_in_the_order_of_their_times(clock: Clock) -> None:
    for key, seconds in (("late", 30), ("soon", 10), ("now", 0), ("past", -5), ("soon too", 10)):
        clock.scheduler.at(key, seconds)
    assert len(clock.scheduler) == 5
    assert await clock.after(0) == ["now", "past"]
    assert await clock.after(9.9) == []
    assert await clock.after(0.1) == ["soon", "soon too"]
    assert await clock.after(100) == ["late"]
    assert len(clock.scheduler) == 0


async def test_a_key_has_one_time(clock: Clock) -> None:
    clock.scheduler.at("key", 10)
    clock.scheduler.at("key", 20)
    assert await clock.after(10) == []
    clock.scheduler.at("key", 5)
    assert await clock.after(5) == ["key"]
    assert await clock.after(100) == []


async def test_a_forgotten_key_does_not_come(clock: Clock) -> None:
    clock.scheduler.at("key", 10)
    clock.scheduler.forget("key")
    clock.scheduler.forget("never seen")
    assert len(clock.scheduler) == 0
    assert await clock.after(10) == []


async def test_it_knows_how_long_to_wait(clock: Clock) -> None:
    assert clock.scheduler._hand_over() is None
    clock.scheduler.at("key", 10)
    assert clock.scheduler._hand_over() == 10


async def test_replaced_times_take_no_room(clock: Clock) -> None:
    for number in range(10_000):
        clock.scheduler.at(f"key{number % 100}", 1000 - number % 7)
    assert len(clock.scheduler) == 100
    assert len(clock.scheduler._heap) <= 2 * 100 + 64
    assert len(await clock.after(1000)) == 100


async def test_it_wakes_for_an_earlier_time_and_goes_on_until_cancelled() -> None:
    due: asyncio.Queue[str] = asyncio.Queue()
    scheduler: Scheduler[str] = Scheduler(due.put_nowait)
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)
    scheduler.at("late", 3600)
    await asyncio.sleep(0)
    scheduler.at("soon", 0.02)
    scheduler.at("now", 0)
    async with asyncio.timeout(5):
        assert [await due.get(), await due.get()] == ["now", "soon"]
    assert len(scheduler) == 1
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_key_that_is_scheduled_while_another_is_handed_over_is_not_missed() -> None:
    due: asyncio.Queue[str] = asyncio.Queue()

    def take(key: str) -> None:
        if key == "first":
            scheduler.at("second", 0)
        due.put_nowait(key)

    scheduler: Scheduler[str] = Scheduler(take)
    scheduler.at("first", 0)
    task = asyncio.create_task(scheduler.run())
    async with asyncio.timeout(5):
        assert [await due.get(), await due.get()] == ["first", "second"]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_time_that_is_not_a_number_is_refused_and_hides_nothing(clock: Clock) -> None:
    clock.scheduler.at("soon", 10)
    with pytest.raises(ValueError, match="the time of odd is not a number"):
        clock.scheduler.at("odd", float("nan"))
    assert await clock.after(10) == ["soon"]
