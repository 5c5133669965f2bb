"""Revocations in the draft of a status: pending, done, and their effect on the Secret. Pure.

A certificate is revoked only if its private key is in the Secret with it. An issuer's account may revoke every
certificate that it ever obtained, so a certificate alone proves nothing: anyone can copy one from a TLS server, and
could have another namespace's certificate revoked. Whoever has the key may revoke it without us (RFC 8555, 7.6).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from certwright.acme import RevocationReason
from certwright.certificates.evidence import fingerprint_of
from certwright.resources import FINALIZER, KEPT_REVOCATIONS, LONGEST_REVOCATION_MESSAGE
from certwright.runtime.backoff import wait_until

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.resources import RevocationReasonName, RevocationState, RevocationStatus

COMPROMISE: Final = "keyCompromise"
REASONS: Final[dict[RevocationReasonName, RevocationReason]] = {
    "unspecified": RevocationReason.UNSPECIFIED,
    "keyCompromise": RevocationReason.KEY_COMPROMISE,
    "cACompromise": RevocationReason.CA_COMPROMISE,
    "affiliationChanged": RevocationReason.AFFILIATION_CHANGED,
    "superseded": RevocationReason.SUPERSEDED,
    "cessationOfOperation": RevocationReason.CESSATION_OF_OPERATION,
    "certificateHold": RevocationReason.CERTIFICATE_HOLD,
    "removeFromCRL": RevocationReason.REMOVE_FROM_CRL,
    "privilegeWithdrawn": RevocationReason.PRIVILEGE_WITHDRAWN,
    "aACompromise": RevocationReason.AA_COMPROMISE,
}
PICKED_UP_AFTER: Final = dt.timedelta(minutes=2)
"""After its replacement was stored, so long a certificate is left valid: a kubelet updates mounted Secrets once a
minute, and servers load them then."""
PATIENCE: Final = dt.timedelta(days=1)
"""After so long a revocation that does not succeed is given up."""


def revocation_of(observation: Observation, secret: SecretFacts | None) -> RevocationStatus | None:
    """Return the revocation of the certificate in a Secret, or None if there is none."""
    if not observation.status.revocations or secret is None or secret.leaf is None:
        return None
    fingerprint = fingerprint_of(secret.leaf)
    return next((one for one in observation.status.revocations if one.fingerprint == fingerprint), None)


def has_compromised_key(observation: Observation) -> bool:
    """Whether the private key in the Secret must not be used again, whatever rotationPolicy says."""
    revocation, known = revocation_of(observation, observation.secret), observation.compromised
    if revocation is not None and revocation.reason == COMPROMISE:
        return True
    return bool(known) and observation.secret is not None and observation.secret.key_digest in known


def pending(observation: Observation) -> RevocationStatus | None:
    """Return the revocation that a request has begun and that is not finished."""
    return next((one for one in observation.status.revocations if one.state == "Pending"), None)


def due_at(observation: Observation, revocation: RevocationStatus, now: dt.datetime) -> dt.datetime | None:
    """Return when a pending revocation is to be carried out; None while its replacement is waited for.

    A compromised key must not be trusted a moment longer. For all other reasons the replacement comes first.
    """
    if revocation.reason == COMPROMISE:
        return now
    secret, written = observation.secret, observation.memory.written
    if secret is None or secret.leaf is None or fingerprint_of(secret.leaf) == revocation.fingerprint:
        return None
    return now if written is None or written.at > now else max(written.at + PICKED_UP_AFTER, now)


def next_revocation_look(observation: Observation, now: dt.datetime) -> dt.datetime | None:
    """Return when a revocation has to be looked at again, if there is such a time."""
    revocation, backoff = pending(observation), observation.memory.revoking
    if revocation is None:
        return None
    due = due_at(observation, revocation, now)
    again = wait_until(backoff.not_before, now, since=backoff.since)
    times = [revocation.started_time + PATIENCE, again, due if again is None else None]
    return min((time for time in times if time is not None and time >= now), default=None)


def with_revocation(observation: Observation, revocation: RevocationStatus) -> Observation:
    """Return the observation with a revocation added to the draft or, if its certificate is there, replaced."""
    others = tuple(one for one in observation.status.revocations if one.fingerprint != revocation.fingerprint)
    return observation.with_status(revocations=(*others, revocation)[-KEPT_REVOCATIONS:])


def finished(revocation: RevocationStatus, state: RevocationState, message: str, now: dt.datetime) -> RevocationStatus:
    """Return a revocation with its end."""
    return revocation.replace(state=state, message=message[:LONGEST_REVOCATION_MESSAGE], finished_time=now)


def must_stay_held(observation: Observation) -> bool:
    """Whether the Certificate keeps its finalizer, as its certificate is to be revoked when it is deleted."""
    secret, metadata = observation.secret, observation.certificate.metadata
    if not observation.certificate.spec.revoke_on_delete or metadata.deletion_timestamp is not None:
        return False
    if observation.status.order is not None:
        return True
    return secret is not None and secret.leaf is not None and secret.certificate_name == metadata.name


def is_unrevoked(observation: Observation) -> bool:
    """Whether a Certificate that is deleted has a certificate that is still to be revoked."""
    metadata, memory, secret = observation.certificate.metadata, observation.memory, observation.secret
    if not observation.certificate.spec.revoke_on_delete or FINALIZER not in metadata.finalizers:
        return False
    if memory.revoked_on_delete or observation.other_owner is not None:
        return False
    if secret is not None and secret.leaf is not None:
        known = revocation_of(observation, secret)
        return secret.certificate_name == metadata.name and (known is None or known.state != "Revoked")
    return memory.revocable is not None or observation.status.revision > 0
