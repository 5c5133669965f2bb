"""Run a program to its end and return its output."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from .errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def output_of(
    program: Path,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    seconds: float,
    stdin: str | None = None,
    check: bool = True,
) -> str:
    """Run a program and return its standard output.

    Args:
        program: The executable.
        arguments: What follows.
        environment: All of it.
        seconds: How long it may take.
        stdin: What it reads.
        check: Whether an end with an error is one here too.

    Raises:
        CommandFailed: It ended with an error and `check` is set, with what it said; or it took too long.
    """
    title = f"{program.name} {' '.join(arguments)}"
    try:
        answer = subprocess.run(
            [program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{title} took longer than {seconds:g} s") from error
    if check and answer.returncode != 0:
        raise CommandFailed(
            f"{title} ended with status {answer.returncode}", details=(answer.stderr + answer.stdout).strip()
        )
    return answer.stdout
