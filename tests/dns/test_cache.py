from __future__ import annotations

import asyncio

import pytest

from certwright.dns.cache import ExpiringCache


class Source:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def look_up(self, key: str) -> str:
        self.calls.append(key)
        await self.gate.wait()
        if self.failing:
            raise LookupError(key)
        return f"{key}{len(self.calls)}"


@pytest.fixture
async def source() -> Source:
    return Source()


async def test_a_value_is_kept_until_its_time_is_up(source: Source) -> None:
    now = 0.0
    cache: ExpiringCache[str, str] = ExpiringCache(seconds=60, clock=lambda: now)

    async def get() -> str:
        return await cache.get("a", lambda: source.look_up("a"))

    assert [await get(), await get()] == ["a1", "a1"]
    now = 59.9
    assert await get() == "a1"
    now = 60.0
    assert await get() == "a2"


async def test_those_who_ask_at_the_same_time_share_one_lookup(source: Source) -> None:
    cache: ExpiringCache[str, str] = ExpiringCache(seconds=60)
    assert await asyncio.gather(*(cache.get("a", lambda: source.look_up("a")) for _ in range(5))) == ["a1"] * 5
    assert source.calls == ["a"]


async def test_a_failure_reaches_everybody_who_waits_and_nobody_later(source: Source) -> None:
    cache: ExpiringCache[str, str] = ExpiringCache(seconds=60)
    source.failing = True
    outcomes = await asyncio.gather(
        *(cache.get("a", lambda: source.look_up("a")) for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [LookupError] * 3

    source.failing = False
    assert await cache.get("a", lambda: source.look_up("a")) == "a2"


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(source: Source) -> None:
    cache: ExpiringCache[str, str] = ExpiringCache(seconds=60)
    source.gate.clear()
    first = asyncio.create_task(cache.get("a", lambda: source.look_up("a")))
    second = asyncio.create_task(cache.get("a", lambda: source.look_up("a")))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.gate.set()

    assert await second == "a1"
    assert first.cancelled()


async def test_it_never_holds_more_than_it_may(source: Source) -> None:
    cache: ExpiringCache[str, str] = ExpiringCache(seconds=60, max_entries=2)
    for key in "abc":
        await cache.get(key, lambda key=key: source.look_up(key))  # type: ignore[misc]  # bound in the loop
    await cache.get("c", lambda: source.look_up("c"))
    await cache.get("a", lambda: source.look_up("a"))
    assert source.calls == ["a", "b", "c", "a"]
