"""Rehearsals: a renewal is tried at another issuer some days ahead. Pure.

A rehearsal's order is the Certificate's order in the status, so it has the same guarantees: its records are written
down and sealed before they are in the DNS, and removed by whichever process finds them. It differs only in the issuer,
and in the outcome, which is a result and no certificate.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation

LONGEST: Final = dt.timedelta(hours=2)
"""A rehearsal that takes longer has failed."""
MAX_TRIES: Final = 6
"""So often a step is tried that fails for a reason that may pass: some two minutes."""


def rehearsal_time(observation: Observation) -> dt.datetime | None:
    """Return when the renewal is to be rehearsed; None if it is not, or was already."""
    settings, renewal, suggestion = (
        observation.certificate.spec.renewal,
        observation.renewal,
        observation.memory.suggestion,
    )
    facts = observation.secret.certificate if observation.secret is not None else None
    if settings is None or settings.rehearse is None or renewal is None or renewal.at is None or facts is None:
        return None
    if observation.rehearsal_state is not None:
        return None
    issued = suggestion.issued_at(facts) if suggestion is not None else facts.not_before
    # In the first half of the time until the renewal there is nothing to be learnt that the issuance has not shown.
    return renewal.at - min(settings.rehearse.before, max((renewal.at - issued) / 2, dt.timedelta()))


def is_rehearsal_due(observation: Observation, now: dt.datetime) -> bool:
    """Whether a rehearsal is to begin. Once the renewal itself is due it would be of no use."""
    time, at = rehearsal_time(observation), observation.renew_at
    return time is not None and at is not None and time <= now < at


def is_rehearsing(observation: Observation) -> bool:
    """Whether a rehearsal has begun and has no result yet."""
    state = observation.rehearsal_state
    return state is not None and state.state == "Running"


def is_superseded(observation: Observation) -> bool:
    """Whether a rehearsal without a result is in the way of an issuance: it is over, whatever it would have shown.

    An order for the issuance itself is not the rehearsal's, and is not to be given up with it.
    """
    settings, order, request = observation.certificate.spec.renewal, observation.status.order, observation.request
    if settings is None or settings.rehearse is None or not is_rehearsing(observation):
        return False
    return order is None or (request is not None and order.spec_hash != request.fingerprint)
