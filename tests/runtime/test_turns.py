from __future__ import annotations

import asyncio

from certwright.runtime.turns import SLOW_SECONDS, Turns
from tests.simulation.loop import VirtualLoop


class Users:
    """Tasks that have a place until they are told to leave, and the order in which they came in."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.inside: list[str] = []
        self.came: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        """The letter of a name is the tenant."""
        for name in names:
            self._leave[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._use(name))
        await self.settle()

    async def leave(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def _use(self, name: str) -> None:
        async with self.turns.place(name[0]):
            self.inside.append(name)
            self.came.append(name)
            await self._leave[name].wait()
            self.inside.remove(name)


async def test_a_tenant_that_fills_its_places_leaves_the_kept_ones_to_others() -> None:
    users = Users(Turns(3, kept=1))
    await users.come("a1", "a2", "a3", "a4")
    assert users.inside == ["a1", "a2"]
    await users.come("b1")
    assert users.inside == ["a1", "a2", "b1"]


async def test_tenants_take_turns_however_many_requests_each_has() -> None:
    users = Users(Turns(1, kept=0))
    await users.come("a1", "a2", "a3", "b1", "b2", "c1")
    for _ in range(6):
        await users.leave(users.inside[0])
    assert users.came == ["a1", "a2", "b1", "c1", "a3", "b2"]
    assert users.turns.unused


async def test_who_gives_up_waiting_takes_no_place() -> None:
    users = Users(Turns(1, kept=0))
    await users.come("a1", "b1", "c1")
    users.tasks["b1"].cancel()
    await users.leave("a1")
    assert users.inside == ["c1"]
    await users.leave("c1")
    assert users.turns.unused


async def test_a_place_is_not_given_to_who_was_cancelled_at_the_same_time() -> None:
    users = Users(Turns(1, kept=0))
    await users.come("a1", "b1", "b2")
    for task in users.tasks.values():
        task.cancel()  # as at the end of a process: the place comes free before those who wait have run
    await asyncio.gather(*users.tasks.values(), return_exceptions=True)
    assert users.turns.unused


async def test_who_is_cancelled_as_a_place_comes_free_passes_it_on() -> None:
    users = Users(Turns(1, kept=0))
    await users.come("a1", "b1", "c1")
    users._leave["a1"].set()
    await asyncio.sleep(0)  # b1 has been given the place, and has not run since
    users.tasks["b1"].cancel()
    await users.settle()
    assert users.inside == ["c1"]


def test_a_place_that_is_held_for_long_is_lent_to_the_next_and_not_more_than_are_to_be() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_two_places_are_held_for_long())


async def _two_places_are_held_for_long() -> None:
    users = Users(Turns(2, kept=0, lent=1))
    await users.come("a1", "a2", "a3", "a4")
    await asyncio.sleep(SLOW_SECONDS - 0.1)
    assert users.inside == ["a1", "a2"]
    await asyncio.sleep(0.2)
    assert users.inside == ["a1", "a2", "a3"]
    await asyncio.sleep(SLOW_SECONDS * 3)
    assert users.inside == ["a1", "a2", "a3"], "one place is lent, and one only"
    await users.leave("a1", "a2", "a3", "a4")
    assert users.inside == []
    assert users.turns.unused
    await users.come("b1", "b2", "b3")
    assert users.inside == ["b1", "b2"], "as many places as before"
