"""How a command ends with a message. The exit codes themselves differ: see acme/exits.py and cluster/exits.py."""

from __future__ import annotations

from typing import Final

FAILED: Final = 1
"""What any command of ours ends with for which there is no other code."""


class CommandError(Exception):
    """Ends a command with a message for the user.

    Attributes:
        code: The exit code, an `ExitCode` of the command.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code
