"""A lock for builds, as several beds of a machine may build the same thing."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .progress import Reporter


@contextmanager
def alone(path: Path, reporter: Reporter) -> Iterator[None]:
    """Hold the lock of a file, which is created if missing; say so if another process holds it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.say(f"Waiting for another test bed that is building programs (lock: {path})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
