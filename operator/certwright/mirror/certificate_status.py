"""The status of a Certificate of cert-manager, as its own controller would keep it. Pure.

Reasons and their order are those of cert-manager 1.21 (its package of policies, and the reference of its API); what
only Certwright knows keeps its own reason, as tools show it and compare the status alone.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.secret.beside import pending_key_name
from certwright.certificates.secret.facts import MISMATCH, MISSING
from certwright.certificates.status import NOTHING_TO_DO
from certwright.mirror.conditions import ISSUING, READY, Fact, composed, find, readable
from certwright.resources import find_condition, is_true
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from certwright.certificates.secret.facts import SecretFacts
    from certwright.resources import Certificate, Condition

FIELDS: Final = (
    "conditions",
    "notBefore",
    "notAfter",
    "renewalTime",
    "revision",
    "lastFailureTime",
    "failedIssuanceAttempts",
    "nextPrivateKeySecretName",
)
"""The fields of the status that are kept; one that is not in a status is removed from the object."""
MAX_REVISION: Final = 1_000_000_000
"""Whoever may write the status may write any number: from there it is not counted on."""

_REASONS: Final = {
    "DoesNotExist": "DoesNotExist",
    "NamesChanged": "RequestChanged",
    "ContentsChanged": "RequestChanged",
    "PrivateKeyChanged": "SecretMismatch",
    "PrivateKeyMismatch": "SecretMismatch",
    "KeystorePasswordMissing": "SecretMismatch",
    "KeystorePasswordUnusable": "SecretMismatch",
    "IssuerChanged": "IncorrectIssuer",
    "NotFromIssuer": "IncorrectIssuer",
    "SecretClaimed": "IncorrectCertificate",
    "SecretNotOurs": "IncorrectCertificate",
    "Expired": "Expired",
}
"""What cert-manager calls the reasons for which ours is not Ready."""
TRIGGERED: Final = Fact("True", "ManuallyTriggered", "Certificate re-issuance manually triggered")
"""What its tools write to ask for a renewal."""
_NEW: Final = Fact("False", "DoesNotExist", "Issuing certificate as Secret does not exist")
_BLOCKED: Final = frozenset(
    {"SecretNotOurs", "SecretClaimed", "SecretImmutable", "PrivateKeyMismatch", "InvalidSpec", "NotAsAsked", "Paused"}
)
"""Reasons of ours for which nothing is being issued, nor will be before somebody acts."""


@dataclass(frozen=True)
class Served:
    """What is known of a Certificate of cert-manager.

    Attributes:
        generation: Of its spec.
        ours: The Certificate that serves it; None if there is none yet.
        secret: Its Secret; None if there is none, or none of ours.
        refusal: Why it is not served, or not as it says now: reason and message; None if it is.
        is_triggered: Whether a renewal was asked for by its condition Issuing and has not begun.
    """

    generation: int
    ours: Certificate | None = None
    secret: SecretFacts | None = None
    refusal: tuple[str, str] | None = None
    is_triggered: bool = False


def certificate_status(present: Mapping[str, Any], served: Served, now: dt.datetime) -> dict[str, Any]:
    """Return the fields of the status that are kept, as they should be.

    Args:
        present: The status as it is; of what is in it, transition times, a revision and conditions of other types stay.
        served: What is known.
        now: The present time.
    """
    conditions, ours = readable(present), served.ours
    is_looked_at = ours is not None and _is_looked_at(ours)
    facts = _facts(served, now, is_known=_says_valid(present, conditions, now))
    if facts is not None:
        conditions = composed(conditions, facts, generation=served.generation, now=now)
    if ours is None or not is_looked_at:
        return {name: present[name] for name in FIELDS if name in present} | {"conditions": conditions}
    return {"conditions": conditions, **_times(ours), **_attempts(ours), **_revision(present, ours)}


def _is_looked_at(ours: Certificate) -> bool:
    is_described = ours.status.observed_generation == ours.metadata.generation
    return is_described and find_condition(ours.status.conditions, READY) is not None


def _says_valid(present: Mapping[str, Any], conditions: Collection[Mapping[str, Any]], now: dt.datetime) -> bool:
    """Whether the status has it that the certificate is good: shown until ours was looked at, a moment later."""
    ready = find(conditions, READY)
    try:
        ends = dt.datetime.fromisoformat(present.get("notAfter") or "")
    except (TypeError, ValueError):
        return False
    return ready is not None and ready["status"] == "True" and ends.tzinfo is not None and ends > now


def _facts(served: Served, now: dt.datetime, *, is_known: bool) -> dict[str, Fact | None] | None:
    """Return what the conditions say; None if nothing new can be said before ours has been looked at."""
    if served.refusal is not None:
        return {READY: Fact("False", *served.refusal), ISSUING: None}
    ours = served.ours
    ready = find_condition(ours.status.conditions, READY) if ours is not None else None
    if ours is None or ready is None or not _is_looked_at(ours):
        is_known |= ours is not None and ours.status.not_after is not None
        return None if is_known else {READY: _NEW, ISSUING: Fact("True", _NEW.reason, _NEW.message)}
    if ready.status == "False" and _named(ready) is None and _is_behind(ours, served.secret):
        return None
    said = _ready(ready, served, now)
    issuing = _issuing(ours, said, ready)
    return {READY: said, ISSUING: TRIGGERED if issuing is None and served.is_triggered else issuing}


def _ready(ready: Condition, served: Served, now: dt.datetime) -> Fact:
    if ready.status == "True":
        return Fact("True", "Ready", ready.message)
    return Fact("False", _named(ready) or _need(served, now), ready.message)


def _named(ready: Condition) -> str | None:
    """Return what cert-manager calls a reason for which ours is not Ready; None if the Secret has to tell."""
    return _REASONS.get(ready.reason) or (ready.reason if ready.reason in _BLOCKED else None)


def _is_behind(ours: Certificate, secret: SecretFacts | None) -> bool:
    """Whether the Secret has another certificate than our status is about, which will be written in a moment."""
    facts = secret.certificate if secret is not None else None
    return facts is not None and rfc3339(facts.not_before) != (
        ours.status.not_before and rfc3339(ours.status.not_before)
    )


def _need(served: Served, now: dt.datetime) -> str:
    """Return why a certificate is needed, by its Secret, in the order in which cert-manager looks at it."""
    secret, ours = served.secret, served.ours
    if secret is None or ours is None:
        return "DoesNotExist"
    if secret.certificate is None:
        return _unusable(secret)
    if secret.certificate_name not in {None, ours.metadata.name}:
        return "IncorrectCertificate"
    issuers = {(one.kind, one.name) for one in ours.spec.issuers}
    if secret.issuer_name is not None and (secret.issuer_kind, secret.issuer_name) not in issuers:
        return "IncorrectIssuer"
    if not secret.has_key_for(ours.spec.private_key):
        return "SecretMismatch"
    return "Expired" if secret.certificate.not_after <= now else "RequestChanged"


def _unusable(secret: SecretFacts) -> str:
    problem = secret.problem or ""
    if secret.empty or problem.endswith(MISSING):
        return "MissingData"
    return "InvalidKeyPair" if problem == MISMATCH or not secret.has_key else "InvalidCertificate"


def _issuing(ours: Certificate, said: Fact, ready: Condition) -> Fact | None:
    """Return what Issuing says: True while it goes on, False after a failure, nothing when nothing is to be done."""
    issuing = find_condition(ours.status.conditions, ISSUING)
    reason = "Renewing" if said.status == "True" else said.reason
    if issuing is not None and issuing.status == "True":
        return Fact("True", reason, issuing.message)
    if ours.status.failed_attempts:
        return Fact("False", "Failed", issuing.message if issuing is not None else ready.message)
    if ready.status == "True" or ready.reason in _BLOCKED:
        if issuing is None or issuing.reason == NOTHING_TO_DO:
            return None
        return Fact("False", issuing.reason, issuing.message)
    if issuing is None or issuing.reason == NOTHING_TO_DO:
        return Fact("True", reason, ready.message)
    # It waits for something, such as its issuer, which cert-manager does with an open request.
    return Fact("True", reason, issuing.message)


def _times(ours: Certificate) -> dict[str, str]:
    status = ours.status
    times = {"notBefore": status.not_before, "notAfter": status.not_after, "renewalTime": status.renewal_time}
    return {name: rfc3339(instant) for name, instant in times.items() if instant is not None}


def _attempts(ours: Certificate) -> dict[str, Any]:
    status = ours.status
    found: dict[str, Any] = {}
    if status.failed_attempts:
        found["failedIssuanceAttempts"] = status.failed_attempts
        if status.last_failure_time is not None:
            found["lastFailureTime"] = rfc3339(status.last_failure_time)
    if status.order is not None and is_true(status.conditions, ISSUING):
        found["nextPrivateKeySecretName"] = pending_key_name(ours)
    return found


def _revision(present: Mapping[str, Any], ours: Certificate) -> dict[str, int]:
    """Return the revision: it never goes back, whoever counted before, and goes on with each certificate."""
    counted = ours.status.revision
    if ours.status.not_before is None:
        return {}
    before = present.get("revision")
    if not isinstance(before, int) or isinstance(before, bool) or not 0 < before < MAX_REVISION:
        # One that was adopted was counted by whoever issued it.
        return {"revision": counted} if counted else {}
    is_another = present.get("notBefore") not in {None, rfc3339(ours.status.not_before)}
    return {"revision": max(before + is_another, counted)}
