"""The origin of a certificate: a self-signed one, or one of another CA, does not satisfy a Certificate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certwright.issuing import issuer_key_id
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography import x509

    from certwright.pki import CertificateChain

MAX_SHOWN: Final = 100
TEMPORARY_ISSUERS: Final = frozenset({"cert-manager.local"})
"""The throw-away CA of cert-manager's temporary certificates, by its common name."""
STAGING: Final = ("(STAGING)", "Fake LE")
"""What the names of the staging CAs of Let's Encrypt begin with, as those of Boulder did earlier."""
STAGING_HOST: Final = "staging"
MAX_LINKS: Final = 5
"""Of a chain: the leaf and its first issuers. No CA has longer ones; anybody may write them."""
MAX_AUTHORITY_BYTES: Final = 8192
"""Of the certificate of an issuer; one takes 2 KiB. The extensions of a larger one take long to read."""
MAX_NAME_BYTES: Final = 4096
MAX_ORGANIZATION: Final = 100
DIGEST_BYTES: Final = 16
MAX_SHARED: Final = 256
"""Origins that are kept once for all Secrets: a CA issues thousands of certificates through a few intermediates."""


@dataclass(frozen=True)
class ChainOrigin:
    """Which CA a chain is from, in a few hundred bytes.

    Attributes:
        issuers: Digests of the names and key identifiers of those who issued the certificates of the chain.
        organization: Of the leaf's issuer, lower-case; None if its name has none.
        shown: The name of the leaf's issuer, for messages.
    """

    issuers: frozenset[bytes]
    organization: str | None
    shown: str

    @classmethod
    def of(cls, chain: CertificateChain) -> ChainOrigin:
        """Read it from a chain that need not be complete, nor in order."""
        authorities = [one for one in chain.issuers if len(one.public_bytes(Encoding.DER)) <= MAX_AUTHORITY_BYTES]
        links = [chain.leaf, *authorities][:MAX_LINKS]
        name = _name(chain.leaf)
        return _shared(
            cls(
                issuers=frozenset(digest for one in links for digest in _issuer_digests(one)),
                organization=_organization(name) if name is not None else None,
                shown=shown(name.rfc4514_string()) if name is not None else "an issuer without a name",
            )
        )

    def is_akin_to(self, other: ChainOrigin) -> bool:
        """Whether both may be from one CA: they have an issuer in common, or their leaves' issuers an organization.

        A CA issues through several intermediates, which may lead to several roots.
        """
        same_organization = self.organization is not None and self.organization == other.organization
        return same_organization or not self.issuers.isdisjoint(other.issuers)


def is_stranger(origin: ChainOrigin, given: Iterable[ChainOrigin]) -> bool:
    """Whether a chain is from another CA than all those that are known; False if none is."""
    known = list(given)
    return bool(known) and not any(origin.is_akin_to(one) for one in known)


def placeholder(leaf: x509.Certificate) -> str | None:
    """Tell why a certificate is from no CA at all, to follow "the certificate ... "; None if it may be from one."""
    try:
        issuer, subject = leaf.issuer, leaf.subject
    except ValueError:
        return None
    if issuer == subject:
        return "is self-signed"
    if TEMPORARY_ISSUERS & _texts(issuer):
        return "is a temporary one that cert-manager created"
    return None


def is_from_elsewhere(issuer_name: str, server: str) -> bool:
    """Whether a certificate is from the staging environment of a CA and the issuer is not, by their names.

    Args:
        issuer_name: The name of the certificate's issuer (RFC 4514).
        server: Directory URL of the issuer's CA.
    """
    host = urlsplit(server).hostname or ""
    return STAGING_HOST not in host and any(f"={name}" in issuer_name for name in STAGING)


def shown(issuer_name: str) -> str:
    """Return the name of a certificate's issuer for a message."""
    return printable(issuer_name, MAX_SHOWN)


def _texts(name: x509.Name) -> set[str]:
    return {str(one.value) for one in name.get_attributes_for_oid(NameOID.COMMON_NAME)}


@lru_cache(maxsize=MAX_SHARED)
def _shared(origin: ChainOrigin) -> ChainOrigin:
    return origin


def _name(certificate: x509.Certificate) -> x509.Name | None:
    """Return the name of a certificate's issuer, if it has one that can be read and is as short as any CA's."""
    try:
        name = certificate.issuer
        return name if len(name) and len(name.public_bytes()) <= MAX_NAME_BYTES else None
    except ValueError:
        return None


def _issuer_digests(certificate: x509.Certificate) -> list[bytes]:
    name, key_id = _name(certificate), issuer_key_id(certificate)
    found = []
    if name is not None:
        # Names are equal whatever their case, spaces and kinds of string are (RFC 5280 section 7.1).
        found.append(b"name " + _folded(name.rfc4514_string()).encode())
    if key_id:
        found.append(b"key " + key_id)
    return [hashlib.sha256(one).digest()[:DIGEST_BYTES] for one in found]


def _organization(name: x509.Name) -> str | None:
    texts = [str(one.value) for one in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return _folded(texts[0])[:MAX_ORGANIZATION] or None if texts else None


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
