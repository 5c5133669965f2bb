"""Certificates that something else keeps changing or deleting: they are put back with growing pauses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Place = tuple[str, str]

FREE_WRITES: Final = 5
"""So often the same is written again without a pause: people who delete a Certificate get it back at once."""
LONGEST_SECONDS: Final = 300.0
CALM_SECONDS: Final = 900.0
"""After which what was written last counts no more."""
MAX_PLACES: Final = 4096


@dataclass(frozen=True)
class _Written:
    digest: str
    at: float
    again: int
    is_told: bool = False


class Contest:
    """What was written of each Certificate lately, and how often it was the same.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._written: dict[Place, _Written] = {}

    def is_contested(self, place: Place, digest: str) -> bool:
        """Whether what is to be written was written several times lately, each time for something else to undo it.

        Args:
            place: Namespace and name of the Certificate.
            digest: Of what is to be written.
        """
        before = self._written.get(place)
        return before is not None and before.again >= FREE_WRITES and self._is_same(before, digest)

    def pause(self, place: Place) -> float:
        """Return the seconds to wait before a contested Certificate is written again; 0 or less for none."""
        before = self._written[place]
        return min(2.0 ** (before.again - FREE_WRITES + 1), LONGEST_SECONDS) - (self._clock() - before.at)

    def is_news(self, place: Place) -> bool:
        """Whether it was not asked before in this contest: it is told once, however often the object changes."""
        before = self._written[place]
        self._written[place] = replace(before, is_told=True)
        return not before.is_told

    def note(self, place: Place, digest: str) -> None:
        """Take in that a Certificate was written."""
        before = self._written.pop(place, None)
        written = _Written(digest, self._clock(), 0)
        if before is not None and self._is_same(before, digest):
            written = replace(written, again=before.again + 1, is_told=before.is_told)
        self._written[place] = written
        while len(self._written) > MAX_PLACES:
            del self._written[next(iter(self._written))]

    def _is_same(self, before: _Written, digest: str) -> bool:
        return before.digest == digest and self._clock() - before.at < CALM_SECONDS
