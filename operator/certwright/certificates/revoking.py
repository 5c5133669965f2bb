"""What is to be done about revocations before anything else. Pure, a part of `plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.certificates.evidence import fingerprint_of
from certwright.certificates.requests.record import running
from certwright.certificates.revocations import (
    due_at,
    is_unrevoked,
    must_stay_held,
    pending,
)
from certwright.certificates.steps.hold import Hold
from certwright.certificates.steps.resting import Sleep
from certwright.certificates.steps.revoke import DropHeld, NoteRevocable, Revoke, RevokeOnDelete, WithdrawRevocation
from certwright.resources import FINALIZER
from certwright.runtime.backoff import wait_until

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.certificates.steps.step import Act
    from certwright.resources import RevocationStatus


def revocation_step(observation: Observation, now: dt.datetime) -> Act | None:
    """Name the step that a revocation needs now, or None. One that has to wait holds up nothing else."""
    revocation = pending(observation)
    if _busy(observation, now) is not None:
        return None
    if revocation is None:
        left = next((one for one in observation.status.revocations if one.held), None)
        return None if left is None else DropHeld(left)
    if not _is_wanted(observation, revocation):
        return WithdrawRevocation(revocation)
    due = due_at(observation, revocation, now)
    return Revoke(revocation) if due is not None and due <= now else None


def _is_wanted(observation: Observation, revocation: RevocationStatus) -> bool:
    """Whether the request that began a revocation still runs: a status alone revokes nothing."""
    request = running(observation)
    return request is not None and request.action == "Revoke" and request.id == revocation.request_id


def holding_step(observation: Observation, now: dt.datetime) -> Act | None:
    """Name the step that makes sure that the certificate can be revoked when the Certificate is deleted."""
    if not must_stay_held(observation):
        return None
    if FINALIZER not in observation.certificate.metadata.finalizers:
        return None if _waits(observation, now) else Hold()
    secret, known = observation.secret, observation.memory.revocable
    if secret is None or secret.leaf is None or _busy(observation, now) is not None:
        return None
    return None if known is not None and known.fingerprint == fingerprint_of(secret.leaf) else NoteRevocable()


def revocation_on_delete(observation: Observation, now: dt.datetime) -> Act | Sleep | None:
    """Name what is to be done before a Certificate with `revokeOnDelete` goes; None if nothing is."""
    if not is_unrevoked(observation):
        return None
    busy = _busy(observation, now)
    return RevokeOnDelete() if busy is None else Sleep(busy)


def _busy(observation: Observation, now: dt.datetime) -> dt.datetime | None:
    backoff = observation.memory.revoking
    return wait_until(backoff.not_before, now, since=backoff.since)


def _waits(observation: Observation, now: dt.datetime) -> bool:
    backoff = observation.memory.cleaning_up
    return wait_until(backoff.not_before, now, since=backoff.since) is not None
