"""The next step for revocations, which come before anything else. Pure; part of `plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.certificates.evidence import fingerprint_of
from certwright.certificates.requests.record import pending as begins_now
from certwright.certificates.requests.record import running
from certwright.certificates.revocations import (
    COMPROMISE,
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
    from certwright.resources import RequestStatus, RevocationStatus


def revocation_step(observation: Observation, now: dt.datetime) -> Act | None:
    """Name the step that a revocation needs now, or None. One that has to wait holds up nothing else."""
    revocation = pending(observation)
    if _busy(observation, now) is not None:
        return None
    if revocation is None:
        left = next((one for one in observation.status.revocations if one.held), None)
        return None if left is None else DropHeld(left)
    request = running(observation)
    if request is None or request.action != "Revoke":
        begins = begins_now(observation, now)
        is_taken_over = begins is not None and begins.action == "Revoke"
        return None if is_taken_over else WithdrawRevocation(revocation)
    wanted = _as_asked(revocation, request)
    due = due_at(observation, wanted, now)
    return Revoke(wanted) if due is not None and due <= now else None


def _as_asked(revocation: RevocationStatus, request: RequestStatus) -> RevocationStatus:
    """Return a revocation as the request that runs has it: a status alone revokes nothing.

    That may be a later request, after the replacement was stored. It withdraws nothing: who asks again for a revocation
    does not want the earlier certificate to stay valid, least of all if others have its key.
    """
    is_later = request.id != revocation.request_id
    return revocation.replace(reason=COMPROMISE) if is_later and request.reason == COMPROMISE else revocation


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
