"""Chooses which of a Certificate's issuers to use now, from their states and the time. Pure.

Only this module decides it. Everything else takes the issuer in use from the observation.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.issuers.circuits import Obstacle
    from certwright.issuers.registry import IssuerView, ReadyIssuer
    from certwright.resources import IssuerRef
    from certwright.runtime.key import Key

GRACE: Final = dt.timedelta(seconds=30)
"""So long an issuer may be missing or not ready before another one is used: it may have been applied a moment ago."""
CALLED_BACK_PATIENCE: Final = dt.timedelta(hours=12)
"""A CA has to revoke what it should not have issued within one or five days."""
LONG_RATE_LIMIT: Final = dt.timedelta(minutes=10)
"""A wait of the CA's that is shorter is waited for."""


@dataclass(frozen=True)
class Candidate:
    """One of a Certificate's issuers.

    Attributes:
        reference: As the spec refers to it.
        key: Its key.
        view: Whether it is ready.
        ready: The issuer, if it is.
        obstacle: Why it must not be used although it is ready, or None.
        is_held: Whether the obstacle keeps requests from its CA; a rate limit has turns of its own.
    """

    reference: IssuerRef
    key: Key
    view: IssuerView
    ready: ReadyIssuer | None
    obstacle: Obstacle | None = None
    is_held: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether a certificate can be ordered from it now."""
        return self.view.state == "ready" and self.obstacle is None

    @property
    def why_not(self) -> str:
        """Why none can be, for people, without a full stop."""
        return self.obstacle.message if self.obstacle is not None else self.view.message.rstrip(".")

    def given_up_at(self, patient_until: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        """Return the time from which another issuer is used instead."""
        if self.obstacle is not None:
            return patient_until or now
        since = self.view.since or now
        if since > now:
            return patient_until or now  # the clock was set back
        return max(since + GRACE, patient_until or since)


@dataclass(frozen=True)
class Choice:
    """The issuer that is used now.

    Attributes:
        candidate: Which.
        instead_of: Those before it that cannot be used, in their order.
        look_at: When the choice may be another one, if nothing else happens before; None if that is not known.
    """

    candidate: Candidate
    instead_of: tuple[Candidate, ...] = ()
    look_at: dt.datetime | None = None


def choose(
    candidates: Sequence[Candidate], *, order_of: Key | None, patient_until: dt.datetime | None, now: dt.datetime
) -> Choice:
    """Return the issuer to use for what is needed now.

    An order is finished where it was placed, as long as that issuer works. Else it is the first that works, once those
    before it have not worked for long enough: see `patience`.

    Args:
        candidates: The issuers in the Certificate's order of preference, at least one.
        order_of: The issuer of the open order, or None.
        patient_until: Until when the certificate can wait for the preferred issuer; None if it cannot wait.
        now: The present time.
    """
    if len(candidates) == 1:
        held = candidates[0].obstacle
        return Choice(candidates[0], look_at=held.until if held is not None else None)
    current = next((one for one in candidates if one.key == order_of), None)
    if current is not None and (current.is_usable or current.view.state == "unknown"):
        return Choice(current)
    waits_at = current or candidates[0]
    position = next((place for place, one in enumerate(candidates) if one.is_usable), None)
    before = tuple(candidates[:position])
    unknown = next((one for one in before if one.view.state == "unknown"), None)
    if unknown is not None:
        return Choice(unknown)
    if position is None:
        again = [one.obstacle.until for one in candidates if one.obstacle is not None]
        return Choice(waits_at, look_at=min(again, default=None))
    given_up_at = max((one.given_up_at(patient_until, now) for one in before), default=now)
    if given_up_at <= now:
        return Choice(candidates[position], before)
    obstacle = waits_at.obstacle
    return Choice(waits_at, look_at=given_up_at if obstacle is None else min(given_up_at, obstacle.until))


def patience(renew_at: dt.datetime, not_after: dt.datetime, *, is_called_back: bool = False) -> dt.datetime:
    """Return until when a certificate that is due for renewal waits for the preferred issuer.

    Half of the time from when it is due to its end: an outage of days is no reason to change the CA while weeks are
    left, and half of that time is enough for the next issuer.

    Args:
        renew_at: When it is due.
        not_after: When it ends.
        is_called_back: Whether its CA wants it renewed in the first half of its lifetime: it will be revoked in days.
    """
    half = (not_after - renew_at) / 2
    return renew_at + (min(half, CALLED_BACK_PATIENCE) if is_called_back else half)
