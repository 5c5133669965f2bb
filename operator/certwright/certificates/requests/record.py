"""The record of requests in the draft of a status: the pending one, the running one, and results. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.resources import KEPT_REQUESTS, LONGEST_REQUEST_MESSAGE, RequestStatus
from certwright.text import printable, rfc3339

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.resources import RequestSpec, RequestState

SOMEONE: Final = "someone"
"""Who asked, if the request does not say."""
MAX_REQUESTED_BY: Final = 253
REPEATED: Final = "It was written to the spec again and is not repeated."


def entry_of(observation: Observation, request: RequestSpec) -> RequestStatus | None:
    """Return the entry of a request, or None if it was never begun."""
    return next((entry for entry in observation.status.requests if entry.id == request.id), None)


def pending(observation: Observation, now: dt.datetime) -> RequestSpec | None:
    """Return the request that is to be begun, if there is one and its time has come."""
    request = observation.certificate.spec.request
    if request is None or entry_of(observation, request) is not None:
        return None
    return None if request.not_before is not None and request.not_before > now else request


def running(observation: Observation) -> RequestStatus | None:
    """Return the entry of the request that runs.

    A status alone starts nothing: the request has to be in the spec as well, and for the same action, as whoever may
    write the status may not be allowed to write the spec.
    """
    request = observation.certificate.spec.request
    entry = entry_of(observation, request) if request is not None else None
    if request is None or entry is None or entry.state != "Running" or entry.action != request.action:
        return None
    return entry


def withdrawn(observation: Observation) -> tuple[RequestStatus, ...]:
    """Return the entries that say Running of requests that are in the spec no more."""
    current = running(observation)
    return tuple(entry for entry in observation.status.requests if entry.state == "Running" and entry is not current)


def begun(observation: Observation, request: RequestSpec, now: dt.datetime) -> RequestStatus:
    """Return the entry of a request that begins now."""
    return RequestStatus(
        id=request.id,
        action=request.action,
        reason=request.reason,
        revision=request.revision,
        # It goes into Events, and to terminals: without characters that change the direction of a line.
        requested_by=printable(request.requested_by or "", MAX_REQUESTED_BY) or None,
        from_revision=current_revision(observation),
        state="Running",
        started_time=now,
    )


def ended(entry: RequestStatus, state: RequestState, message: str, now: dt.datetime) -> RequestStatus:
    """Return an entry with its end."""
    return entry.replace(state=state, message=message[:LONGEST_REQUEST_MESSAGE], finished_time=now)


def with_entry(observation: Observation, entry: RequestStatus) -> Observation:
    """Return the observation with an entry added to the record or, if its id is there, replaced."""
    kept = observation.status.requests
    if any(one.id == entry.id for one in kept):
        entries = tuple(entry if one.id == entry.id else one for one in kept)
    else:
        entries = (*_with_room(kept), entry)
    return observation.with_status(requests=entries)


def is_noted(entry: RequestStatus) -> bool:
    """Whether the record says that the request was written to the spec again."""
    return entry.message.endswith(REPEATED)


def _with_room(entries: tuple[RequestStatus, ...]) -> tuple[RequestStatus, ...]:
    """Return the entries with room for another one.

    What was written back once will be again: it would be carried out a second time if its entry were gone.
    """
    while len(entries) >= KEPT_REQUESTS:
        dropped = next((entry for entry in entries if not is_noted(entry)), entries[0])
        entries = tuple(entry for entry in entries if entry is not dropped)
    return entries


def current_revision(observation: Observation) -> int:
    """Return the revision of the certificate that the Secret holds, or last held."""
    secret, name = observation.secret, observation.certificate.metadata.name
    counted = secret.revision if secret is not None and secret.certificate_name == name else 0
    return max(observation.status.revision, counted)


def asked(entry: RequestStatus | RequestSpec) -> str:
    """Return a request for messages: ``request r-1 of alice for a renewal``."""
    what = {"Renew": "renewal", "Revoke": "revocation", "Rollback": "rollback"}[entry.action]
    return f"request {entry.id} of {entry.requested_by or SOMEONE} for a {what}"


def when(entry: RequestStatus) -> str:
    """Return when a request was finished, for messages."""
    return rfc3339(entry.finished_time) if entry.finished_time is not None else "an unknown time"
