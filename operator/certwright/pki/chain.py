"""PEM certificate chains (RFC 8555 section 9.1), from untrusted sources."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from certwright.issuing import Link, is_self_issued, issuers_of, link
from certwright.pki.errors import BrokenChain, ChainError, KeyMismatch
from certwright.pki.keys import public_key_matches

if TYPE_CHECKING:
    from certwright.key_file import PrivateKey
    from certwright.pki.request import SigningRequest

MAX_CHAIN_BYTES = 256 * 1024
MAX_CERTIFICATES = 20
MAX_CERTIFICATE_BYTES = 64 * 1024
"""The maximum size of a certificate in PEM. One for a thousand domains has about 50 KiB."""
MAX_PUBLIC_RSA_BITS = 8192
MAX_PUBLIC_EXPONENT_BITS = 64
LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE")
"""The PEM labels of certificates; RFC 7468 section 5.1 allows readers to accept the second."""

_BLOCK = re.compile(
    rb"-----BEGIN (?P<label>[^\r\n-]{0,64})-----(?P<body>[^-]*)-----END (?P=label)-----",
)
_BEGIN = b"-----BEGIN "
_REST = re.compile(rb"(?<!-)-----(?:BEGIN |END |[BEGIND]{0,5}\s*\Z)")
"""The remains of a block that is damaged or was cut off."""


@dataclass(frozen=True)
class CertificateChain:
    """A leaf and its issuers, in the order that TLS servers send them.

    Attributes:
        leaf: The end-entity certificate: the first of the file.
        issuers: The certificates after it; `arrange_chain` sorts the issuers, and `check_links` checks them.
        pem: The normalized chain: certificates only, no text around them, a newline at the end.
    """

    leaf: x509.Certificate
    issuers: tuple[x509.Certificate, ...]
    pem: bytes

    @property
    def root_pem(self) -> bytes | None:
        """Return the last certificate as PEM if it is self-signed, for `ca.crt`. Most CAs omit their root."""
        last = (self.leaf, *self.issuers)[-1]
        return _to_pem(last) if is_self_issued(last) else None


def parse_chain(pem: bytes) -> CertificateChain:
    """Parse a chain, leaf first.

    Text around the blocks is dropped. A block that is not a certificate is refused, so that nothing else can get into a
    Secret or a server's configuration (RFC 8555 section 11.4).

    Args:
        pem: At most 256 KiB with 1 to 20 CERTIFICATE blocks.

    Raises:
        ChainError: There is no certificate, or too many; the chain is too long or damaged, or has another kind of
            block; or a certificate has more than 64 KiB, or an RSA key of more than 8192 bits.
    """
    if len(pem) > MAX_CHAIN_BYTES:
        raise ChainError(f"the certificate chain is {len(pem)} bytes long; {MAX_CHAIN_BYTES} is the limit")
    begun = pem.count(_BEGIN)
    if not begun:
        raise ChainError("there is no PEM certificate in the certificate chain")
    if begun > MAX_CERTIFICATES:
        raise ChainError(f"the certificate chain has {begun} certificates; {MAX_CERTIFICATES} is the limit")
    blocks = list(_BLOCK.finditer(pem))
    if any(block["label"] not in LABELS for block in blocks):
        raise ChainError("the certificate chain contains a PEM block that is not a certificate")
    if not blocks or _REST.search(_BLOCK.sub(b"", pem)):
        raise ChainError("the certificate chain is damaged: a PEM block is incomplete")
    certificates = [_load(block.group(), place) for place, block in enumerate(blocks, start=1)]
    return _chain(certificates[0], tuple(certificates[1:]))


def arrange_chain(chain: CertificateChain, key: PrivateKey | SigningRequest) -> CertificateChain:
    """Return the chain of the certificate for a key: leaf first, then its issuers, without duplicates or strangers.

    If several certificates are for the key, the leaf is the newest of those that were issued by another one in the
    chain.

    Raises:
        KeyMismatch: No certificate is for this key.
        BrokenChain: There are other certificates, but none of them issued the leaf.
    """
    certificates = (chain.leaf, *chain.issuers)
    leaves = [certificate for certificate in certificates if public_key_matches(certificate, key)]
    if not leaves:
        raise KeyMismatch
    paths = [(leaf, issuers_of(leaf, certificates)) for leaf in leaves]
    # The first of equals.
    leaf, issuers = max(paths, key=lambda path: (bool(path[1]), path[0].not_valid_before_utc))
    others = [certificate for certificate in certificates if certificate not in leaves]
    if others and not issuers and not is_self_issued(leaf):
        raise _broken(leaf, others)
    return _chain(leaf, issuers)


def _broken(leaf: x509.Certificate, others: list[x509.Certificate]) -> BrokenChain:
    """Explain why no certificate in the chain is the leaf's issuer, using the closest candidate."""
    links = {link(leaf, other) for other in others}
    closest = next(kind for kind in (Link.FORGED, Link.LIKELY, Link.UNREADABLE, Link.STRANGE) if kind in links)
    return BrokenChain(f"none of the chain's certificates issued the one for the domains: {closest.value}")


def check_links(chain: CertificateChain) -> None:
    """Check that each certificate was issued, by name and by signature, by the one after it.

    Above the leaf, if a signature cannot be checked, for example with SHA-1, names and key identifiers decide. The
    validity of the issuers is not checked, because CAs have deliberately served an expired cross-signed root.

    Raises:
        BrokenChain: The message says which certificate fails, and why.
    """
    certificates = (chain.leaf, *chain.issuers)
    for place, (subject, issuer) in enumerate(pairwise(certificates), start=1):
        how = link(subject, issuer)
        if how is not Link.ISSUED and (how is not Link.LIKELY or place == 1):
            raise BrokenChain(
                f"certificate {place} of the chain was not issued by certificate {place + 1}: {how.value}"
            )


def _chain(leaf: x509.Certificate, issuers: tuple[x509.Certificate, ...]) -> CertificateChain:
    return CertificateChain(leaf, issuers, b"".join(map(_to_pem, (leaf, *issuers))))


def _load(block: bytes, place: int) -> x509.Certificate:
    if len(block) > MAX_CERTIFICATE_BYTES:
        raise ChainError(f"certificate {place} is {len(block)} bytes long; {MAX_CERTIFICATE_BYTES} is the limit")
    try:
        certificate = x509.load_pem_x509_certificate(block)
    except (ValueError, x509.InvalidVersion):
        raise ChainError(f"certificate {place} of the chain is damaged") from None
    if _is_laborious(certificate):
        raise ChainError(f"certificate {place} has an RSA key of more than {MAX_PUBLIC_RSA_BITS} bits")
    return certificate


def _is_laborious(certificate: x509.Certificate) -> bool:
    """Return whether checking signatures of this certificate could take long."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, InternalError):
        return False  # then nothing is checked with it
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    exponent = key.public_numbers().e
    return key.key_size > MAX_PUBLIC_RSA_BITS or exponent.bit_length() > MAX_PUBLIC_EXPONENT_BITS


def _to_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
