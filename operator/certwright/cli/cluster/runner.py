"""Runs a command: errors become a line for people and an exit code, never a traceback."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from typing import TYPE_CHECKING, Final

from certwright.cli.cluster.exits import ExitCode
from certwright.cli.exits import CommandError
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from typing import Any

DEBUG: Final = "CERTWRIGHT_DEBUG"
"""Environment variable: set it to see the traceback of an unexpected error."""
MAX_ERROR: Final = 2000


def run(command: Coroutine[Any, Any, ExitCode]) -> int:
    """Run a command to its end and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a character for a branch of the tree
    try:
        return int(asyncio.run(command))
    except CommandError as error:
        complain(f"Error: {printable(str(error), MAX_ERROR)}")
        return int(error.code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader has seen enough (`| head`); Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.DONE)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        complain(f"Error: unexpected {type(error).__name__}. Set {DEBUG}=1, run it again and report the output.")
        return int(ExitCode.FAILED)


def say(lines: Iterable[str]) -> None:
    """Print lines of the result."""
    print("\n".join(lines), flush=True)


def complain(text: str) -> None:
    """Print an error, a warning or a question."""
    print(text, file=sys.stderr, flush=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask for a yes.

    Raises:
        CommandError: The answer is another one, or there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} There is no terminal to ask at: confirm with --yes.", ExitCode.USAGE)
    complain(f"{question} Type yes:")
    if sys.stdin.readline().strip().lower() != "yes":
        raise CommandError("Not confirmed, nothing was changed.")
