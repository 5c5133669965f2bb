"""Renew: issue a new certificate now.

The request is one more reason to issue; an open order or a due renewal fulfills it as well. It is done once the Secret
has a later revision than at the start. Revision and certificate are written together, so a crash orders nothing twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.certificates.requests.action import Action, Outcome
from certwright.text import rfc3339

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.resources import RequestSpec, RequestStatus


def _refusal(observation: Observation, request: RequestSpec) -> str | None:  # noqa: ARG001 - as every action
    secret = observation.secret
    if secret is not None and secret.immutable:
        return f"Secret {secret.name} is immutable: a new certificate could not be stored there"
    return None


def is_renewed(observation: Observation, entry: RequestStatus) -> bool:
    """Whether the Secret holds a certificate that was issued since the request was begun."""
    secret = observation.secret
    return secret is not None and secret.certificate is not None and secret.revision > entry.from_revision


def _wants_certificate(observation: Observation, entry: RequestStatus) -> bool:
    return not is_renewed(observation, entry)


def _outcome(observation: Observation, entry: RequestStatus, now: dt.datetime) -> Outcome | None:  # noqa: ARG001 - as every action has it
    secret, status = observation.secret, observation.status
    if secret is not None and secret.certificate is not None and is_renewed(observation, entry):
        ends = rfc3339(secret.certificate.not_after)
        return Outcome(
            "Succeeded", f"The certificate in Secret {secret.name} is revision {secret.revision}, valid until {ends}."
        )
    return failure_since(observation, entry) if status.failed_attempts else None


def failure_since(observation: Observation, entry: RequestStatus) -> Outcome | None:
    """Return how a request ends of which an attempt to issue has failed, or None.

    A CA that asks to wait has not failed it.
    """
    failed, begun, note = observation.status.last_failure_time, entry.started_time, observation.memory.note
    if failed is None or begun is None or failed < begun or (note is not None and note.reason == "RateLimited"):
        return None
    why = note.message if note is not None else "The condition Issuing and the Events say why."
    return Outcome("Failed", f"The attempt failed. {why}")


RENEW = Action(refusal=_refusal, wants_certificate=_wants_certificate, outcome=_outcome)
