"""Progress of long work: live on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLAIN_INTERVAL = 15.0


class Task(Protocol):
    """One piece of work whose progress is shown."""

    def total(self, steps: int) -> None:
        """Report how many steps the work has."""

    def step(self, steps: int, activity: str) -> None:
        """Report that `steps` steps are done, and the current activity."""


class Reporter(Protocol):
    """Shows messages and work in progress."""

    def say(self, message: str) -> None:
        """Show one line."""

    @contextmanager
    def task(self, title: str) -> Iterator[Task]:
        """Show a piece of work while the block runs, and how long it took."""
        raise NotImplementedError


class PlainReporter:
    """Lines for logs and CI: start, progress every 15 seconds, the end with the time taken."""

    def __init__(
        self,
        write: Callable[[str], object] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        interval: float = PLAIN_INTERVAL,
    ) -> None:
        self._write = write or _to_stderr
        self._clock = clock
        self._interval = interval

    def say(self, message: str) -> None:
        """Write one line."""
        self._write(message)

    @contextmanager
    def task(self, title: str) -> Iterator[Task]:
        """Write when the work starts, goes on and ends."""
        task = _PlainTask(title, self._write, self._clock, self._interval)
        self.say(f"{title} ...")
        yield task
        self.say(f"{title}: done in {task.elapsed():.0f} s")


class _PlainTask:
    def __init__(self, title: str, write: Callable[[str], object], clock: Callable[[], float], interval: float) -> None:
        self._title, self._write, self._clock, self._interval = title, write, clock, interval
        self._began = self._written = clock()
        self._total = 0

    def elapsed(self) -> float:
        return self._clock() - self._began

    def total(self, steps: int) -> None:
        self._total = steps

    def step(self, steps: int, activity: str) -> None:
        now = self._clock()
        if now - self._written >= self._interval:
            self._written = now
            of = f" of {self._total}" if self._total else ""
            self._write(f"{self._title}: {steps}{of}, {self.elapsed():.0f} s ({activity})")


class RichReporter:
    """A live line with a bar for each piece of work; finished work stays as one line."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, message: str) -> None:
        """Print one line above the live part."""
        self._console.print(message, highlight=False, markup=False)

    @contextmanager
    def task(self, title: str) -> Iterator[Task]:
        """Show a spinner, a bar, the steps and the time that has passed."""
        began = time.monotonic()
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[activity]}"),
            console=self._console,
            transient=True,
        )
        with progress:
            identifier = progress.add_task(title, total=None, activity="")
            yield _RichTask(progress, identifier)
        self.say(f"{title}: done in {time.monotonic() - began:.0f} s")


class _RichTask:
    def __init__(self, progress: Progress, identifier: object) -> None:
        self._progress, self._identifier = progress, identifier

    def total(self, steps: int) -> None:
        self._progress.update(self._identifier, total=steps)  # type: ignore[arg-type]  # rich's TaskID is an int

    def step(self, steps: int, activity: str) -> None:
        self._progress.update(self._identifier, completed=steps, activity=activity[-60:])  # type: ignore[arg-type]


def reporter() -> Reporter:
    """Return the live display when standard error is a terminal, plain lines otherwise."""
    console = Console(stderr=True)
    return RichReporter(console) if console.is_terminal and not console.is_dumb_terminal else PlainReporter()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
