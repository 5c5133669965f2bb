"""Progress: redrawn on a terminal, and one line for each change elsewhere."""

from __future__ import annotations

import datetime as dt
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.live import Live

    from certwright.kube.errors import KubeError


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
        self._picture: Sequence[str] = ()
        self._trouble = ""

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw on the terminal, if there is one, until the end of the block; the last picture stays."""
        if not self._is_terminal:
            yield
            return
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="ellipsis") as self._live:
            yield
        self._live = None

    def show(self, picture: Sequence[str], states: Mapping[str, str]) -> None:
        """Show how things are now.

        Args:
            picture: All of it, for a terminal.
            states: What each object is at, by its name: lines are printed for those that have changed.
        """
        self._picture, self._trouble = picture, ""
        if self._live is not None:
            self._draw(self._live)
            return
        for name, state in states.items():
            if self._before.get(name) != state:
                self._write(f"{dt.datetime.now(dt.UTC):%H:%M:%S}  {name}: {state}")
        for name in self._before.keys() - states.keys():
            self._write(f"{dt.datetime.now(dt.UTC):%H:%M:%S}  {name}: gone")
        self._before = dict(states)

    def trouble(self, text: str) -> None:
        """Say what keeps from showing how things are now; once, until `show` is called again."""
        if self._trouble:
            return
        self._trouble = text
        if self._live is not None:
            self._draw(self._live)
        else:
            self._write(f"{dt.datetime.now(dt.UTC):%H:%M:%S}  {text}")

    def _draw(self, live: Live) -> None:
        from rich.text import Text

        # What is new comes first: a terminal may have fewer lines than the picture.
        lines = [self._trouble, *self._picture] if self._trouble else self._picture
        live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)


def no_answer(error: KubeError) -> str:
    """Return what to say while the API server is restarted, or the network is down."""
    return f"The API server does not answer; trying again. {printable(str(error))}"
