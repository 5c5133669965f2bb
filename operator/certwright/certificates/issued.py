"""The certificate that was issued last, kept for a while in case that something else spoils its Secret."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from certwright.certificates.need import issuance_need
from certwright.certificates.secret import metadata_fingerprint
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.certificates.secret import SecretFacts
    from certwright.pki import CertificateChain

KEPT_AFTER_WRITE: Final = dt.timedelta(minutes=10)
"""So long after it was last written a certificate can be written again: longer than the longest pause in between.

Who deletes a Secret later than that wants another certificate, with another key, and gets it.
"""
KEPT_AFTER_ISSUE: Final = dt.timedelta(days=1)
MAX_KEPT: Final = 64
"""Of all Certificates together, the latest ones: some 10 KB each."""


@dataclass(frozen=True)
class Issued:
    """A certificate as it was written to its Secret.

    Attributes:
        facts: The Secret as it was then.
        chain: What the CA delivered.
        key_pem: The private key.
        server: Directory URL of the CA.
        at: When it was issued.
    """

    facts: SecretFacts
    chain: CertificateChain = field(repr=False)
    key_pem: bytes = field(repr=False)
    server: str
    at: dt.datetime


@dataclass(frozen=True)
class Written:
    """When this process last wrote the Secret, and for which metadata; see `metadata_fingerprint`."""

    at: dt.datetime
    fingerprint: str


def having_written(observation: Observation, now: dt.datetime) -> Observation:
    """Return the observation after a write of the Secret, with a pause before the next one if it undid a change."""
    before, fingerprint = observation.memory.written, metadata_fingerprint(observation.certificate)
    again = before is not None and before.fingerprint == fingerprint and now - before.at < KEPT_AFTER_WRITE
    contested = observation.memory.contested.failed(now) if again else Backoff()
    return observation.remember(written=Written(now, fingerprint), contested=contested)


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
