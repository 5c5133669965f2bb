"""Does this Certificate need to be issued now, and why?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.certificates.order_request import wanted_names
from certwright.certificates.steps.resting import Refuse

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.order_request import Wanted
    from certwright.certificates.secret_facts import SecretFacts
    from certwright.pki import CertificateFacts
    from certwright.resources import Certificate


@dataclass(frozen=True)
class Need:
    """A reason to issue.

    Attributes:
        reason: One word, CamelCase.
        message: For people, without a full stop.
        refusal: Set if issuing would go against the spec; it says so to the user.
    """

    reason: str
    message: str
    refusal: Refuse | None = None


def issuance_need(
    certificate: Certificate, secret: SecretFacts | None, wanted: Wanted | None, now: dt.datetime
) -> Need | None:
    """Tell why a certificate must be issued, or None if the Secret holds what the spec asks for.

    Args:
        certificate: The Certificate.
        secret: Its Secret, or None if there is none.
        wanted: What would be ordered; None while the issuer is not ready, when a change of CA cannot be seen.
        now: The present instant.
    """
    if secret is None:
        return Need("DoesNotExist", f"Secret {certificate.spec.secret_name} does not exist")
    need = _content_need(certificate, secret, wanted, now)
    if need is None or need.refusal is not None or not secret.immutable:
        return need
    message = (
        f"Secret {secret.name} is immutable, so no certificate can be put there, and one is needed: {need.message}. "
        "Delete the Secret, and it is made anew, or choose another secretName."
    )
    return Need(need.reason, need.message, Refuse("SecretImmutable", message))


def _content_need(
    certificate: Certificate, secret: SecretFacts, wanted: Wanted | None, now: dt.datetime
) -> Need | None:
    facts = secret.certificate
    if facts is None:
        if secret.empty:
            return Need("DoesNotExist", f"Secret {secret.name} is empty")
        return Need("Unusable", f"Secret {secret.name} is of no use: {secret.problem}")
    return (
        _names_need(certificate, secret, facts)
        or _key_need(certificate, secret)
        or _issuer_need(certificate, secret, wanted)
        or _time_need(certificate, facts, now)
    )


def renewal_time(certificate: Certificate, facts: CertificateFacts) -> dt.datetime:
    """Return the instant from which the certificate is to be renewed.

    ``renewBefore`` (or its percentage) ahead of the end, if that lies within the certificate's real life, else after
    two thirds of it: a CA may issue for less time than was asked, and then must not be asked without end.
    """
    life = facts.not_after - facts.not_before
    before = certificate.spec.renew_before
    if before is None and certificate.spec.renew_before_percentage is not None:
        before = life * certificate.spec.renew_before_percentage / 100
    if before is None or before >= life:
        before = life / 3
    return facts.not_after - before


def _names_need(certificate: Certificate, secret: SecretFacts, facts: CertificateFacts) -> Need | None:
    names = wanted_names(certificate)
    if facts.dns_names == names and not facts.ip_addresses:
        return None
    missing = sorted(set(names) - set(facts.dns_names))
    surplus = sorted({*facts.dns_names, *facts.ip_addresses} - set(names))
    differences = [
        f"{word} {', '.join(some[:3])}{' and more' if len(some) > 3 else ''}"  # noqa: PLR2004 - a line to be read, not a limit
        for word, some in (("lacks", missing), ("still has", surplus))
        if some
    ]
    return Need("NamesChanged", f"the certificate in Secret {secret.name} {' and '.join(differences)}")


def _key_need(certificate: Certificate, secret: SecretFacts) -> Need | None:
    key = certificate.spec.private_key
    if secret.has_key_of(key.algorithm, key.size):
        return None
    asked = f"{key.algorithm}{f' {key.size}' if key.size else ''}"
    need = Need("PrivateKeyChanged", f"the private key in Secret {secret.name} is not {asked}")
    if key.rotation_policy == "Always":
        return need
    message = (
        f"The private key in Secret {secret.name} is not {asked}, and rotationPolicy Never forbids making another. The "
        "last good certificate stays. Set spec.privateKey to what the Secret holds, or rotationPolicy to Always."
    )
    return Need(need.reason, need.message, Refuse("PrivateKeyMismatch", message))


def _issuer_need(certificate: Certificate, secret: SecretFacts, wanted: Wanted | None) -> Need | None:
    reference = certificate.spec.issuer_ref
    if secret.issuer_name is not None and secret.certificate_name is not None:
        was = (secret.issuer_kind, secret.issuer_name)
        if was != (reference.kind, reference.name):
            return Need("IssuerChanged", f"the certificate is from {was[0]} {was[1]}")
    if wanted is not None and secret.certificate_name is not None and secret.server not in {None, wanted.server}:
        return Need("IssuerChanged", f"the certificate is from another CA, {secret.server}")
    return None


def _time_need(certificate: Certificate, facts: CertificateFacts, now: dt.datetime) -> Need | None:
    if now >= facts.not_after:
        return Need("Expired", f"the certificate expired at {facts.not_after:%Y-%m-%dT%H:%M:%SZ}")
    if now >= renewal_time(certificate, facts):
        return Need("Renewal", f"the certificate is due for renewal; it ends at {facts.not_after:%Y-%m-%dT%H:%M:%SZ}")
    return None
