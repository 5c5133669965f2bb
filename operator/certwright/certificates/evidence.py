"""Evidence that a certificate may be revoked: the certificate and its private key from the same Secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.pki import CertificateFacts

if TYPE_CHECKING:
    from cryptography import x509

    from certwright.pki import PrivateKey
    from certwright.runtime.key import Key


def fingerprint_of(leaf: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, in hexadecimal."""
    return leaf.fingerprint(hashes.SHA256()).hex()


@dataclass(frozen=True)
class Evidence:
    """A certificate whose private key was seen beside it.

    Attributes:
        leaf_der: The certificate.
        fingerprint: Its SHA-256, in hexadecimal.
        serial: Its serial number, in hexadecimal.
        issuer: Which issuer is asked to revoke it. The CA knows whose certificate it is.
        key: Its private key; None if only that it was there is known.
    """

    leaf_der: bytes = field(repr=False)
    fingerprint: str
    serial: str
    issuer: Key
    key: PrivateKey | None = field(default=None, repr=False)


def evidence_of(leaf: x509.Certificate, issuer: Key) -> Evidence:
    """Return what shows that a certificate may be revoked which this process has just obtained with its key."""
    return Evidence(leaf.public_bytes(Encoding.DER), fingerprint_of(leaf), CertificateFacts.of(leaf).serial, issuer)
