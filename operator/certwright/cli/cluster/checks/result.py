"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Result:
    """What a check has found.

    Attributes:
        level: `fail` ends the command with an error; `warn` is for what cannot be told from here, or may be meant.
        name: What was checked.
        message: What was found, and what to do.
    """

    level: Level
    name: str
    message: str
