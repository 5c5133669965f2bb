"""Which certificate issued which, and the path from a certificate to its last known issuer.

CAs send chains in any order, with duplicates, or with unrelated certificates.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNREADABLE: Final = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm)
"""The exceptions of `cryptography` for extensions that it cannot read, which have no common base."""


class Link(Enum):
    """How a certificate relates to a possible issuer. The value is the wording for messages."""

    ISSUED = "it was issued by it"
    LIKELY = "the issuer's key or signature algorithm is not supported"
    FORGED = "the signature is invalid"
    STRANGE = "the issuer and subject names differ"
    UNREADABLE = "the issuer or subject name cannot be read"


def link(subject: x509.Certificate, issuer: x509.Certificate) -> Link:
    """Return whether `issuer` issued `subject`: by name and signature.

    If the signature cannot be checked, for example with SHA-1, names and key identifiers decide: `Link.LIKELY`.
    """
    try:
        subject.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return Link.FORGED
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return _unverified(subject, issuer)
    return Link.ISSUED


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Return whether a certificate is its own issuer, like a root."""
    return link(certificate, certificate) in (Link.ISSUED, Link.LIKELY)


def is_authority(certificate: x509.Certificate) -> bool:
    """Return whether a certificate says that it may issue others (RFC 5280 section 4.2.1.9)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (*UNREADABLE, x509.ExtensionNotFound):
        return False


def issuers_of(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Return the issuers of a certificate in the order that TLS sends them, as far as they are among `others`.

    If several issued the same certificate (such as a root and its cross-signed version), the first is used; if they
    differ only in their lifetime, the one that expires last. For the leaf, only verified signatures count.
    """
    path: list[x509.Certificate] = []
    last = leaf
    accepted: tuple[Link, ...] = (Link.ISSUED,)
    while not is_self_issued(last):
        found = _first(last, [one for one in others if one != leaf and one not in path], accepted)
        if found is None:
            break
        path.append(found)
        last = found
        accepted = (Link.ISSUED, Link.LIKELY)
    return tuple(path)


def issuer_key_id(certificate: x509.Certificate) -> bytes | None:
    """Return the identifier of its issuer's key (RFC 5280 section 4.2.1.1), or None if it does not have one."""
    try:
        return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (*UNREADABLE, x509.ExtensionNotFound):
        return None


def _first(
    subject: x509.Certificate, candidates: Iterable[x509.Certificate], accepted: tuple[Link, ...]
) -> x509.Certificate | None:
    links = [(link(subject, candidate), candidate) for candidate in candidates]
    first = next((one for kind in accepted for how, one in links if how is kind), None)
    if first is None:
        return None
    # Some CAs send an issuer's current certificate together with its predecessor, which may have expired.
    renewed = (one for how, one in links if how in accepted and _is_same_but_for_its_life(first, one))
    return max(renewed, key=lambda one: one.not_valid_after_utc)


def _is_same_but_for_its_life(first: x509.Certificate, other: x509.Certificate) -> bool:
    if first is other:
        return True
    try:
        same_names = (first.subject, first.issuer) == (other.subject, other.issuer)
        return same_names and first.public_key() == other.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False


def _unverified(subject: x509.Certificate, issuer: x509.Certificate) -> Link:
    try:
        if subject.issuer != issuer.subject:
            return Link.STRANGE
    except ValueError:
        return Link.UNREADABLE
    wanted, has = issuer_key_id(subject), _key_id(issuer)
    return Link.STRANGE if wanted and has and wanted != has else Link.LIKELY


def _key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (*UNREADABLE, x509.ExtensionNotFound):
        return None
