"""Rollback: put an earlier certificate back into the Secret.

It is done once the Secret names this request, which is written together with the certificate.
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
        return f"Secret {secret.name} is immutable: no other certificate can be stored there"
    if observation.certificate.spec.revision_history_limit == 1:
        return (
            "No earlier revision is kept. Set spec.revisionHistoryLimit to 2 or more to keep the revisions from now on"
        )
    return None


def _wants_certificate(observation: Observation, entry: RequestStatus) -> bool:  # noqa: ARG001 - as every action has it
    return False


def _outcome(observation: Observation, entry: RequestStatus, now: dt.datetime) -> Outcome | None:  # noqa: ARG001 - as every action has it
    secret = observation.secret
    mark = secret.rolled_back if secret is not None else None
    if secret is None or secret.certificate is None or mark is None or mark.request_id != entry.id:
        return None
    renews = observation.renew_at
    until = f", and is kept until its renewal at {rfc3339(renews)}" if renews is not None else ""
    ends = rfc3339(secret.certificate.not_after)
    return Outcome(
        "Succeeded",
        f"Secret {secret.name} holds revision {secret.revision} again in place of revision {mark.from_revision}. It is "
        f"valid until {ends}{until}.",
    )


ROLLBACK = Action(refusal=_refusal, wants_certificate=_wants_certificate, outcome=_outcome)
