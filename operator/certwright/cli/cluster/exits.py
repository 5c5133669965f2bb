"""The exit codes of `kubectl certwright`, for scripts. Their meaning never changes."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNREACHABLE = 5
    TIMED_OUT = 6
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.DONE: "success",
    ExitCode.FAILED: (
        "a request failed or was refused by the operator; cancel: a request had ended or was replaced before; check: a "
        "check failed; not confirmed"
    ),
    ExitCode.USAGE: "invalid command line",
    ExitCode.NOT_FOUND: "no such object, nothing matches, or the CRDs are not installed",
    ExitCode.REFUSED: "the API server refused: a permission is missing, or the object is invalid",
    ExitCode.UNREACHABLE: "no credentials that the API server accepts, or it cannot be reached",
    ExitCode.TIMED_OUT: "--wait: not finished within --timeout",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}
"""What each code means, for `--help` and docs/kubectl.md."""
