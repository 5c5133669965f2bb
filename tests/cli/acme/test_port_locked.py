"""Two runs at the same port: one after the other."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from certwright.cli.acme.lock import Lock
from certwright.cli.acme.solvers import PortLocked
from certwright.client import CannotListen
from tests.fakes.solvers import Recorder

if TYPE_CHECKING:
    from pathlib import Path


def locked(solver: Recorder, folder: Path, *, seconds: float) -> PortLocked:
    return PortLocked(solver, partial(Lock, folder / "port-80", "port 80", seconds=seconds, on_wait=print))


async def test_the_next_one_listens_when_the_first_has_cleaned_up(tmp_path: Path) -> None:
    first, second = Recorder("http-01"), Recorder("http-01")
    here, there = locked(first, tmp_path, seconds=0), locked(second, tmp_path, seconds=30)
    await here.present([])
    waiting = asyncio.create_task(there.present([]))
    await here.wait([])
    assert second.calls == []
    await here.clean_up([])
    await waiting
    assert second.calls == ["present "]
    await there.clean_up([])
    assert there.challenge_type == "http-01"


async def test_who_waits_too_long_is_told_at_which_port(tmp_path: Path) -> None:
    here, there = (locked(Recorder("http-01"), tmp_path, seconds=0) for _ in range(2))
    await here.present([])
    with pytest.raises(CannotListen, match=r"is using port 80"):
        await there.present([])
    # It is cleaned up all the same, and lets go of nothing that is another one's.
    await there.clean_up([])
    with pytest.raises(CannotListen):
        await there.present([])
    await here.clean_up([])
