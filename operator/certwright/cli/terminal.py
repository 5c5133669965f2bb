"""The standard streams and user input, for every command."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_LINE: Final = 4096
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def is_full(error: BaseException) -> bool:
    """Whether a write to standard output failed although nobody has closed it: a disk is full."""
    return isinstance(error, OSError) and error.errno in _FULL and error.filename is None


@contextmanager
def output_may_be_full() -> Iterator[None]:
    """End the process with a line instead of a traceback if its output cannot be written."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if not is_full(error):
            raise
        with suppress(OSError):
            print(f"Error: cannot write the result: {os.strerror(error.errno or 0).lower()}.", file=sys.stderr)
        flush_streams()
        raise SystemExit(1) from None


def open_streams() -> None:
    """Open closed standard streams on /dev/null, before another file gets their numbers."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as it was


def flush_streams() -> None:
    """Write what is left of the output; what cannot be written is dropped."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            # It would fail again when the interpreter exits, and change the exit code.
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def heed_ctrl_c() -> None:
    """Have Ctrl-C cancel what runs from now on, so that it is cleaned up after."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


async def read_line() -> str:
    """Return a line of standard input, empty at its end; without a thread, which could not be cancelled."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()
    handle = sys.stdin.fileno()

    def read() -> None:
        if answered.done():
            return
        try:
            answered.set_result(os.read(handle, _MAX_LINE).decode("utf-8", "replace"))
        except OSError:  # the terminal is gone
            answered.set_result("")

    loop.add_reader(handle, read)
    try:
        return await answered
    finally:
        loop.remove_reader(handle)
