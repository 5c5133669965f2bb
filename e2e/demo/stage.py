"""What both demos share: scenes with timings, an orderly stop, and keeping everything running."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console

from harness import NotAsExpected
from testbed.errors import BedError
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER: Final = PROJECT / ".cache" / "demo"

console = Console(highlight=False)


class Stage:
    """The scenes that were played.

    Attributes:
        timings: Seconds by scene, in their order.
        running: Ends what is entered here.
    """

    def __init__(self, running: ExitStack) -> None:
        self.running = running
        self.timings: dict[str, float] = {}
        self._began = time.monotonic()

    @contextmanager
    def scene(self, title: str) -> Iterator[None]:
        """Print what is being done and how long it took."""
        console.print(f"[bold cyan]==>[/] {title}")
        began = time.monotonic()
        yield
        self.timings[title] = time.monotonic() - began
        console.print(f"    [dim]done in {self.timings[title]:.1f} s[/]")

    def close(self) -> None:
        """Add the time of all scenes."""
        self.timings["Total"] = time.monotonic() - self._began


def perform(title: str, introduction: str, scenes: Callable[[Stage], None]) -> int:
    """Play the scenes, and end all that they started.

    Args:
        title: Of the demo.
        introduction: What it shows.
        scenes: Plays them.

    Returns:
        The exit code: 0 if all went as it should, else 1.

    Raises:
        BedError: A part cannot be built or started, or a demo of this checkout runs already.
    """
    console.rule(f"[bold]{title}")
    console.print(introduction)
    with _alone():
        shutil.rmtree(FOLDER, ignore_errors=True)
        try:
            with ExitStack() as running:
                running.callback(console.print, "Stopped everything that the demo had started.")
                try:
                    scenes(Stage(running))
                finally:
                    # A second Ctrl-C must not interrupt the clean-up.
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
        except (NotAsExpected, AssertionError, OSError) as error:
            console.print(f"[bold red]The demo failed:[/] {error}\nThe logs are in {FOLDER}.")
            return 1
        except KeyboardInterrupt:
            shutil.rmtree(FOLDER, ignore_errors=True)
            raise
        shutil.rmtree(FOLDER, ignore_errors=True)
    console.rule("[bold green]The demo succeeded")
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """Keep a second demo out of the folder of the first until that has ended, however it ends."""
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(FOLDER.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "stop it with Ctrl-C in its terminal, or wait until it ends"
            raise BedError(f"Another demo of this checkout is running in {FOLDER}", remedy=remedy) from None
        yield
    finally:
        os.close(handle)


def wait_for_interrupt(instructions: str) -> None:
    """Print what the user can try, and wait for Ctrl-C."""
    console.print(instructions, soft_wrap=True)
    console.print("[bold]Press Ctrl-C to stop everything.[/]")
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("\nStopping ...")
