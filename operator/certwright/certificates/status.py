"""`report`: the status that people read, from what is observed. Pure, so a restart says the same as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from certwright.certificates.need import issuance_need, renewal_time
from certwright.certificates.observation import Note
from certwright.certificates.ownership import conflict_over_secret
from certwright.resources import ISSUING, READY, Condition, find_condition, set_condition

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.open_order import Observed
    from certwright.resources import CertificateStatus, ConditionStatus

NOTHING_TO_DO: Final = "NothingToDo"
MAX_SERIAL_DIGITS: Final = 64
"""RFC 5280 allows 40; a Secret that somebody else filled may hold anything."""
RENEWAL_REASONS: Final = frozenset({"Renewal"})
"""Needs that leave the certificate in the Secret as good as it was."""


class _Fact(NamedTuple):
    status: ConditionStatus
    reason: str
    message: str


def report(observed: Observed, note: Note | None, now: dt.datetime) -> CertificateStatus:
    """Return the complete status.

    Args:
        observed: What is known, with the draft of the status in it.
        note: What the last step left to say, or None.
        now: The present instant.
    """
    certificate = observed.certificate
    generation = certificate.metadata.generation
    conditions = observed.status.conditions
    for kind, fact in ((READY, _ready(observed, note, now)), (ISSUING, _issuing(note))):
        condition = Condition(
            type=kind,
            status=fact.status,
            reason=fact.reason,
            message=fact.message,
            observed_generation=generation,
        )
        conditions = set_condition(conditions, condition, now)
    status = observed.status.replace(conditions=conditions, observed_generation=generation)
    secret = observed.secret
    facts = secret.certificate if secret is not None else None
    conflict = conflict_over_secret(observed.certificate, observed.secret, observed.rival)
    if secret is None or facts is None or conflict is not None:
        return status.replace(not_before=None, not_after=None, renewal_time=None, serial_number=None)
    counted = secret.revision if secret.certificate_name == certificate.metadata.name else 0
    return status.replace(
        revision=max(status.revision, counted),
        not_before=facts.not_before,
        not_after=facts.not_after,
        renewal_time=renewal_time(certificate, facts),
        serial_number=facts.serial[:MAX_SERIAL_DIGITS],
    )


def last_note(status: CertificateStatus) -> Note | None:
    """Return the note that a status was written with: after a restart it is still the last word."""
    issuing = find_condition(status.conditions, ISSUING)
    if issuing is None or issuing.reason == NOTHING_TO_DO:
        return None
    return Note(issuing.reason, issuing.message, issuing.status == "True")


def _ready(observed: Observed, note: Note | None, now: dt.datetime) -> _Fact:
    conflict = conflict_over_secret(observed.certificate, observed.secret, observed.rival)
    if conflict is not None:
        return _Fact("False", conflict.reason, conflict.message)
    need = issuance_need(observed.certificate, observed.secret, observed.wanted, now)
    secret = observed.secret
    if secret is not None and secret.certificate is not None and (need is None or need.reason in RENEWAL_REASONS):
        ends = f"{secret.certificate.not_after:%Y-%m-%dT%H:%M:%SZ}"
        renews = f"{renewal_time(observed.certificate, secret.certificate):%Y-%m-%dT%H:%M:%SZ}"
        if need is None:
            return _Fact("True", "Ready", f"The certificate is valid until {ends} and is renewed at {renews}.")
        what = f" {note.message}" if note is not None else ""
        return _Fact("True", "Renewing", f"The certificate is valid until {ends} and is being renewed.{what}")
    if need is not None and need.refusal is not None:
        return _Fact("False", need.refusal.reason, need.refusal.message)
    if note is not None:
        return _Fact("False", note.reason, note.message)
    return _Fact("False", need.reason if need else "Unknown", f"{_sentence(need.message)}." if need else "")


def _issuing(note: Note | None) -> _Fact:
    if note is None:
        return _Fact("False", NOTHING_TO_DO, "Nothing is being issued.")
    return _Fact("True" if note.under_way else "False", note.reason, note.message)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
