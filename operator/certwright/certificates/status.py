"""The status that users read: its content (`report`, pure, so a restart changes nothing), and writing it."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from certwright.certificates.belief import sealed
from certwright.certificates.finalizer import written
from certwright.certificates.need import issuance_need
from certwright.certificates.observation import Note, changed
from certwright.certificates.ownership import ownership_problem
from certwright.resources import (
    ISSUING,
    PAUSED,
    READY,
    Certificate,
    Condition,
    RenewalStatus,
    UsedIssuer,
    find_condition,
    is_true,
    set_condition,
    without_condition,
)
from certwright.text import rfc3339, sentence

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.certificates.renewal.due import RenewalDecision
    from certwright.certificates.tools import Tools
    from certwright.resources import CertificateStatus, ConditionStatus

logger = logging.getLogger(__name__)

NOTHING_TO_DO: Final = "NothingToDo"
MAX_SERIAL_DIGITS: Final = 64
"""RFC 5280 allows 40; a Secret that someone else filled may hold anything."""
RENEWAL_REASONS: Final = frozenset({"Renewal", "Requested", "ToBeRevoked"})
"""Needs that leave the certificate in the Secret as good as it was."""
PAUSE_MESSAGE: Final = (
    "spec.paused is set: the operator orders, presents and writes nothing. Everything that exists is kept."
)
QUIET: Final = dt.timedelta(seconds=5)
"""While an order is open its small steps are written no oftener than this: most orders are done by then."""


class _Fact(NamedTuple):
    status: ConditionStatus
    reason: str
    message: str


def report(observation: Observation, now: dt.datetime) -> CertificateStatus:
    """Return the complete status.

    Args:
        observation: What is known, with the draft of the status in it.
        now: The present time.
    """
    generation = observation.certificate.metadata.generation
    secret, draft = observation.secret, observation.status
    problem = ownership_problem(observation)
    ready = _Fact("False", problem.reason, problem.message) if problem is not None else _ready(observation, now)
    conditions = draft.conditions
    for kind, fact in ((READY, ready), (ISSUING, _issuing(observation.memory.note))):
        condition = Condition(
            type=kind,
            status=fact.status,
            reason=fact.reason,
            message=fact.message,
            observed_generation=generation,
        )
        conditions = set_condition(conditions, condition, now)
    conditions = _with_pause(conditions, observation, now)
    facts: dict[str, Any] = dict.fromkeys(("not_before", "not_after", "renewal_time", "renewal", "serial_number"))
    if problem is None and secret is not None and secret.certificate is not None:
        counted = secret.revision if secret.certificate_name == observation.certificate.metadata.name else 0
        facts = {
            "revision": max(draft.revision, counted),
            "not_before": secret.certificate.not_before,
            "not_after": secret.certificate.not_after,
            "renewal_time": observation.renew_at,
            "renewal": _renewal(observation),
            "serial_number": secret.certificate.serial[:MAX_SERIAL_DIGITS],
        }
    issuer = observation.used_issuer if problem is not None else _issuer(observation)
    return draft.replace(conditions=conditions, observed_generation=generation, issuer=issuer, **facts)


def _issuer(observation: Observation) -> UsedIssuer:
    """Return the issuer of the certificate in the Secret, as far as that is one of the spec's; else the one in use."""
    secret = observation.secret
    if secret is None or secret.certificate is None or secret.certificate_name is None:
        return observation.used_issuer
    for (kind, name), server in observation.servers.items():
        if (kind, name) == (secret.issuer_kind, secret.issuer_name):
            # While the issuer is not ready, as after each start, what was said holds: else all statuses are written.
            told = observation.certificate.status.issuer
            is_told = told is not None and (told.kind, told.name, told.server) == (kind, name, secret.server)
            its_server = secret.server if server == secret.server or (server is None and is_told) else None
            return UsedIssuer.model_validate({"kind": kind, "name": name, "server": its_server})
    return observation.used_issuer


def _with_pause(conditions: tuple[Condition, ...], observation: Observation, now: dt.datetime) -> tuple[Condition, ...]:
    if not observation.certificate.spec.paused:
        return without_condition(conditions, PAUSED)
    condition = Condition(
        type=PAUSED,
        status="True",
        reason="Paused",
        message=PAUSE_MESSAGE,
        observed_generation=observation.certificate.metadata.generation,
    )
    return set_condition(conditions, condition, now)


def last_note(status: CertificateStatus) -> Note | None:
    """Return the note that a status was written with: after a restart it is still the last word."""
    issuing = find_condition(status.conditions, ISSUING)
    if issuing is None or issuing.reason == NOTHING_TO_DO:
        return None
    return Note(issuing.reason, issuing.message, issuing.status == "True")


def _ready(observation: Observation, now: dt.datetime) -> _Fact:
    need = issuance_need(observation, now)
    secret, note = observation.secret, observation.memory.note
    usable = secret.certificate if secret is not None else None
    renewal = observation.renewal
    if usable is not None and renewal is not None and (need is None or need.reason in RENEWAL_REASONS):
        ends = rfc3339(usable.not_after)
        if observation.certificate.spec.paused and renewal.at is not None:
            due = f"its renewal is due at {rfc3339(renewal.at)}" if need is None else "its renewal is due"
            return _Fact("True", "Paused", f"The certificate is valid until {ends}; {due}, but spec.paused is set.")
        look = observation.memory.outputs
        if need is None and look is not None and look.problem is not None:
            return _Fact("False", look.problem.reason, f"The certificate is valid until {ends}. {look.problem.message}")
        if need is None and secret is not None and secret.rolled_back is not None:
            was = f"Revision {secret.revision} was put back at {rfc3339(secret.rolled_back.at)}. It"
            return _Fact("True", "RolledBack", f"{was} is valid until {ends}{_outlook(renewal)}")
        if need is None:
            waits = renewal.due_at is not None and observation.status.failed_attempts
            failed = f" {note.message}" if note is not None and waits else ""
            return _Fact("True", "Ready", f"The certificate is valid until {ends}{_outlook(renewal)}{failed}")
        what = f" {note.message}" if note is not None else ""
        return _Fact("True", "Renewing", f"The certificate is valid until {ends} and is being renewed.{what}")
    if need is not None and need.refusal is not None:
        return _Fact("False", need.refusal.reason, need.refusal.message)
    if note is not None:
        return _Fact("False", note.reason, note.message)
    if need is None:
        raise AssertionError("a certificate is not needed, and yet there is none")
    return _Fact("False", need.reason, sentence(need.message))


def _outlook(renewal: RenewalDecision) -> str:
    """Return what to say of the renewal, after the end of the certificate."""
    warning = f" {renewal.warning[1]}" if renewal.warning is not None else ""
    if renewal.at is None:
        return (warning and f".{warning}") or ". It is not renewed: spec.renewal.policy is Disabled."
    return f" and will be renewed at {rfc3339(renewal.at)}{renewal.why}.{warning}"


def _renewal(observation: Observation) -> RenewalStatus | None:
    """Return what the time of the renewal is based on."""
    if observation.renewal is None:
        return None
    suggestion = observation.memory.suggestion
    said = suggestion.status() if suggestion is not None else RenewalStatus()
    settings = observation.certificate.spec.renewal
    rehearsal = observation.last_rehearsal if settings is not None and settings.rehearse is not None else None
    return said.replace(basis=observation.renewal.basis, rehearsal=rehearsal)


def _issuing(note: Note | None) -> _Fact:
    if note is None:
        return _Fact("False", NOTHING_TO_DO, "No certificate is being issued.")
    return _Fact("True" if note.under_way else "False", note.reason, note.message)


async def save(observation: Observation, tools: Tools) -> Observation:
    """Write the status, whole, if it says anything new.

    Raises:
        KubeError: It could not be written; `NotFound` and `Conflict` mean that the Certificate is gone.
    """
    now = tools.clock()
    observation = sealed(observation)
    status = report(observation.as_real(), now)
    observation = changed(observation, status=status)
    certificate = observation.certificate
    # Most looks change nothing, and comparing models takes a tenth of writing both as JSON.
    if status == certificate.status or _material(status) == _material(certificate.status):
        return observation
    identity = certificate.metadata.identity
    body = await tools.kube_api.apply_status(Certificate.PLURAL, Certificate.KIND, identity, status.to_json())
    _tell_pause(observation, tools, certificate.status)
    _tell_outputs_problem(observation, tools, certificate.status)
    return written(observation.remember(saved_at=now), tools, body)


def _tell_outputs_problem(observation: Observation, tools: Tools, before: CertificateStatus) -> None:
    """Say what is missing in the Secret besides the certificate, when the condition first says so."""
    look, was = observation.memory.outputs, find_condition(before.conditions, READY)
    problem = look.problem if look is not None else None
    is_now = find_condition(observation.status.conditions, READY)
    if problem is None or is_now is None or is_now.reason != problem.reason:
        return
    if was is None or (was.reason, was.message) != (is_now.reason, is_now.message):
        logger.warning("%s: %s: %s", observation.certificate.display_name, problem.reason, problem.message)
        tools.recorder.record(observation.subject, "Warning", problem.reason, problem.message)


def _tell_pause(observation: Observation, tools: Tools, before: CertificateStatus) -> None:
    was, is_now = (is_true(status.conditions, PAUSED) for status in (before, observation.status))
    if is_now and not was:
        tools.recorder.record(observation.subject, "Normal", "Paused", PAUSE_MESSAGE)
    if was and not is_now:
        message = "spec.paused is no longer set: the operator continues."
        tools.recorder.record(observation.subject, "Normal", "Resumed", message)


async def save_unless_quiet(observation: Observation, tools: Tools) -> Observation:
    """Like `save`, but leave out what will be said better in a moment: the small steps of a young order."""
    memory = observation.memory
    young = memory.saved_at is not None and dt.timedelta() <= tools.clock() - memory.saved_at < QUIET
    if memory.open_order is not None and memory.note is not None and memory.note.under_way and young:
        return observation
    return await save(observation, tools)


def _material(status: CertificateStatus) -> dict[str, Any]:
    """Return what is worth a write: everything but the times of looks."""
    content = status.to_json()
    order = content.get("order")
    if order:
        order.pop("nextLookTime", None)
        for entry in order.get("authorizations", ()):
            entry.pop("lastLookTime", None)
    return content
