"""Ends a user's program together with all processes that it started."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio.subprocess import Process

KILL_SECONDS: Final = 5.0
"""Between SIGTERM and SIGKILL."""
_PAUSE: Final = 0.05


async def end_group(process: Process) -> None:
    """End a program that was started in a session of its own, and every program of its process group.

    They get SIGTERM, and SIGKILL after `KILL_SECONDS`; also those that ignore the first while the program has ended.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGKILL):
        ends = loop.time() + KILL_SECONDS
        is_there = _signalled(process.pid, number)
        while is_there and loop.time() < ends:
            await asyncio.sleep(_PAUSE)
            is_there = _signalled(process.pid, 0)
    with suppress(TimeoutError):
        async with asyncio.timeout(KILL_SECONDS):
            await process.wait()


def _signalled(group: int, number: int) -> bool:
    """Send a signal to a group, 0 to none but look; return whether there is one that we may signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # the latter if all of them run as another user, by sudo
        return False
    return True
