from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from certwright.cli.acme.exits import ExitCode
from certwright.cli.acme.lock import Busy, locked

if TYPE_CHECKING:
    from pathlib import Path


async def test_one_holds_it_and_the_next_waits_its_turn(tmp_path: Path) -> None:
    order: list[str] = []
    told: list[str] = []

    held, waits = asyncio.Event(), asyncio.Event()

    def on_wait(message: str) -> None:
        told.append(message)
        waits.set()

    async def hold(name: str) -> None:
        async with locked(tmp_path / "lock", "the thing", seconds=60, on_wait=on_wait):
            order.append(f"{name} in")
            held.set()
            await waits.wait()
            order.append(f"{name} out")

    first = asyncio.create_task(hold("first"))
    await held.wait()
    await asyncio.gather(first, hold("second"))
    assert order == ["first in", "first out", "second in", "second out"]
    assert told == [f"Waiting for another certwright acme (process {os.getpid()}) that is using the thing"]


async def test_who_waits_too_long_is_told_who_holds_it(tmp_path: Path) -> None:
    async with locked(tmp_path / "lock", "the thing", seconds=0, on_wait=print):
        with pytest.raises(Busy, match=rf"\(process {os.getpid()}\) is using the thing\.") as caught:
            async with locked(tmp_path / "lock", "the thing", seconds=0, on_wait=print):
                pytest.fail("two hold it")
    assert caught.value.code is ExitCode.LOCKED


async def test_several_share_it_and_who_wants_it_alone_waits_for_all(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    async with locked(path, "it", seconds=0, on_wait=print, shared=True):
        async with locked(path, "it", seconds=0, on_wait=print, shared=True) as other:
            with pytest.raises(Busy):
                await other.take()
        # What was given up to get it alone is got again.
        async with locked(path, "it", seconds=0, on_wait=print, shared=True):
            pass
    async with locked(path, "it", seconds=0, on_wait=print, shared=True) as lock:
        await lock.take()
        with pytest.raises(Busy):
            async with locked(path, "it", seconds=0, on_wait=print, shared=True):
                pytest.fail("it was held alone")
        await lock.take(shared=True)
        async with locked(path, "it", seconds=0, on_wait=print, shared=True):
            pass


async def test_a_holder_that_is_gone_is_not_named(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])  # noqa: ASYNC220 - our own interpreter
    gone.wait()
    async with locked(tmp_path / "lock", "it", seconds=0, on_wait=print):
        (tmp_path / "lock").write_text(f"{gone.pid}\n")
        with pytest.raises(Busy) as caught:
            async with locked(tmp_path / "lock", "it", seconds=0, on_wait=print):
                pytest.fail("two hold it")
    assert caught.value.holder == "unknown"


async def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    program = (
        "import fcntl, os, sys; h = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); fcntl.flock(h, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(  # noqa: ASYNC220, S603 - our own interpreter and program
        [sys.executable, "-c", program, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(Busy):
        async with locked(tmp_path / "lock", "it", seconds=0, on_wait=print):
            pytest.fail("two hold it")
    holder.kill()
    holder.communicate()
    async with locked(tmp_path / "lock", "it", seconds=0, on_wait=print):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
