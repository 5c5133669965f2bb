"""Progress: a picture that is drawn again on a terminal, and one line for each change elsewhere."""

from __future__ import annotations

import datetime as dt
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.live import Live


class Screen:
    """Shows how things are.

    Args:
        write: Takes lines where there is no terminal.
        is_terminal: Whether there is one; by default what standard output is.
    """

    def __init__(self, write: Callable[[str], object] | None = None, *, is_terminal: bool | None = None) -> None:
        self._write = write or (lambda line: print(line, flush=True))
        self._is_terminal = sys.stdout.isatty() if is_terminal is None else is_terminal
        self._live: Live | None = None
        self._before: dict[str, str] = {}

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw on the terminal, if there is one, until the end of the block; the last picture stays."""
        if not self._is_terminal:
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - only on a terminal
        from rich.live import Live  # noqa: PLC0415

        with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="ellipsis") as self._live:
            yield
        self._live = None

    def show(self, picture: Sequence[str], states: Mapping[str, str]) -> None:
        """Show how things are now.

        Args:
            picture: All of it, for a terminal.
            states: What each object is at, by its name: lines are printed for those that have changed.
        """
        if self._live is not None:
            from rich.text import Text  # noqa: PLC0415 - only on a terminal

            self._live.update(Text("\n".join(picture), no_wrap=True, overflow="ellipsis"), refresh=True)
            return
        for name, state in states.items():
            if self._before.get(name) != state:
                self._write(f"{dt.datetime.now(dt.UTC):%H:%M:%S}  {name}: {state}")
        for name in self._before.keys() - states.keys():
            self._write(f"{dt.datetime.now(dt.UTC):%H:%M:%S}  {name}: gone")
        self._before = dict(states)
