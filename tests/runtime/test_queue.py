from __future__ import annotations

import asyncio

import pytest

from certwright.runtime.queue import WorkQueue


@pytest.fixture
def queue() -> WorkQueue[str]:
    """Keys such as `a1`: the letter is the bucket."""
    return WorkQueue(lambda key: key[0], bucket_limit=2)


async def took(queue: WorkQueue[str]) -> str | None:
    return await asyncio.wait_for(queue.take(), 60)


async def waits(task: asyncio.Task[str | None]) -> bool:
    await asyncio.sleep(0.01)
    return not task.done()


async def test_a_key_that_waits_is_there_once(queue: WorkQueue[str]) -> None:
    for key in ("a1", "a1", "a2", "a1"):
        await queue.add(key)
    assert len(queue) == 2
    assert [await took(queue), await took(queue)] == ["a1", "a2"]
    assert (len(queue), queue.held) == (0, 2)


async def test_one_worker_a_key_and_again_afterwards(queue: WorkQueue[str]) -> None:
    await queue.add("a1")
    assert await took(queue) == "a1"
    for _ in range(3):
        await queue.add("a1")
    assert len(queue) == 1
    second = asyncio.create_task(queue.take())
    assert await waits(second), "two workers have the same key"
    await queue.done("a1")
    assert await asyncio.wait_for(second, 60) == "a1"
    await queue.done("a1")
    assert (len(queue), queue.held) == (0, 0)


async def test_take_waits_for_work(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.take()) for _ in range(2)]
    assert await waits(workers[0])
    await queue.add("a1")
    await queue.add("b1")
    assert set(await asyncio.wait_for(asyncio.gather(*workers), 60)) == {"a1", "b1"}


async def test_buckets_take_turns(queue: WorkQueue[str]) -> None:
    for key in ("a1", "a2", "a3", "b1", "c1", "b2"):
        await queue.add(key)
    order = []
    for _ in range(6):
        taken = await took(queue)
        assert taken is not None
        order.append(taken)
        await queue.done(taken)
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_stuck_bucket_leaves_room_for_the_others(queue: WorkQueue[str]) -> None:
    for number in range(100):
        await queue.add(f"a{number}")
    assert [await took(queue), await took(queue)] == ["a0", "a1"]  # and they never come back
    worker = asyncio.create_task(queue.take())
    assert await waits(worker), "more than the bucket's share is held"
    for number in range(20):
        await queue.add(f"b{number}")
        assert await asyncio.wait_for(worker, 60) == f"b{number}"
        await queue.done(f"b{number}")
        worker = asyncio.create_task(queue.take())
    assert await waits(worker)
    await queue.done("a0")
    assert await asyncio.wait_for(worker, 60) == "a2"


async def test_a_key_keeps_the_bucket_it_was_added_with() -> None:
    buckets = {"key": "first"}
    queue: WorkQueue[str] = WorkQueue(lambda key: buckets[key], bucket_limit=1)
    await queue.add("key")
    assert await took(queue) == "key"
    buckets["key"] = "second"
    await queue.add("key")
    await queue.done("key")
    assert await took(queue) == "key"
    assert queue._held_by_bucket == {"second": 1}
    await queue.done("key")
    assert not queue._held_by_bucket


async def test_closing_wakes_everybody(queue: WorkQueue[str]) -> None:
    await queue.add("a1")
    held = await took(queue)
    assert held is not None
    workers = [asyncio.create_task(queue.take()) for _ in range(3)]
    assert await waits(workers[0])
    await queue.add("a1")
    await queue.close()
    assert await asyncio.wait_for(asyncio.gather(*workers), 60) == [None, None, None]
    await queue.done(held)
    await queue.add("a2")
    assert await took(queue) is None


async def test_nothing_is_lost_or_held_twice_by_many_workers(queue: WorkQueue[str]) -> None:
    holding: set[str] = set()
    looks: dict[str, int] = {}

    async def work() -> None:
        while (key := await queue.take()) is not None:
            assert key not in holding
            holding.add(key)
            await asyncio.sleep(0)
            holding.remove(key)
            looks[key] = looks.get(key, 0) + 1
            await queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(8)]
    keys = [f"{bucket}{number}" for bucket in "abcd" for number in range(25)]
    for _ in range(3):
        await asyncio.gather(*(queue.add(key) for key in keys))
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while len(queue) or queue.held:  # noqa: ASYNC110 - the queue has no event for "nothing left"
            await asyncio.sleep(0.001)
    await queue.close()
    await asyncio.gather(*workers)
    assert set(looks) == set(keys)
    assert not queue._waiting
