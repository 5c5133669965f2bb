"""The exit codes of `certwright acme`, for scripts. Their meaning never changes."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from certwright.cli.exits import CommandError


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_VALIDATED = 4
    RATE_LIMITED = 5
    UNREACHABLE = 6
    RENEWALS_FAILED = 7
    HOOK_FAILED = 8
    LOCKED = 9
    ACTION_NEEDED = 10
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Final = {
    ExitCode.DONE: "success, or nothing to do",
    ExitCode.FAILED: "a problem on this host (file, key, setting), or an unexpected error",
    ExitCode.USAGE: "invalid command line",
    ExitCode.REFUSED: "the CA refused, or issued an unusable certificate",
    ExitCode.NOT_VALIDATED: "a domain could not be validated",
    ExitCode.RATE_LIMITED: "rate limit of the CA reached; the message says until when",
    ExitCode.UNREACHABLE: "the CA is unreachable, is not an ACME server, or takes too long",
    ExitCode.RENEWALS_FAILED: "renew: at least one certificate could not be renewed",
    ExitCode.HOOK_FAILED: "the certificate was issued, but its deploy hook failed",
    ExitCode.LOCKED: "another certwright acme is using the same certificate or account",
    ExitCode.ACTION_NEEDED: "you need to act first: agree to terms, or register or bind an account",
    ExitCode.HUNG_UP: "terminal closed (SIGHUP), after cleaning up",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C, after cleaning up",
    ExitCode.TERMINATED: "terminated by SIGTERM, after cleaning up",
}
"""What each code means, for `--help` and docs/cli.md."""


class UsageError(CommandError):
    """Options contradict each other, or a value is invalid."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.USAGE)
