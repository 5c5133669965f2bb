"""How often an API permits an action, under several limits at the same time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Limit(NamedTuple):
    """So often in any period of this length.

    Attributes:
        most: How often.
        seconds: The length of the period.
    """

    most: int
    seconds: float


class Quota:
    """Remembers when something was done, and says when it may be done again.

    Args:
        limits: All have to be kept.
        monotonic: The clock, in seconds.
    """

    def __init__(self, limits: Sequence[Limit], *, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._done: deque[float] = deque(maxlen=max(limit.most for limit in limits))

    def wait(self) -> tuple[float, Limit | None]:
        """Return for how many seconds it may not be done, and which limit says so; None if none does."""
        now = self._monotonic()
        waits = [
            (self._done[-limit.most] + limit.seconds - now, limit)
            for limit in self._limits
            if len(self._done) >= limit.most
        ]
        longest = max(waits, default=(0.0, None), key=lambda wait: wait[0])
        return longest if longest[0] > 0 else (0.0, None)

    def count(self) -> None:
        """Remember that it is done now."""
        self._done.append(self._monotonic())

    @property
    def is_unused(self) -> bool:
        """Whether it forbids nothing, nor would for as long as its longest period."""
        longest = max(limit.seconds for limit in self._limits)
        return not self._done or self._done[-1] + longest <= self._monotonic()
