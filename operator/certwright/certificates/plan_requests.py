"""The next step for the Certificate's `spec.request`, which comes before anything else. Pure; part of `plan`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from certwright.certificates.need import issuance_need
from certwright.certificates.ownership import ownership_problem
from certwright.certificates.rehearsal import is_rehearsing
from certwright.certificates.requests.action import Outcome
from certwright.certificates.requests.actions import ACTIONS
from certwright.certificates.requests.record import entry_of, is_noted, pending, running, withdrawn
from certwright.certificates.requests.revoke import revocation_for
from certwright.certificates.revocations import COMPROMISE, revocation_of
from certwright.certificates.revocations import pending as revocation_pending
from certwright.certificates.steps.begin_request import BeginRequest, RefuseRequest
from certwright.certificates.steps.end_request import EndRequest, NoteRepeated, TakeOutRequest
from certwright.certificates.steps.revoke import HoldForRevocation
from certwright.certificates.steps.roll_back import RollBack
from certwright.runtime.backoff import wait_until
from certwright.text import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.certificates.observation import Observation
    from certwright.certificates.steps.step import Act
    from certwright.resources import RequestAction, RequestSpec, RequestStatus

PATIENCE: Final = dt.timedelta(days=1)
"""A request that has not ended by then is given up: who asked has long looked elsewhere."""
TAKEN_OUT_WITHIN: Final = dt.timedelta(hours=1)
"""A finished request that is in the spec later than this was written back by something else, such as GitOps."""


def _hold_for_revocation(observation: Observation, entry: RequestStatus, now: dt.datetime) -> Act | None:
    """Begin a revocation; what follows is in the plan, see `certificates/plan_revocations.py`.

    One that an earlier request began, of a certificate that is replaced by now, goes first: one is held at a time.
    """
    earlier, present = revocation_pending(observation), revocation_of(observation, observation.secret)
    if earlier is not None and earlier is not present and earlier.request_id != entry.id:
        return None
    busy = wait_until(observation.memory.revoking.not_before, now, since=observation.memory.revoking.since)
    return HoldForRevocation(entry) if revocation_for(observation, entry) is None and busy is None else None


STEPS: Final[Mapping[RequestAction, Callable[[Observation, RequestStatus, dt.datetime], Act | None]]] = {
    "Revoke": _hold_for_revocation,
    "Rollback": lambda observation, entry, now: RollBack(entry),  # noqa: ARG005 - as every action
}
"""What an action does itself while its request runs; None once only the issuance, or nothing, is left.

The step may end its request, see `steps.end_request.with_end`; its failures have the back-off of issuing.
"""


def request_step(observation: Observation, now: dt.datetime) -> Act | None:
    """Name the step that the request needs, or None if it needs none, or waits for an issuance or for a time.

    A request never holds up anything else: while it cannot be written down, the rest goes on.
    """
    if wait_until(observation.memory.requesting.not_before, now, since=observation.memory.requesting.since):
        return None
    return _close_withdrawn(observation, now) or _begin(observation, now) or _go_on(observation, now)


def next_request_look(observation: Observation, now: dt.datetime) -> dt.datetime | None:
    """Return when the request has to be looked at again, if there is such a time."""
    request, entry = observation.certificate.spec.request, running(observation)
    times = [observation.memory.requesting.not_before]
    if request is not None and entry_of(observation, request) is None:
        times.append(request.not_before)
    if entry is not None and entry.started_time is not None:
        times.append(entry.started_time + PATIENCE)
    return min((time for time in times if time is not None and time > now), default=None)


def _close_withdrawn(observation: Observation, now: dt.datetime) -> Act | None:
    """Write down how a request ended that was cancelled: as withdrawn, unless it had succeeded before."""
    left = withdrawn(observation)
    if not left:
        return None
    entry, request = left[0], observation.certificate.spec.request
    action = ACTIONS.get(entry.action)
    outcome = action.outcome(observation, entry, now) if action is not None else None
    if outcome is not None and outcome.state == "Succeeded":
        return EndRequest(entry, outcome)
    if request is not None:
        return EndRequest(
            entry, Outcome("Failed", f"Withdrawn: request {request.id} took its place before it was finished.")
        )
    message = f"Withdrawn: it was removed from the spec before it was finished.{_left_at_ca(observation, entry, now)}"
    return EndRequest(entry, Outcome("Failed", message))


def _left_at_ca(observation: Observation, entry: RequestStatus, now: dt.datetime) -> str:
    """Return what a request that is withdrawn leaves behind, in sentences that begin with a space."""
    said = ""
    if entry.action == "Revoke" and entry.reason == COMPROMISE and revocation_for(observation, entry) is not None:
        said = " The private key stays on record as compromised, and is replaced."
    order = observation.status.order
    if order is None or order.url is None or order.state == "invalid" or is_rehearsing(observation):
        return said
    need = issuance_need(observation, now)
    if need is not None:
        return f"{said} The order at the CA goes on, as {need.message}."
    if order.state in {"processing", "valid"}:
        return f"{said} The CA may have issued the certificate already: it is not stored."
    return f"{said} The order that was placed at the CA is given up; it counts for the CA's rate limits."


def _begin(observation: Observation, now: dt.datetime) -> Act | None:
    request = pending(observation, now)
    if request is None:
        return None
    refusal = _refusal(observation, request)
    return BeginRequest(request) if refusal is None else RefuseRequest(request, sentence(refusal))


def _refusal(observation: Observation, request: RequestSpec) -> str | None:
    action = ACTIONS.get(request.action)
    if action is None:
        return f"This version of the operator does not know the action {request.action}"
    if observation.certificate.spec.paused:
        return "The Certificate is paused. Resume it (kubectl certwright resume), then ask again"
    problem = ownership_problem(observation)
    return problem.message if problem is not None else action.refusal(observation, request)


def _go_on(observation: Observation, now: dt.datetime) -> Act | None:
    entry = running(observation)
    if entry is None:
        return _take_out(observation, now)
    outcome = _outcome(observation, entry, now)
    if outcome is not None:
        return EndRequest(entry, outcome)
    step = STEPS.get(entry.action)
    busy = wait_until(observation.memory.issuing.not_before, now, since=observation.memory.issuing.since)
    if step is None or busy is not None or observation.certificate.spec.paused:
        return None
    return step(observation, entry, now)


def _outcome(observation: Observation, entry: RequestStatus, now: dt.datetime) -> Outcome | None:
    action = ACTIONS.get(entry.action)
    if action is None:
        return Outcome("Refused", f"This version of the operator does not know the action {entry.action}.")
    outcome = action.outcome(observation, entry, now)
    if outcome is not None:
        return outcome
    if action.wants_certificate(observation, entry) and (refusal := _issuance_refusal(observation, now)):
        return Outcome("Refused", sentence(refusal))
    begun, note = entry.started_time, observation.memory.note
    if begun is not None and now - begun > PATIENCE:
        why = note.message if note is not None else "Nothing is known about why."
        return Outcome("Failed", f"Not finished within a day; the operator gives up. {why}")
    return None


def _issuance_refusal(observation: Observation, now: dt.datetime) -> str | None:
    """Return why no certificate is issued, however long one waits."""
    problem = ownership_problem(observation)
    if problem is not None:
        return problem.message
    need = issuance_need(observation, now)
    if need is not None and need.refusal is not None:
        return need.refusal.message
    return observation.policy.refusal(observation.identifiers) if observation.policy is not None else None


def _take_out(observation: Observation, now: dt.datetime) -> Act | None:
    """Take a request that has ended out of the spec; once, as something that writes it back would do so for ever."""
    request = observation.certificate.spec.request
    entry = entry_of(observation, request) if request is not None else None
    if entry is None or entry.state == "Running":
        return None
    is_fresh = entry.finished_time is not None and now - entry.finished_time < TAKEN_OUT_WITHIN
    if observation.memory.taken_out != entry.id and is_fresh:
        return TakeOutRequest(entry.id)
    return None if is_noted(entry) else NoteRepeated(entry)
