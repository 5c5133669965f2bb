from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from certwright.runtime.labour import in_thread, make_task, metered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HARD = 0.06


def _toil(seconds: float = HARD) -> str:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return "done"


@pytest.fixture(autouse=True)
async def factory() -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(make_task)
    yield
    loop.set_task_factory(None)


@pytest.fixture
def told() -> list[float]:
    return []


async def test_a_step_that_takes_long_is_told_at_its_end(told: list[float]) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return _toil()

    assert await metered(work(), told.append) == "done"
    assert max(told) >= HARD


async def test_waiting_is_no_labour(told: list[float]) -> None:
    await metered(asyncio.sleep(3 * HARD), told.append)
    assert max(told) < HARD


async def test_the_tasks_that_work_creates_count_for_it(told: list[float]) -> None:
    async def child() -> None:
        await asyncio.sleep(0)
        _toil()

    async def work() -> None:
        await asyncio.gather(child(), asyncio.sleep(0))

    await metered(work(), told.append)
    assert max(told) >= HARD


async def test_the_jobs_that_work_has_in_threads_count_for_it(told: list[float]) -> None:
    async def work() -> str:
        return await in_thread(_toil, HARD)

    assert await metered(work(), told.append) == "done"
    assert max(told) >= HARD


async def test_what_others_do_meanwhile_does_not(told: list[float]) -> None:
    async def other() -> None:
        await asyncio.sleep(0)
        _toil()

    async def work() -> None:
        await asyncio.sleep(2 * HARD)

    await asyncio.gather(other(), metered(work(), told.append))
    assert max(told) < HARD
    assert await in_thread(_toil, 0.01) == "done"  # nobody is told


@pytest.mark.parametrize("begin", [True, False], ids=["begun", "not begun"])
async def test_a_task_is_cancelled_as_any_other(told: list[float], *, begin: bool) -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("child")

    async def work() -> None:
        task = asyncio.create_task(child(), name="child")
        assert task.get_name() == "child"
        if begin:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await metered(work(), told.append)
    assert ended == (["child"] if begin else [])


async def test_errors_and_timeouts_pass(told: list[float]) -> None:
    async def work(error: Exception) -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(KeyError):
        await metered(work(KeyError("x")), told.append)

    async def late() -> Any:
        async with asyncio.timeout(0.01):
            await asyncio.create_task(asyncio.sleep(60))

    with pytest.raises(TimeoutError):
        await metered(late(), told.append)
