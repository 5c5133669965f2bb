"""The result of a translation: our object, what has a different meaning, and what has no equivalent."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NOTES: Final = 50
"""Of an object: whoever wrote a thousand mistakes reads the first of them."""
_LONGEST_TEXT: Final = 300


class Verdict(StrEnum):
    """Whether an object can be Certwright's."""

    MOVES = "moves"
    """It means the same there."""
    CHANGES = "moves with changes"
    """It moves, and something means something else then: each change is named."""
    STAYS = "stays"
    """It cannot move; each reason is named."""


@dataclass(frozen=True)
class Change:
    """Something that means something else once it is Certwright's.

    Attributes:
        field: The path of the field, as people write it.
        now: What it means there.
        then: What it means, or what is done, here.
    """

    field: str
    now: str
    then: str

    def __str__(self) -> str:
        return f"{self.field}: {self.now}; with Certwright: {self.then}"


@dataclass(frozen=True)
class Refusal:
    """Why an object cannot move.

    Attributes:
        field: The path of the field, as people write it.
        why: What is in the way.
        remedy: What to do about it; empty if the reason says it.
    """

    field: str
    why: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.field}: {self.why}" + (f" ({self.remedy})" if self.remedy else "")


@dataclass(frozen=True)
class Translation:
    """An object of cert-manager in our terms.

    Attributes:
        kind: Of the object there.
        namespace: None for a ClusterIssuer.
        name: Of the object there, and of ours.
        manifest: Our object, as it can be applied; None if it stays.
        changes: What means something else.
        refusals: Why it stays; empty if it moves.
    """

    kind: str
    namespace: str | None
    name: str
    manifest: Mapping[str, Any] | None
    changes: tuple[Change, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether it can be Certwright's."""
        if self.manifest is None:
            return Verdict.STAYS
        return Verdict.CHANGES if self.changes else Verdict.MOVES


@dataclass
class Notes:
    """What is found while one object is translated.

    Attributes:
        changes: Told with the object.
        refusals: If there is any, the object stays.
    """

    changes: list[Change] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def change(self, path: str, now: str, then: str) -> None:
        """Note that something will mean something else."""
        if len(self.changes) < MAX_NOTES:
            self.changes.append(Change(_short(path), _short(now), _short(then)))

    def refuse(self, path: str, why: str, remedy: str = "") -> None:
        """Note a reason to stay."""
        if len(self.refusals) < MAX_NOTES:
            self.refusals.append(Refusal(_short(path), _short(why), _short(remedy)))


def _short(text: str) -> str:
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[: _LONGEST_TEXT + 1])
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]}\N{HORIZONTAL ELLIPSIS}"
