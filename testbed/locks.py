"""One at a time, where several beds of a machine would build the same thing."""

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
    """Hold the lock of a file, which is made if need be; say so if somebody else has it for now."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.say(f"Waiting for another test bed, which is building and holds {path}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
