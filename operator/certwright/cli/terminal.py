"""The standard streams and what is typed, for every command that people run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Final

_MAX_LINE: Final = 4096


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
