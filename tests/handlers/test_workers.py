from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from certwright.handlers.workers import Workers
from certwright.metrics import Metrics
from certwright.runtime import aside
from certwright.runtime.key import Key
from certwright.runtime.leadership import Leadership, boot_clock
from certwright.runtime.queue import Place, WorkQueue
from certwright.runtime.result import Result
from certwright.runtime.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

KEYS = [Key("Certificate", "shop", name) for name in "abcdef"]


class Recorder:
    """Stands in for the poster of Events."""

    posting = False
    drained = False

    async def run(self) -> None:
        self.posting = True
        await asyncio.Event().wait()

    async def drain(self) -> None:
        self.drained = True


class Bench:
    """Workers that note what they look at, and hold it until `gate` is open."""

    def __init__(self) -> None:
        self.leadership = Leadership()
        self.queue: WorkQueue[Key] = WorkQueue(lambda key: Place(key.name), workers=3)
        self.scheduler: Scheduler[Key] = Scheduler(self.queue.add)
        self.recorder = Recorder()
        self.began: list[Key] = []
        self.ended: list[Key] = []
        self.gate = asyncio.Event()
        self.workers = Workers(
            3,
            self.look,
            queue=self.queue,
            scheduler=self.scheduler,
            recorder=self.recorder,  # type: ignore[arg-type]  # a stand-in
            metrics=Metrics(),
            leadership=self.leadership,
        )
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.workers.run(self.stop))

    async def look(self, key: Key) -> Result:
        self.began.append(key)
        await self.gate.wait()
        self.ended.append(key)
        return Result.ON_EVENT

    def lead(self) -> None:
        assert self.leadership.extend(boot_clock() + 3600)

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not reached():  # noqa: ASYNC110 - it is the workers that are tested
                await asyncio.sleep(0.001)

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    for key in KEYS:
        made.queue.add(key)
    await made.settle()
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)


async def test_a_follower_works_off_nothing_and_posts_nothing(bench: Bench) -> None:
    assert (bench.began, len(bench.queue), bench.recorder.posting) == ([], len(KEYS), False)


async def test_whoever_becomes_leader_looks_at_everything_that_is_known(bench: Bench) -> None:
    bench.gate.set()
    bench.lead()
    await bench.settle()
    assert (sorted(bench.began), len(bench.queue), bench.recorder.posting) == (KEYS, 0, True)


async def test_a_follower_ends_when_asked_to(bench: Bench) -> None:
    bench.stop.set()
    async with asyncio.timeout(1):
        await bench.task
    assert bench.began == []


async def test_an_abort_ends_what_is_under_way_at_once_and_posts_no_more(bench: Bench) -> None:
    bench.lead()
    await bench.settle()
    assert len(bench.began) == 3
    bench.gate.set()  # each would go on at its next turn
    bench.workers.abort()
    async with asyncio.timeout(1):
        await bench.task
    assert (bench.ended, len(bench.began), bench.recorder.drained) == ([], 3, False)


async def test_an_abort_during_the_drain_ends_that_too(bench: Bench) -> None:
    bench.lead()
    await bench.settle()
    bench.stop.set()
    await bench.settle()
    assert not bench.task.done()
    bench.workers.abort()
    async with asyncio.timeout(1):
        await bench.task
    assert bench.ended == []


async def test_an_abort_of_one_that_follows_keeps_it_from_beginning(bench: Bench) -> None:
    bench.workers.abort()
    bench.lead()
    async with asyncio.timeout(1):
        await bench.task
    assert bench.began == []


async def test_a_worker_that_notices_the_end_of_leadership_first_is_no_defect(bench: Bench) -> None:
    bench.lead()
    await bench.settle()
    bench.leadership.end()
    bench.gate.set()
    async with asyncio.timeout(1):
        await bench.task
    assert len(bench.began) == 3, "what was under way asks itself, before each step"


async def test_looks_that_wait_long_outside_leave_their_workers_to_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "SLOW_SECONDS", 0.01)
    were_aside: list[bool] = []

    async def look(key: Key) -> Result:
        bench.began.append(key)
        async with aside.time_limit(0.02, aside=60) as limit, aside.aside_if_slow():
            await bench.gate.wait()
        assert not limit.expired()
        were_aside.append(aside.is_aside())
        bench.ended.append(key)
        return Result.ON_EVENT

    bench.workers._look = look
    bench.lead()
    await bench.until(lambda: bench.queue.aside == len(KEYS))
    assert bench.queue.held == 0
    bench.gate.set()
    await bench.until(lambda: len(bench.ended) == len(KEYS))
    assert were_aside == [True] * len(KEYS), "and no time limit of a worker was theirs"
    await bench.settle()
    assert (bench.queue.held, bench.queue.aside, len(bench.workers._workers)) == (0, 0, 3)
    assert not bench.task.done(), "that a worker ended whose place was taken is no defect"
    bench.stop.set()
    async with asyncio.timeout(1):
        await bench.task


async def test_an_abort_ends_looks_that_have_stepped_aside(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "SLOW_SECONDS", 0.01)

    async def look(key: Key) -> Result:
        async with aside.aside_if_slow():
            await bench.gate.wait()
        bench.ended.append(key)
        return Result.ON_EVENT

    bench.workers._look = look
    bench.lead()
    await bench.until(lambda: bench.queue.aside == len(KEYS))
    bench.gate.set()
    bench.workers.abort()
    async with asyncio.timeout(1):
        await bench.task
    assert bench.ended == []
