from __future__ import annotations

import asyncio

import pytest

from certwright.concurrency import KeyedLock


async def test_one_at_a_time_for_one_key_and_no_waiting_for_another() -> None:
    turns: KeyedLock[str] = KeyedLock()
    inside: list[str] = []

    async def visit(key: str) -> None:
        async with turns.at(key):
            assert key not in inside
            inside.append(key)
            await asyncio.sleep(0)
            inside.remove(key)

    async with turns.at("a"):
        await asyncio.wait_for(visit("b"), 5)
        waiting = [asyncio.create_task(visit("a")) for _ in range(5)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    assert not turns._locks


async def test_whoever_fails_inside_is_out_again() -> None:
    turns: KeyedLock[str] = KeyedLock()
    with pytest.raises(RuntimeError):
        async with turns.at("a"):
            raise RuntimeError
    assert not turns._locks
