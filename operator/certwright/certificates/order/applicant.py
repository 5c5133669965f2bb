"""A Certificate that needs an order: for what, how urgently, and which rate limits do not apply to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.acme import OrderPurpose
from certwright.certificates.order.replacement import replaced_by
from certwright.certificates.order_request import certified_identifiers
from certwright.certificates.seal import IssuanceSeals
from certwright.issuers.budgets import Applicant
from certwright.issuers.waiting_room import Priority

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation


def applicant(observation: Observation) -> Applicant:
    """Return the Certificate as one who wants to order."""
    secret = observation.secret
    facts = secret.certificate if secret is not None and secret.is_adopted else None
    if observation.status.failed_attempts:
        priority = Priority.RETRY
    else:
        priority = Priority.RENEWAL if facts is not None and _is_due(observation) else Priority.FIRST
    return Applicant(
        namespace=observation.namespace,
        uid=observation.uid,
        identifiers=observation.identifiers,
        purpose=_purpose(observation),
        priority=priority,
        expires=None if facts is None else facts.not_after,
    )


def _is_due(observation: Observation) -> bool:
    """Whether the certificate has to be renewed by now; one that somebody asked to be renewed, or changed, can wait."""
    due, now = observation.renew_at, observation.seen_at
    return due is not None and (now is None or now >= due)


def _purpose(observation: Observation) -> OrderPurpose:
    """Return what the CA will take the order for; what only a Secret says is believed if this account obtained it."""
    secret, issuer = observation.secret, observation.issuer
    if secret is None or secret.certificate is None or issuer is None or secret.server != issuer.spec.server:
        return OrderPurpose.NEW
    same = certified_identifiers(secret.certificate) == observation.identifiers
    if not same or not IssuanceSeals(issuer.client.key).holds_for(secret):
        return OrderPurpose.NEW
    suggested = _is_suggested(observation) and replaced_by(observation) is not None
    return OrderPurpose.RENEWAL_INFO if suggested else OrderPurpose.SAME_NAMES


def _is_suggested(observation: Observation) -> bool:
    """Whether the CA itself has said to this process that the certificate may be renewed by now."""
    suggestion, now = observation.memory.suggestion, observation.seen_at
    if suggestion is None or suggestion.start is None or now is None:
        return False
    return suggestion.confirmed and suggestion.start <= now
