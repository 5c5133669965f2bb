"""One run at a time at one certificate, one account, one port: cron and a person must not collide."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.exits import CommandError, ExitCode
from certwright.cli.acme.files import PRIVATE_FILE, make_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_PAUSE: Final = 0.1
_MAX_PID: Final = 20


class Busy(CommandError):
    """Another run held a lock for all of the time that there was."""

    def __init__(self, holder: str, what: str) -> None:
        super().__init__(
            f"Another certwright acme (process {holder}) works with {what}. Wait until it is done, or give it longer"
            " with --lock-timeout",
            ExitCode.LOCKED,
        )
        self.holder = holder


class Lock:
    """A lock that is held by one run, or shared by several. The kernel lets go of it when a process ends, however.

    Args:
        path: The lock file; its folder is made.
        what: What is locked, for people: "the certificate example.com".
        seconds: How long to wait for other runs.
        on_wait: Told if there is one.

    Raises:
        CommandError: The file cannot be opened.
    """

    def __init__(self, path: Path, what: str, *, seconds: float, on_wait: Callable[[str], None]) -> None:
        make_folder(path.parent)
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        except OSError as error:
            raise CommandError(f"Cannot open the lock {path}: {os.strerror(error.errno or 0).lower()}") from error
        self._what = what
        self._seconds = seconds
        self._on_wait = on_wait

    async def take(self, *, shared: bool = False) -> None:
        """Hold the lock, alone or with others who share it; one that is held is turned into the other kind.

        Between the two kinds others may have held it: look again at what it protects.

        Raises:
            Busy: Others held it all the time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        told = False
        while True:
            try:
                fcntl.flock(self._handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = self._holder()
                if loop.time() >= deadline:
                    raise Busy(holder, self._what) from None
                if not told:
                    self._on_wait(f"Waiting for another certwright acme (process {holder}) at {self._what}")
                    told = True
                await asyncio.sleep(_PAUSE)
            else:
                self._sign()
                return

    def release(self) -> None:
        """Let go of it."""
        os.close(self._handle)

    def _sign(self) -> None:
        # Only for the message to others, so that a full disk is no reason to stop.
        with suppress(OSError):
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def _holder(self) -> str:
        """Return the process that signed last, unless it is gone and another one shares the lock."""
        text = os.pread(self._handle, _MAX_PID, 0).decode("ascii", "replace").strip()
        if not text.isdecimal():
            return "unknown"
        try:
            os.kill(int(text), 0)
        except ProcessLookupError:
            return "unknown"
        except PermissionError:
            pass
        return text


@asynccontextmanager
async def locked(
    path: Path, what: str, *, seconds: float, on_wait: Callable[[str], None], shared: bool = False
) -> AsyncIterator[Lock]:
    """Hold a lock while the block runs; see `Lock`.

    Raises:
        Busy: Others held it all the time.
        CommandError: The file cannot be opened.
    """
    lock = Lock(path, what, seconds=seconds, on_wait=on_wait)
    try:
        await lock.take(shared=shared)
        yield lock
    finally:
        lock.release()
