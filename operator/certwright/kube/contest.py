"""Restores objects that something else keeps changing, with growing pauses, so that two controllers do not fight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

LONGEST_SECONDS: Final = 300.0

P = TypeVar("P", bound="Hashable")


@dataclass(frozen=True)
class _Written:
    digest: str
    at: float
    again: int
    is_told: bool = False


class Contest(Generic[P]):
    """What was written lately at each place, and how often it was the same.

    Args:
        clock: Seconds.
        free_writes: How often the same is written again without a pause, for people who delete an object once or twice.
        calm_seconds: After which what was written last counts no more.
        most: Places that are remembered, those written last; None for all until they are forgotten.
    """

    def __init__(
        self, clock: Callable[[], float], *, free_writes: int, calm_seconds: float, most: int | None = None
    ) -> None:
        self._clock = clock
        self._free_writes = free_writes
        self._calm_seconds = calm_seconds
        self._most = most
        self._written: dict[P, _Written] = {}

    def is_contested(self, place: P, digest: str) -> bool:
        """Whether what is to be written was written several times lately, each time for something else to undo it.

        Args:
            place: Where.
            digest: Of what is to be written.
        """
        before = self._written.get(place)
        return before is not None and before.again >= self._free_writes and self._is_same(before, digest)

    def pause(self, place: P, digest: str) -> float:
        """Return the seconds to wait before it is written; 0 or less for none."""
        if not self.is_contested(place, digest):
            return 0.0
        before = self._written[place]
        return min(2.0 ** (before.again - self._free_writes + 1), LONGEST_SECONDS) - (self._clock() - before.at)

    def since(self, place: P) -> float | None:
        """Return the seconds since anything was written there; None if that is not known."""
        before = self._written.get(place)
        return None if before is None else self._clock() - before.at

    def is_news(self, place: P) -> bool:
        """Whether it was not asked before in this contest: it is told once, however often the object changes."""
        before = self._written[place]
        self._written[place] = replace(before, is_told=True)
        return not before.is_told

    def note(self, place: P, digest: str, *, counts: bool = True) -> None:
        """Take in that something was written.

        Args:
            place: Where.
            digest: Of what was written.
            counts: Whether something else may have undone it before; False for what was our own change of words.
        """
        before = self._written.pop(place, None)
        written = _Written(digest, self._clock(), 0)
        if before is not None and self._is_same(before, digest):
            written = replace(written, again=before.again + counts, is_told=before.is_told)
        self._written[place] = written
        while self._most is not None and len(self._written) > self._most:
            del self._written[next(iter(self._written))]

    def forget(self, place: P) -> None:
        """Forget an object that is gone."""
        self._written.pop(place, None)

    def _is_same(self, before: _Written, digest: str) -> bool:
        return before.digest == digest and self._clock() - before.at < self._calm_seconds
