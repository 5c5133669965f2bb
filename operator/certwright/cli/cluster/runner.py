"""Runs a command. Errors become a message and an exit code, never a traceback."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from certwright.cli.cluster.exits import ExitCode
from certwright.cli.exits import CommandError
from certwright.cli.terminal import flush_streams, heed_ctrl_c, is_full, open_streams, read_line
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from typing import Any

DEBUG: Final = "CERTWRIGHT_DEBUG"
"""Environment variable: set it to see the traceback of an unexpected error."""
MAX_ERROR: Final = 2000


def run(command: Coroutine[Any, Any, ExitCode]) -> int:
    """Run a command to its end and return its exit code."""
    open_streams()
    heed_ctrl_c()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a character for a branch of the tree
    try:
        return int(_code(command))
    finally:
        flush_streams()


def _code(command: Coroutine[Any, Any, ExitCode]) -> ExitCode:
    try:
        return asyncio.run(command)
    except CommandError as error:
        complain(f"Error: {printable(str(error), MAX_ERROR)}")
        return ExitCode(error.code)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough (`| head`).
        return ExitCode.DONE
    except Exception as error:
        if isinstance(error, OSError) and is_full(error):
            complain(f"Error: cannot write the result: {os.strerror(error.errno or 0).lower()}.")
            return ExitCode.FAILED
        if os.environ.get(DEBUG):
            raise
        complain(f"Error: unexpected {type(error).__name__}. Set {DEBUG}=1, run it again and report the output.")
        return ExitCode.FAILED


def say(lines: Sequence[str]) -> None:
    """Print lines of the result.

    Raises:
        OSError: They cannot be written: nobody reads them any more, or a disk is full.
    """
    if lines:
        print("\n".join(lines), flush=True)


def tell(*lines: str) -> None:
    """Print what has just been done. That nobody reads it stops nothing half-way."""
    with suppress(OSError):
        print("\n".join(lines), flush=True)


def complain(text: str) -> None:
    """Print an error, a warning or a question."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


async def confirm(question: str, *, yes: bool) -> None:
    """Ask for a yes.

    Raises:
        CommandError: The answer is another one, or there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} There is no terminal to ask at: confirm with --yes.", ExitCode.USAGE)
    complain(f"{question} Type yes:")
    # Not `readline`, during which the event loop takes no Ctrl-C.
    if (await read_line()).strip().lower() != "yes":
        raise CommandError("Not confirmed, nothing was changed.")
