"""Limits how often a Certificate is ordered, whatever happens to its Secret, spec or issuer.

If something keeps deleting or overwriting the Secret, if two tools change the spec back and forth, or if an issuer
comes and goes, another order would be needed as soon as the last one is done, until the CA's limits are used up.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.certificates.need import Need
    from certwright.certificates.observation import Observation

HOUR: Final = dt.timedelta(hours=1)
DAY: Final = dt.timedelta(days=1)
LIMITS: Final = ((5, HOUR), (10, DAY))
"""So many orders within so long. Failed ones have pauses of their own, which are longer."""
MAX_KEPT: Final = max(most for most, _ in LIMITS)
SHARE: Final = 4
"""Of the lifetime: a certificate that is renewed later than after this is not renewed too often."""
SHARE_BY_SPEC: Final = 12
"""Of the lifetime. See `renewal.LARGEST_PART`; jitter makes it a little less than a tenth."""
SHORTEST_LIFE_BETWEEN: Final = dt.timedelta(minutes=2)
"""The least time between two renewals that do not count."""


def plausible(ordered: Iterable[dt.datetime], now: dt.datetime) -> tuple[dt.datetime, ...]:
    """Return the times of orders that matter now, in their order; at most ten.

    A status may be from somebody else, or from before a wrong clock was put right: it holds nothing up for more than a
    day, and times to come count for nothing.
    """
    return tuple(sorted(time for time in ordered if now - DAY < time <= now))[-MAX_KEPT:]


def with_order(ordered: Iterable[dt.datetime], now: dt.datetime) -> tuple[dt.datetime, ...]:
    """Return the times of orders with one that is placed now."""
    return (*plausible(ordered, now), now)[-MAX_KEPT:]


def next_order_time(ordered: Iterable[dt.datetime], now: dt.datetime) -> dt.datetime | None:
    """Return the time before which no order may be placed, or None if one may be placed now."""
    times = plausible(ordered, now)
    waits = [times[-most] + span for most, span in LIMITS if len(times) >= most]
    latest = max(waits, default=None)
    return latest if latest is not None and latest > now else None


def is_scheduled(observation: Observation, need: Need, now: dt.datetime) -> bool:
    """Whether this is the renewal of the certificate that was issued last, which nobody disturbed.

    These do not count: a certificate of an hour is rightly renewed more often than the limits allow.
    """
    secret, last = observation.secret, observation.memory.ordered_at
    facts = secret.certificate if secret is not None else None
    if need.reason not in {"Renewal", "Expired"} or secret is None or facts is None:
        return False
    begun = facts.not_before if last is None else max(facts.not_before, last)
    # The spec may ask for a renewal after a tenth of the lifetime. What a CA suggests earlier than a quarter counts.
    by_spec = observation.renewal is not None and observation.renewal.basis == "RenewBefore"
    pause = max((facts.not_after - begun) / (SHARE_BY_SPEC if by_spec else SHARE), SHORTEST_LIFE_BETWEEN)
    return secret.revision == observation.status.revision and now - begun >= pause
