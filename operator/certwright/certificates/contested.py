"""Restores a Secret that something else changes, with the certificate issued last and with growing pauses."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from certwright.certificates.need import issuance_need
from certwright.certificates.secret.issued import KEPT_AFTER_ISSUE, KEPT_AFTER_WRITE, Written
from certwright.certificates.secret.manifest import metadata_fingerprint
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from certwright.certificates.observation import Memory, Observation
    from certwright.certificates.secret.facts import SecretFacts


LOST_TRIES: Final = 8
"""So often labels that something takes from the Secret while it is written are written again within five minutes,"""
LOST_PAUSE: Final = dt.timedelta(hours=1)
"""then so seldom: it is a policy of the cluster, and no accident."""


def having_written(observation: Observation, now: dt.datetime) -> Observation:
    """Return the observation after a write of the Secret, with a pause before the next one if it undid a change."""
    before, fingerprint = observation.memory.written, metadata_fingerprint(observation.certificate)
    again = before is not None and before.fingerprint == fingerprint and now - before.at < KEPT_AFTER_WRITE
    contested = observation.memory.contested.failed(now) if again else Backoff()
    return observation.remember(written=Written(now, fingerprint), contested=contested)


def having_lost(observation: Observation, now: dt.datetime) -> Observation:
    """Return the observation after a write of which labels or annotations did not come back, with a pause."""
    before = observation.memory.contested
    seldom = now + LOST_PAUSE if before.failures >= LOST_TRIES else None
    written = Written(now, metadata_fingerprint(observation.certificate))
    return observation.remember(written=written, contested=before.failed(now, not_before=seldom))


def is_kept(observation: Observation, now: dt.datetime) -> bool:
    """Whether what was issued last may be written again."""
    issued, written = observation.memory.issued, observation.memory.written
    return (
        issued is not None
        and written is not None
        and now - written.at < KEPT_AFTER_WRITE
        and now - issued.at < KEPT_AFTER_ISSUE
    )


def can_be_restored(observation: Observation, now: dt.datetime) -> bool:
    """Whether what was issued last is what the spec asks for, so that it can be written again instead of ordered."""
    issued = observation.memory.issued
    if issued is None or not is_kept(observation, now) or observation.status.order is not None:
        return False
    return issuance_need(observation.with_secret(issued.facts), now) is None


def is_contested(observation: Observation, now: dt.datetime) -> bool:
    """Whether something else changed the Secret more than once lately, each time after it was written."""
    written = observation.memory.written
    return observation.memory.contested.failures > 1 and written is not None and now - written.at < KEPT_AFTER_WRITE


def as_written(memory: Memory, secret: SecretFacts | None) -> tuple[Memory, SecretFacts | None]:
    """Return the Secret as it was written, where a webhook changed what it says of the certificate that it holds."""
    alteration = memory.alteration
    if alteration is None:
        return memory, secret
    if secret is None or not alteration.is_about(secret) or alteration.is_put_right_in(secret):
        return replace(memory, alteration=None), secret
    return memory, alteration.undone(secret)
