"""Which certificate an order replaces (RFC 9773 section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.certificates.order_request import certified_identifiers

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation


def replaced_by(observation: Observation) -> str | None:
    """Return the identifier of the certificate that the order replaces; None if the CA need not know.

    That is the one in the Secret, if this issuer's CA has issued it for some of the same names. Two Certificates for
    the same names, one with an RSA key for example, replace each its own.
    """
    secret, request = observation.secret, observation.request
    if secret is None or request is None or secret.certificate is None or not secret.is_ours:
        return None
    reference = observation.reference
    by_issuer = (secret.issuer_kind, secret.issuer_name) == (reference.kind, reference.name)
    shared = not set(certified_identifiers(secret.certificate)).isdisjoint(request.identifiers)
    if not (by_issuer and shared and secret.server == request.server):
        return None
    return secret.certificate_id if secret.certificate_id != observation.memory.not_replaced else None
