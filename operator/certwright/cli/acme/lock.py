"""One run at a time in a folder: cron and a person must not collide."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.exits import CommandError, ExitCode
from certwright.cli.acme.files import PRIVATE_FILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_PAUSE: Final = 0.1
_MAX_PID: Final = 20


@asynccontextmanager
async def locked(path: Path, *, seconds: float, on_wait: Callable[[str], None]) -> AsyncIterator[None]:
    """Hold the lock while the block runs. The kernel lets go of it when a process ends, however it does.

    Args:
        path: The lock file.
        seconds: How long to wait for another run.
        on_wait: Told once if there is one.

    Raises:
        CommandError: Another run held it all the time.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise CommandError(f"Cannot open the lock {path}: {os.strerror(error.errno or 0).lower()}") from error
    try:
        await _take(handle, path, seconds, on_wait)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


async def _take(handle: int, path: Path, seconds: float, on_wait: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    told = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, _MAX_PID, 0).decode("ascii", "replace").strip() or "unknown"
            if loop.time() >= deadline:
                raise CommandError(
                    f"Another certwright acme (process {holder}) works in {path.parent}. Wait until it is done, or give"
                    " it longer with --lock-timeout",
                    ExitCode.LOCKED,
                ) from None
            if not told:
                on_wait(f"Waiting for another certwright acme (process {holder})")
                told = True
            await asyncio.sleep(_PAUSE)
        else:
            return
