"""What can go wrong with the test bed; each error says what to do about it."""

from __future__ import annotations


class BedError(Exception):
    """The test bed cannot do what was asked.

    Args:
        problem: what happened, to which part or file.
        remedy: what the person at the keyboard can do about it.
        details: lines that help to find the cause, such as the end of a log.
    """

    def __init__(self, problem: str, *, remedy: str = "", details: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        self.details = details
        super().__init__("\n".join(filter(None, [problem, details, remedy and f"What to do: {remedy}"])))


class BinaryUnavailable(BedError):
    """A program that the bed needs can neither be found nor built."""


class DiskFull(BedError):
    """There is not enough room to build or to run."""


class PartFailed(BedError):
    """A part ended unexpectedly, or was not ready in time."""


class PortTaken(PartFailed):
    """A port that the part was given is in use by another program."""


class CommandFailed(BedError):
    """A command run against the bed, such as kubectl, ended with an error."""
