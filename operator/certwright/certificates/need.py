"""Does this Certificate need to be issued now, and why?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from certwright.certificates.order_request import certified_identifiers, contents_digest, shown_names
from certwright.certificates.rehearsal import is_rehearsing
from certwright.certificates.renewal.due import kept_until, renewal_of
from certwright.certificates.requests.actions import wanting_certificate
from certwright.certificates.requests.record import SOMEONE
from certwright.certificates.revocations import has_compromised_key, revocation_of
from certwright.certificates.secret.origin import is_from_elsewhere, is_stranger, shown
from certwright.text import listed, rfc3339, sentence

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.certificates.renewal.due import RenewalDecision
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.pki import CertificateFacts
    from certwright.reasons import NeedReason, SpecReason
    from certwright.resources import Certificate, IssuerRef, PrivateKey


MAX_GIVEN: Final = 2
"""How many of the issuer's own CAs a message shows."""
MAX_NAMED: Final = 3
"""How many names a message shows that are missing, or too many."""


@dataclass(frozen=True)
class Refusal:
    """Why a certificate that is needed is not issued: a reason of one word and a message for people."""

    reason: SpecReason
    message: str


@dataclass(frozen=True)
class Need:
    """A reason to issue.

    Attributes:
        reason: For the Event, and for the condition while nothing else is said.
        message: For people, without a full stop.
        refusal: Set if issuing would go against the spec; it says so to the user.
    """

    reason: NeedReason
    message: str
    refusal: Refusal | None = None


def issuance_need(observation: Observation, now: dt.datetime) -> Need | None:
    """Tell why a certificate must be issued, or return None if the Secret holds what the spec asks for.

    Args:
        observation: What is known. While there is no request, as the issuer is not ready, a change of CA is not seen.
        now: The present time.
    """
    secret = observation.secret
    if secret is None:
        return Need("DoesNotExist", f"Secret {observation.certificate.spec.secret_name} does not exist")
    need = _content_need(observation, secret, now)
    if need is None or need.refusal is not None or not secret.immutable:
        return need
    message = (
        f"Secret {secret.name} is immutable, so the certificate it needs cannot be stored there: {need.message}. "
        "Delete the Secret to have it recreated, or choose another secretName."
    )
    return Need(need.reason, need.message, Refusal("SecretImmutable", message))


def _content_need(observation: Observation, secret: SecretFacts, now: dt.datetime) -> Need | None:
    facts = secret.certificate
    if facts is None:
        if secret.empty:
            return Need("DoesNotExist", f"Secret {secret.name} is empty")
        if secret.has_key and has_compromised_key(observation):
            return _compromise_need(secret)
        refusal = _kept_key_refusal(observation.certificate, secret) if secret.has_key else None
        return Need("Unusable", f"Secret {secret.name} cannot be used: {secret.problem}", refusal)
    return (
        _revocation_need(observation, secret)
        or _names_need(observation, secret, facts)
        or _contents_need(observation.certificate, secret)
        or _key_need(observation.certificate, secret)
        or _issuer_need(observation, secret)
        or _origin_need(observation, secret, facts)
        or _time_need(observation, facts, now)
        or _request_need(observation)
    )


def _names_need(observation: Observation, secret: SecretFacts, facts: CertificateFacts) -> Need | None:
    requested, certified = observation.identifiers, certified_identifiers(facts)
    if certified == requested:
        return None
    missing = shown_names(sorted(set(requested) - set(certified)))
    surplus = shown_names(sorted(set(certified) - set(requested)))
    differences = [
        f"{word} {', '.join(some[:MAX_NAMED])}{' and more' if len(some) > MAX_NAMED else ''}"
        for word, some in (("lacks", missing), ("still has", surplus))
        if some
    ]
    return Need("NamesChanged", f"the certificate in Secret {secret.name} {' and '.join(differences)}")


def _contents_need(certificate: Certificate, secret: SecretFacts) -> Need | None:
    """Tell whether something else is asked for than was when the certificate was issued.

    The certificate itself decides nothing: what a CA leaves out would be ordered for ever. What another version or
    another tool wrote says nothing of it, and stays.
    """
    if secret.certificate_name is None or secret.contents is None or secret.contents == contents_digest(certificate):
        return None
    return Need(
        "ContentsChanged",
        f"the certificate in Secret {secret.name} was requested with another common name, subject, usages, uris or "
        "emailAddresses",
    )


def _key_need(certificate: Certificate, secret: SecretFacts) -> Need | None:
    key = certificate.spec.private_key
    if key.is_any or secret.has_key_for(key):
        return None
    message = f"the private key in Secret {secret.name} is not {_kind(key)}"
    return Need("PrivateKeyChanged", message, _kept_key_refusal(certificate, secret))


def _kept_key_refusal(certificate: Certificate, secret: SecretFacts) -> Refusal | None:
    """Tell why the Secret's key, which must be kept, cannot be used for what the spec asks for."""
    key = certificate.spec.private_key
    if key.rotation_policy == "Always" or secret.has_key_for(key):
        return None
    message = (
        f"The private key in Secret {secret.name} is not {_kind(key)}, and rotationPolicy Never forbids a new one. The "
        "last good certificate is kept. Set spec.privateKey to match the Secret, or rotationPolicy to Always."
    )
    return Refusal("PrivateKeyMismatch", message)


def _kind(key: PrivateKey) -> str:
    return f"{key.effective_algorithm}{f' {key.size}' if key.size else ''}"


def _issuer_need(observation: Observation, secret: SecretFacts) -> Need | None:
    """Tell why a certificate is from none of the issuers of the spec. Which of them issued it does not matter."""
    if secret.certificate_name is None:
        return None
    servers = observation.servers
    known = set(servers.values())
    if secret.issuer_name is not None:
        was = secret.issuer_kind or "", secret.issuer_name
        if was not in servers and renamed_issuer(observation, secret) is None:
            return Need("IssuerChanged", f"the certificate was issued by {was[0]} {was[1]}")
        known = {servers[was]} if was in servers else known
    known |= observation.former_servers
    if secret.server is not None and None not in known and secret.server not in known:
        return Need("IssuerChanged", f"the certificate was issued by another CA, {secret.server}")
    return None


def renamed_issuer(observation: Observation, secret: SecretFacts) -> IssuerRef | None:
    """Return the issuer at the CA that a certificate is from, if its own issuer has another name here; else None.

    So it is with a Secret of another cluster, or of a Certificate that was deleted: what fits is adopted. A Certificate
    that has had a certificate here names another issuer because somebody wants one from it.
    """
    was, servers = (secret.issuer_kind or "", secret.issuer_name or ""), observation.servers
    if observation.status.revision or secret.issuer_name is None or secret.server is None or was in servers:
        return None
    if not secret.is_ours:
        return None
    issuers = observation.certificate.spec.issuers
    return next((one for one in issuers if servers.get((one.kind, one.name)) == secret.server), None)


def _origin_need(observation: Observation, secret: SecretFacts, facts: CertificateFacts) -> Need | None:
    """Tell why a certificate that others put there is not what the issuer's CA gives: it stays until that is there."""
    if secret.is_ours:
        return None
    if secret.placeholder is not None:
        return Need("NotFromIssuer", f"the certificate in Secret {secret.name} {secret.placeholder}")
    servers = [one for one in observation.servers.values() if one is not None]
    if servers and all(is_from_elsewhere(facts.issuer_name, one) for one in servers):
        message = f"the certificate in Secret {secret.name} is from a staging environment ({shown(facts.issuer_name)})"
        return Need("NotFromIssuer", message)
    return _stranger_need(observation, secret)


def _stranger_need(observation: Observation, secret: SecretFacts) -> Need | None:
    """Tell why a certificate is from another CA than the issuer's, as far as it is known what that one gives.

    What was adopted while nothing was known stays until its renewal: one new certificate must not replace a thousand.
    """
    origin, given = secret.origin, observation.given
    if secret.is_adopted or origin is None or not is_stranger(origin, given):
        return None
    known = listed(sorted({one.shown for one in given}), most=MAX_GIVEN)
    return Need(
        "NotFromIssuer",
        f"the certificate in Secret {secret.name} was issued by {origin.shown}, while those from "
        f"{_issuers(observation)} are issued by {known}",
    )


def _revocation_need(observation: Observation, secret: SecretFacts) -> Need | None:
    """Tell why a certificate must not be used any longer, or is to be revoked once there is another one."""
    revocation = revocation_of(observation, secret)
    what = f"the certificate in Secret {secret.name}"
    if revocation is not None and revocation.state == "Revoked":
        return Need("Revoked", f"{what} is revoked ({revocation.reason})")
    if has_compromised_key(observation):
        return _compromise_need(secret)
    if revocation is None or revocation.state == "Failed":
        return None
    return Need("ToBeRevoked", f"{what} will be revoked ({revocation.reason}) once it is replaced")


def _compromise_need(secret: SecretFacts) -> Need:
    return Need("KeyCompromised", f"the private key in Secret {secret.name} was reported as compromised")


def _renewal_refusal(observation: Observation, why: str) -> Refusal | None:
    if observation.renewal is None or observation.renewal.basis != "Disabled":
        return None
    message = f"{sentence(why)} It is not renewed, because spec.renewal.policy is Disabled. Set it to Automatic."
    return Refusal("RenewalDisabled", message)


def _issuers(observation: Observation) -> str:
    return listed([f"{one.kind} {one.name}" for one in observation.certificate.spec.issuers])


def _time_need(observation: Observation, facts: CertificateFacts, now: dt.datetime) -> Need | None:
    if now >= facts.not_after:
        expired = f"the certificate expired at {rfc3339(facts.not_after)}"
        return Need("Expired", expired, _renewal_refusal(observation, expired))
    renewal = observation.renewal
    if renewal is None:
        return None
    at = renewal.at
    if _has_begun(observation):
        renewal = _as_it_began(observation, renewal, facts, now)
        at = renewal.unwindowed
    if at is not None and now >= at:
        message = f"the certificate is due for renewal{renewal.why}; it expires at {rfc3339(facts.not_after)}"
        return Need("Renewal", message)
    return None


def _as_it_began(
    observation: Observation, renewal: RenewalDecision, facts: CertificateFacts, now: dt.datetime
) -> RenewalDecision:
    """Return why a renewal is due whose order is placed: what made it begin counts until it is done.

    A maintenance window that has closed would have it ordered again in the next one. And a suggestion that only the
    status knows of, after a restart, would be waited for again: the order, which we have sealed, vouches for it.
    """
    suggestion, secret = observation.memory.suggestion, observation.secret
    if suggestion is None or suggestion.confirmed or secret is None:
        return renewal
    known, kept = replace(suggestion, confirmed=True), kept_until(facts, secret.rolled_back)
    return renewal_of(observation.certificate, facts, known, now, kept_until=kept)


def _has_begun(observation: Observation) -> bool:
    """Whether there is an order that may still become the certificate, and not that of a rehearsal."""
    order, request = observation.status.order, observation.request
    if order is None or order.url is None or order.state == "invalid":
        return False
    return not is_rehearsing(observation) if request is None else order.spec_hash == request.fingerprint


def _request_need(observation: Observation) -> Need | None:
    entry = wanting_certificate(observation)
    if entry is None:
        return None
    return Need("Requested", f"{entry.requested_by or SOMEONE} requested a renewal (request {entry.id})")
