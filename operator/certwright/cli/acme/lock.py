"""File locks: cron and a user at a terminal must not work on one certificate, account or port at the same time."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.exits import ExitCode
from certwright.cli.acme.files import PRIVATE_FILE, make_folder
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

_PAUSE: Final = 0.1
_SHORT_PAUSE: Final = 0.01
_MAX_PID: Final = 20


class Busy(CommandError):
    """Another run held a lock until the time was up."""

    def __init__(self, holder: str, what: str) -> None:
        super().__init__(
            f"Another certwright acme (process {holder}) is using {what}. Wait until it is done, or wait longer with"
            " --lock-timeout",
            ExitCode.LOCKED,
        )
        self.holder = holder


class Lock:
    """A lock that one run holds, or several share. The kernel releases it when a process ends, however it ends.

    Args:
        path: The lock file; its folder is created.
        what: What is locked, for messages: "the certificate example.com".
        seconds: How long to wait for other runs.
        on_wait: Called with a message when it has to wait.

    Raises:
        CommandError: The file cannot be opened.
    """

    def __init__(self, path: Path, what: str, *, seconds: float, on_wait: Callable[[str], None]) -> None:
        make_folder(path.parent)
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
        except OSError as error:
            raise CommandError(f"Cannot open the lock {path}: {os.strerror(error.errno or 0).lower()}") from error
        self._what = what
        self._seconds = seconds
        self._on_wait = on_wait

    async def take(self, *, shared: bool = False) -> None:
        """Take the lock, exclusively or shared; one that is held already is converted.

        During the conversion another run may have held it: check again what it protects.

        Raises:
            Busy: Other runs held it until the time was up.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        told = False
        while True:
            if self._taken(fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
                return
            holder = self._holder()
            if loop.time() >= deadline:
                raise Busy(holder, self._what)
            if not told:
                self._on_wait(f"Waiting for another certwright acme (process {holder}) that is using {self._what}")
                told = True
            await asyncio.sleep(_PAUSE)

    def take_briefly(self) -> None:
        """Take the lock, exclusively, while the event loop stands still: for what every run holds for milliseconds.

        Raises:
            Busy: Other runs held it until the time was up.
        """
        deadline = time.monotonic() + self._seconds
        while not self._taken(fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                raise Busy(self._holder(), self._what)
            time.sleep(_SHORT_PAUSE)

    def release(self) -> None:
        """Release the lock."""
        os.close(self._handle)

    def _taken(self, kind: int) -> bool:
        try:
            fcntl.flock(self._handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._sign()
        return True

    def _sign(self) -> None:
        # Only for messages of other runs, so a full disk is no reason to stop.
        with suppress(OSError):
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def _holder(self) -> str:
        """Return the process that signed last, or "unknown" if it is gone and another one shares the lock."""
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
        Busy: Other runs held it until the time was up.
        CommandError: The file cannot be opened.
    """
    lock = Lock(path, what, seconds=seconds, on_wait=on_wait)
    try:
        await lock.take(shared=shared)
        yield lock
    finally:
        lock.release()


@contextmanager
def locked_briefly(path: Path, what: str, *, seconds: float) -> Iterator[None]:
    """Hold a lock alone while the block runs, which must not wait for anything; see `Lock.take_briefly`.

    Raises:
        Busy: Other runs held it until the time was up.
        CommandError: The file cannot be opened.
    """
    lock = Lock(path, what, seconds=seconds, on_wait=lambda _: None)
    try:
        lock.take_briefly()
        yield
    finally:
        lock.release()
