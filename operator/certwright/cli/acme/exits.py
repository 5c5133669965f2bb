"""The exit codes of `certwright acme`, for scripts. They do not change their meaning."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """What the end of a command means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_PROVEN = 4
    RATE_LIMITED = 5
    UNREACHABLE = 6
    RENEWALS_FAILED = 7
    HOOK_FAILED = 8
    LOCKED = 9
    PERSON_NEEDED = 10
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Final = {
    ExitCode.DONE: "done, or there was nothing to do",
    ExitCode.FAILED: "something on this host: a file, a key, a setting; or an unforeseen error",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.REFUSED: "the CA refused, or issued something that cannot be used",
    ExitCode.NOT_PROVEN: "a name could not be proven",
    ExitCode.RATE_LIMITED: "a limit of the CA is exceeded; the message says until when",
    ExitCode.UNREACHABLE: "the CA cannot be reached, is no ACME server, or takes too long",
    ExitCode.RENEWALS_FAILED: "renew: at least one certificate could not be renewed",
    ExitCode.HOOK_FAILED: "the certificate is there, but the deploy hook failed",
    ExitCode.LOCKED: "another certwright acme works with the same certificate or account",
    ExitCode.PERSON_NEEDED: "a person has to act first: terms to agree to, an account to register or bind",
    ExitCode.HUNG_UP: "ended with its terminal (SIGHUP), after cleaning up",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C, after cleaning up",
    ExitCode.TERMINATED: "ended by SIGTERM, after cleaning up",
}


class CommandError(Exception):
    """What ends a command with a message for people.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


class UsageError(CommandError):
    """Options that do not fit together, or a value that cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.USAGE)
