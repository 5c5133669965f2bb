"""What people and machines read: progress on standard error, the result on standard output."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from certwright.cli.acme.documents import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.status import Status


class Output:
    """Live on a terminal, plain lines elsewhere.

    Args:
        as_json: The result is one JSON document.
        quiet: No progress.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        #: Told to people if the command ends before it is done.
        self.last_word = ""
        self._quiet = quiet
        self._console: Console | None = None
        self._status: Status | None = None
        self._step = ""

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show a moving line with the step under way, if somebody can see it."""
        if self._quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - only where it can be seen
        from rich.markup import escape  # noqa: PLC0415

        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status(escape(self._step or "Working"))
        try:
            with self._status:
                yield
        finally:
            self._status = None

    def say(self, text: str) -> None:
        """Tell a step of the progress."""
        self._step = text
        if not self._quiet:
            self._line("", "", text, bullet="• ")

    def warn(self, text: str) -> None:
        """Tell what deserves attention."""
        self._line("Warning: ", "yellow", text)

    def error(self, text: str) -> None:
        """Tell why the command fails."""
        self._line("Error: ", "bold red", text)

    def instruct(self, text: str) -> None:
        """Tell what a person has to do; shown even if progress is not."""
        self._line("", "", text)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep the moving line away from a question."""
        if self._status is None:
            yield
            return
        self._status.stop()
        try:
            yield
        finally:
            self._status.start()

    def result(self, lines: Sequence[str], document: Mapping[str, Any]) -> None:
        """Print the result in the form that was asked for."""
        if self.as_json:
            print(json.dumps(document, indent=2, ensure_ascii=False, default=plain), flush=True)
        elif lines:
            print("\n".join(lines), flush=True)

    def _line(self, label: str, style: str, text: str, *, bullet: str = "") -> None:
        # A log that is full, or a terminal that is gone, is no reason to stop an issuance.
        with suppress(OSError):
            if self._status is None or self._console is None:
                print(f"{label}{text}", file=sys.stderr, flush=True)
                return
            from rich.text import Text  # noqa: PLC0415

            self._console.print(Text.assemble((bullet, "cyan"), (label, style), text), soft_wrap=True)
            if bullet:
                self._status.update(Text(text.partition(": ")[0]))
