"""When Certificates that waited for a failed CA continue: one after another, so that it does not fail again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.certificates.steps.step import Rest
from certwright.runtime.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.certificates.observation import Observation
    from certwright.runtime.key import Key

APART: Final = dt.timedelta(seconds=0.5)
"""Between two that go on,"""
LONGEST: Final = dt.timedelta(minutes=5)
"""or less, so that all have gone on after so long."""


@dataclass(frozen=True)
class AwaitTurn(Rest):
    """The issuer's CA works again, and others go first: what the status says stays until then.

    Attributes:
        until: When it is this one's turn.
    """

    is_silent = True
    until: dt.datetime

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002 - as every step has it
        """Look again then."""
        return Result.again_at(self.until, now)


class Returns:
    """The turns of those who waited. Each is kept until it has come, or its Certificate is gone."""

    def __init__(self) -> None:
        self._turns: dict[str, tuple[Key, dt.datetime]] = {}

    def __len__(self) -> int:
        """How many turns are to come."""
        return len(self._turns)

    def begin(self, issuer: Key, waiting: Iterable[str], now: dt.datetime) -> Mapping[str, dt.timedelta]:
        """Give everybody who waited a turn; return after how long each comes.

        Args:
            issuer: Whose CA works again.
            waiting: The UIDs of the Certificates, in their order.
            now: The present time.
        """
        uids = list(waiting)
        apart = min(APART, LONGEST / max(1, len(uids)))
        turns = {uid: number * apart for number, uid in enumerate(uids)}
        self._turns |= {uid: (issuer, now + after) for uid, after in turns.items()}
        return turns

    def wait(self, uid: str, issuer: Key, now: dt.datetime) -> AwaitTurn | None:
        """Return the rest until a Certificate's turn at an issuer; None if it may go on.

        A turn that is further away than any was given with a clock that was set back since.
        """
        known, until = self._turns.get(uid, (issuer, now))
        if known == issuer and now < until <= now + LONGEST:
            return AwaitTurn(until)
        self._turns.pop(uid, None)
        return None

    def forget(self, uid: str) -> None:
        """Forget a Certificate that is gone."""
        self._turns.pop(uid, None)
