"""PEM certificate chains (RFC 8555 section 9.1): read with care, because they come from outside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from certwright.pki.errors import BrokenChain, ChainError

MAX_CHAIN_BYTES = 256 * 1024
MAX_CERTIFICATES = 20

_BLOCK = re.compile(
    rb"^-----BEGIN (?P<label>[^\r\n-]{0,64})-----[^\S\n]*$(?P<body>.*?)^-----END (?P=label)-----[^\S\n]*$",
    re.DOTALL | re.MULTILINE,
)
_BEGIN = b"-----BEGIN "
_DASHES = b"-----"


@dataclass(frozen=True)
class CertificateChain:
    """A leaf and its issuers, in the order TLS sends them.

    Attributes:
        leaf: The end-entity certificate: the first of the file.
        issuers: What follows it; whether they really are its issuers is said by `check_links`.
        pem: The chain written afresh: certificates only, no text around them, a newline at the end.
    """

    leaf: x509.Certificate
    issuers: tuple[x509.Certificate, ...]
    pem: bytes

    @property
    def root_pem(self) -> bytes | None:
        """The last certificate as PEM if it is self-signed, for `ca.crt`. Most CAs leave their root out."""
        last = (self.leaf, *self.issuers)[-1]
        return _to_pem(last) if _issued(last, last) is None else None


def parse_chain(pem: bytes) -> CertificateChain:
    """Read a chain, leaf first.

    Text around the blocks is dropped; a block that is no certificate is refused, so that nothing else can get
    into a Secret or a server's configuration (RFC 8555 section 11.4).

    Args:
        pem: At most 256 KiB with 1 to 20 CERTIFICATE blocks.

    Raises:
        ChainError: No certificate, too many, too long, a foreign block, an unfinished block, or damage.
    """
    if len(pem) > MAX_CHAIN_BYTES:
        raise ChainError(f"the certificate chain is {len(pem)} bytes long; {MAX_CHAIN_BYTES} is the limit")
    begun = pem.count(_BEGIN)
    if not begun:
        raise ChainError("there is no PEM certificate in the certificate chain")
    if begun > MAX_CERTIFICATES:
        raise ChainError(f"the certificate chain has {begun} certificates; {MAX_CERTIFICATES} is the limit")
    blocks = list(_BLOCK.finditer(pem))
    if any(block["label"] != b"CERTIFICATE" for block in blocks):
        raise ChainError("the certificate chain contains a PEM block that is not a certificate")
    # A block has four rows of dashes; more of them are the rest of one that was cut off.
    if pem.count(_DASHES) != 4 * len(blocks):
        raise ChainError("the certificate chain is damaged: a PEM block is incomplete")
    certificates = [_load(block.group(), place) for place, block in enumerate(blocks, start=1)]
    return CertificateChain(certificates[0], tuple(certificates[1:]), b"".join(map(_to_pem, certificates)))


def check_links(chain: CertificateChain) -> None:
    """Check that each certificate was issued, by name and by signature, by the one after it.

    The validity of the issuers is not looked at: CAs have served an expired cross-signed root on purpose.

    Raises:
        BrokenChain: Says which certificate, and how it fails.
    """
    certificates = (chain.leaf, *chain.issuers)
    for place, (subject, issuer) in enumerate(pairwise(certificates), start=1):
        fault = _issued(subject, issuer)
        if fault:
            raise BrokenChain(f"certificate {place} of the chain was not issued by certificate {place + 1}: {fault}")


def _issued(subject: x509.Certificate, issuer: x509.Certificate) -> str | None:
    """Say why `issuer` did not issue `subject`, or None when it did."""
    try:
        subject.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return "the signature is invalid"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return _why_not(subject, issuer)
    return None


def _why_not(subject: x509.Certificate, issuer: x509.Certificate) -> str:
    try:
        alike = subject.issuer == issuer.subject
    except ValueError:
        return "the issuer or subject name cannot be read"
    if not alike:
        return "the issuer and subject names differ"
    return "the issuer's key or signature algorithm is not supported"


def _load(block: bytes, place: int) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(block)
    except (ValueError, x509.InvalidVersion):
        raise ChainError(f"certificate {place} of the chain is damaged") from None


def _to_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
