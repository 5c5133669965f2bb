"""Revoke: revoke the certificate in the Secret, and have it replaced.

`status.revocations` says what is revoked, in which order, and with which result; this module derives the request's
record from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.certificates.requests.action import Action, Outcome
from certwright.certificates.revocations import COMPROMISE, revocation_of

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.resources import RequestSpec, RequestStatus, RevocationStatus


def revocation_for(observation: Observation, entry: RequestStatus) -> RevocationStatus | None:
    """Return the revocation that a request has begun, or None."""
    return next((one for one in observation.status.revocations if one.request_id == entry.id), None)


def _refusal(observation: Observation, request: RequestSpec) -> str | None:
    secret = observation.secret
    if secret is None or secret.leaf is None:
        return f"Secret {observation.certificate.spec.secret_name} holds no certificate: there is nothing to revoke"
    if request.reason in {"certificateHold", "removeFromCRL"}:
        return (
            f"The reason {request.reason} is for a temporary revocation, which ACME cannot lift. Choose another reason"
        )
    known = revocation_of(observation, secret)
    is_news = request.reason == COMPROMISE and known is not None and known.reason != COMPROMISE
    if known is not None and known.state == "Revoked" and not is_news:
        return f"The certificate in Secret {secret.name} is already revoked, and is being replaced"
    if secret.immutable:
        return f"Secret {secret.name} is immutable: a new certificate could not be stored there"
    return None


def _outcome(observation: Observation, entry: RequestStatus, now: dt.datetime) -> Outcome | None:  # noqa: ARG001 - as every action has it
    revocation = revocation_for(observation, entry)
    if revocation is None:
        unrevocable = observation.memory.unrevocable
        return Outcome("Failed", unrevocable[1]) if unrevocable is not None and unrevocable[0] == entry.id else None
    if revocation.state == "Pending":
        return None
    return Outcome("Succeeded" if revocation.state == "Revoked" else "Failed", revocation.message)


REVOKE = Action(refusal=_refusal, wants_certificate=lambda _observation, _entry: False, outcome=_outcome)
