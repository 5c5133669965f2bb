from __future__ import annotations

import asyncio

import pytest

from certwright.runtime import queue as module
from certwright.runtime.queue import Place, WorkQueue


class Clock:
    seconds = 1000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    """Keys such as `a1`: the letter is the namespace."""
    return WorkQueue(lambda key: Place(key[0]), workers=4, now=lambda: clock.seconds)


async def took(queue: WorkQueue[str]) -> str | None:
    return await asyncio.wait_for(queue.take(), 60)


async def waits(task: asyncio.Task[str | None]) -> bool:
    await asyncio.sleep(0.01)
    return not task.done()


async def test_a_key_that_waits_is_there_once(queue: WorkQueue[str]) -> None:
    for key in ("a1", "a1", "a2", "a1"):
        queue.add(key)
    assert len(queue) == 2
    assert [await took(queue), await took(queue)] == ["a1", "a2"]
    assert (len(queue), queue.held) == (0, 2)


async def test_one_worker_a_key_and_again_afterwards(queue: WorkQueue[str]) -> None:
    queue.add("a1")
    assert await took(queue) == "a1"
    for _ in range(3):
        queue.add("a1")
    assert len(queue) == 1
    second = asyncio.create_task(queue.take())
    assert await waits(second), "two workers have the same key"
    queue.done("a1")
    assert await asyncio.wait_for(second, 60) == "a1"
    queue.done("a1")
    assert (len(queue), queue.held) == (0, 0)


async def test_take_waits_for_work(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.take()) for _ in range(2)]
    assert await waits(workers[0])
    queue.add("a1")
    queue.add("b1")
    assert set(await asyncio.wait_for(asyncio.gather(*workers), 60)) == {"a1", "b1"}


async def served(queue: WorkQueue[str], number: int) -> list[str]:
    """The next keys, each let go of before the next is taken."""
    order = []
    for _ in range(number):
        taken = await took(queue)
        assert taken is not None
        order.append(taken)
        queue.done(taken)
    return order


async def test_namespaces_take_turns(queue: WorkQueue[str]) -> None:
    for key in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.add(key)
    assert await served(queue, 6) == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_issuers_of_a_namespace_take_turns_and_so_do_namespaces_whatever_the_number_of_their_issuers() -> None:
    queue: WorkQueue[str] = WorkQueue(lambda key: Place(key[0], key[:2]), workers=4)
    for key in ("ap1", "ap2", "aq1", "ar1", "bp1", "bp2", "bp3"):
        queue.add(key)
    assert await served(queue, 7) == ["ap1", "bp1", "aq1", "bp2", "ar1", "bp3", "ap2"]


async def test_a_stuck_namespace_leaves_the_last_workers_to_those_that_hold_none(queue: WorkQueue[str]) -> None:
    for number in range(100):
        queue.add(f"a{number}")
    assert [await took(queue), await took(queue), await took(queue)] == ["a0", "a1", "a2"]  # and they never come back
    worker = asyncio.create_task(queue.take())
    assert await waits(worker), "more than the namespace's share is held"
    for number in range(20):
        queue.add(f"b{number}")
        assert await asyncio.wait_for(worker, 60) == f"b{number}"
        queue.done(f"b{number}")
        worker = asyncio.create_task(queue.take())
    assert await waits(worker)
    queue.done("a0")
    assert await asyncio.wait_for(worker, 60) == "a3"


async def test_a_stuck_issuer_leaves_a_worker_to_other_issuers_of_its_namespace() -> None:
    queue: WorkQueue[str] = WorkQueue(lambda key: Place("team", key[0]), workers=32)
    for number in range(100):
        queue.add(f"a{number}")
    stuck = [queue._next() for _ in range(40)]
    assert len([key for key in stuck if key is not None]) == 20
    queue.add("b1")
    assert await took(queue) == "b1"


async def test_a_stuck_ca_leaves_a_quarter_of_the_workers_to_other_cas() -> None:
    """As when the CA of a ClusterIssuer, which Certificates of all namespaces name, does not answer."""
    queue: WorkQueue[str] = WorkQueue(lambda key: Place(key, "issuer", key[:2]), workers=32)
    for number in range(100):
        queue.add(f"ca-{number}")
    stuck = [queue._next() for _ in range(40)]
    assert len([key for key in stuck if key is not None]) == 24
    queue.add("other")
    assert await took(queue) == "other"


async def test_many_stuck_namespaces_leave_workers_to_the_next_ones() -> None:
    queue: WorkQueue[str] = WorkQueue(lambda key: Place(key[0]), workers=32)
    for namespace in "abcdef":
        for number in range(100):
            queue.add(f"{namespace}{number}")
    while queue._next() is not None:
        pass
    assert queue.held == 20
    queue.add("x1")
    queue.add("y1")
    assert [await took(queue), await took(queue)] == ["x1", "y1"]


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
async def test_few_workers_serve_everybody(workers: int) -> None:
    queue: WorkQueue[str] = WorkQueue(lambda key: Place(key[0], key[1], "ca"), workers=workers)
    for key in ("ap", "ap2", "bq", "cr"):
        queue.add(key)
    assert sorted(await served(queue, 4)) == ["ap", "ap2", "bq", "cr"]


async def test_it_tells_how_long_keys_have_waited(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a1")
    clock.seconds += 100
    assert queue.oldest_wait == 0, "nobody works yet: this process follows"
    queue.serve()
    clock.seconds += 5
    assert (queue.oldest_wait, queue.starved_wait, queue.longest_hold) == (5, 5, 0)
    assert await took(queue) == "a1"
    queue.add("a2")
    clock.seconds += 7
    assert (queue.oldest_wait, queue.longest_hold) == (7, 7)
    assert queue.starved_wait == 0, "the namespace holds a worker: it waits for itself"
    queue.add("b1")
    clock.seconds += 1
    assert (queue.oldest_wait, queue.starved_wait) == (8, 1)


async def test_a_worker_that_is_cancelled_while_it_is_woken_wakes_another(queue: WorkQueue[str]) -> None:
    first, second = asyncio.create_task(queue.take()), asyncio.create_task(queue.take())
    assert await waits(first)
    queue.add("a1")
    first.cancel()
    assert await asyncio.wait_for(second, 60) == "a1"


async def test_a_key_keeps_the_place_it_was_added_with() -> None:
    places = {"key": "first"}
    queue: WorkQueue[str] = WorkQueue(lambda key: Place(places[key]), workers=1)
    queue.add("key")
    assert await took(queue) == "key"
    places["key"] = "second"
    queue.add("key")
    queue.done("key")
    assert await took(queue) == "key"
    assert queue._of_namespace == {"second": 1}
    queue.done("key")
    assert not queue._of_namespace + queue._of_issuer


async def test_closing_wakes_everybody(queue: WorkQueue[str]) -> None:
    queue.add("a1")
    held = await took(queue)
    assert held is not None
    workers = [asyncio.create_task(queue.take()) for _ in range(3)]
    assert await waits(workers[0])
    queue.add("a1")
    queue.close()
    assert await asyncio.wait_for(asyncio.gather(*workers), 60) == [None, None, None]
    queue.done(held)
    queue.add("a2")
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
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(8)]
    keys = [f"{bucket}{number}" for bucket in "abcd" for number in range(25)]
    for _ in range(3):
        for key in keys:
            queue.add(key)
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while len(queue) or queue.held:  # noqa: ASYNC110 - the queue has no event for "nothing left"
            await asyncio.sleep(0.001)
    queue.close()
    await asyncio.gather(*workers)
    assert set(looks) == set(keys)
    assert not queue._waiting


async def test_a_key_that_steps_aside_holds_no_worker_and_is_still_held_by_nobody_else(queue: WorkQueue[str]) -> None:
    for key in ("a1", "a2", "a3", "a4", "a5"):
        queue.add(key)
    assert [await took(queue) for _ in range(3)] == ["a1", "a2", "a3"]
    fourth = asyncio.create_task(queue.take())
    assert await waits(fourth), "the last worker is for another namespace"
    assert queue.step_aside("a1")
    assert await asyncio.wait_for(fourth, 60) == "a4"
    assert (queue.held, queue.aside) == (3, 1)
    queue.add("a1")
    again = asyncio.create_task(queue.take())
    assert await waits(again), "it is still looked at"
    queue.done("a1")
    queue.done("a2")
    assert await asyncio.wait_for(again, 60) == "a5"
    queue.done("a3")
    assert await took(queue) == "a1"


async def test_no_namespace_has_more_than_its_part_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    queue: WorkQueue[str] = WorkQueue(lambda key: Place(key[0]), workers=8)
    monkeypatch.setattr(module, "MAX_ASIDE_OF_NAMESPACE", 1)
    monkeypatch.setattr(module, "MAX_ASIDE", 2)
    monkeypatch.setattr(module, "KEPT_ASIDE", 0)
    for key in ("a1", "a2", "b1", "c1"):
        queue.add(key)
    assert {await took(queue) for _ in range(4)} == {"a1", "a2", "b1", "c1"}
    assert [queue.step_aside(key) for key in ("a1", "a2", "b1", "c1")] == [True, False, True, False]
    queue.done("a1")
    assert queue.step_aside("a2")
    for key in ("a2", "b1", "c1"):
        queue.done(key)
    assert (queue.held, queue.aside) == (0, 0)


async def test_the_last_room_aside_is_for_namespaces_that_have_few(monkeypatch: pytest.MonkeyPatch) -> None:
    queue: WorkQueue[str] = WorkQueue(lambda key: Place(key[0]), workers=32)
    monkeypatch.setattr(module, "MAX_ASIDE", 8)
    monkeypatch.setattr(module, "KEPT_ASIDE", 2)
    monkeypatch.setattr(module, "FEW_ASIDE", 1)
    keys = [f"{namespace}{number}" for namespace in "ab" for number in range(4)] + ["c0", "d0", "e0"]
    for key in keys:
        queue.add(key)
    assert {await took(queue) for _ in keys} == set(keys)
    stepped = [key for key in keys if queue.step_aside(key)]
    assert stepped == ["a0", "a1", "a2", "a3", "b0", "b1", "c0", "d0"], "two tenants leave room for two others"
    queue.done("a0")
    assert not queue.step_aside("b2")
    assert queue.step_aside("e0")
