"""Output and questions: progress and questions on standard error, the result on standard output."""

from __future__ import annotations

import json
import sys
import termios
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.acme.files import plain
from certwright.cli.terminal import read_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.status import Status

_LOCAL_MODES: Final = 3
"""Index, in the result of `tcgetattr`, of the flags that say whether a terminal shows what is typed."""


class Output:
    """Prints the progress, live on a terminal and in plain lines elsewhere, and the result.

    Args:
        as_json: Print the result as one JSON document.
        quiet: Print no progress.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.last_word = ""
        """Shown if the command ends early."""
        self._quiet = quiet
        self._console: Console | None = None
        self._status: Status | None = None
        self._step = ""

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show an animated line with the current step, if standard error is a terminal."""
        if self._quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.markup import escape

        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status(escape(self._step or "Working"))
        try:
            with self._status:
                yield
        finally:
            self._status = None

    def say(self, text: str) -> None:
        """Print a step of the progress."""
        self._step = text
        if not self._quiet:
            self._line("", "", text, bullet="• ")

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._line("Warning: ", "yellow", text)

    def error(self, text: str) -> None:
        """Print why the command fails."""
        self._line("Error: ", "bold red", text)

    def instruct(self, text: str) -> None:
        """Print what the user has to do, even if progress is not printed."""
        self._line("", "", text)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the animated line while a question is open."""
        if self._status is None:
            yield
            return
        self._status.stop()
        try:
            yield
        finally:
            self._status.start()

    def result(self, lines: Sequence[str], document: Mapping[str, Any]) -> None:
        """Print the result, as lines or as the JSON document."""
        if self.as_json:
            print(json.dumps(document, indent=2, ensure_ascii=False, default=plain), flush=True)
        elif lines:
            print("\n".join(lines), flush=True)

    def _line(self, label: str, style: str, text: str, *, bullet: str = "") -> None:
        # A full log or a closed terminal must not stop an issuance.
        with suppress(OSError):
            if self._status is None or self._console is None:
                print(f"{label}{text}", file=sys.stderr, flush=True)
                return
            from rich.text import Text

            self._console.print(Text.assemble((bullet, "cyan"), (label, style), text), soft_wrap=True)
            if bullet:
                self._status.update(Text(text.partition(": ")[0]))


async def confirm(output: Output, question: str) -> bool:
    """Ask the user for a yes; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        return False
    with output.paused():
        output.instruct(f"{question} Type yes:")
        return (await read_line()).strip().lower() == "yes"


async def ask_hidden(output: Output, question: str) -> str:
    """Ask the user for a secret, without showing it; standard input has to be a terminal."""
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    hidden = [*before]
    hidden[_LOCAL_MODES] = before[_LOCAL_MODES] & ~termios.ECHO
    with output.paused():
        try:
            # Before the question, so that a quick answer is hidden as well.
            termios.tcsetattr(handle, termios.TCSADRAIN, hidden)
            output.instruct(question)
            return (await read_line()).rstrip("\r\n")
        finally:
            termios.tcsetattr(handle, termios.TCSADRAIN, before)
