"""tls-alpn-01: a certificate for whoever offers `acme-tls/1` on port 443 (RFC 8737, RFC 8738 section 6)."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from certwright.acme.identifier import Identifier

#: The protocol that the CA offers, and the only one that is answered (RFC 8737 section 6.2).
ACME_TLS_1: Final = "acme-tls/1"

#: id-pe-acmeIdentifier (RFC 8737 section 6.1).
ACME_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")

# Long enough for one validation, short enough to be of no use to anybody.
_LIFE = timedelta(days=1)
_OCTET_STRING_OF_32: Final = b"\x04\x20"


@dataclass(frozen=True)
class ValidationCertificate:
    """What a TLS server shows during the validation, and nothing else ever.

    Attributes:
        server_name: The SNI value that it is shown for.
        certificate_pem: The self-signed certificate.
        private_key_pem: Its key, made for it alone.
    """

    server_name: str
    certificate_pem: bytes
    private_key_pem: bytes = field(repr=False)


def tls_alpn01_server_name(identifier: Identifier) -> str:
    """Return the SNI value that the CA sends.

    For an address that is its name in the reverse zone, because SNI knows no addresses (RFC 8738 section 6).

    Raises:
        ValueError: The identifier is a wildcard, for which there is no tls-alpn-01.
    """
    if identifier.value.startswith("*."):
        raise ValueError("a wildcard cannot be validated by tls-alpn-01")
    if identifier.type == "ip":
        return ipaddress.ip_address(identifier.value).reverse_pointer
    return identifier.value.lower()


def validation_certificate(
    identifier: Identifier, key_authorization: str, *, now: datetime | None = None
) -> ValidationCertificate:
    """Make the certificate: self-signed, one name, the digest in a critical extension (RFC 8737 section 3).

    Args:
        identifier: The name or address that is validated.
        key_authorization: See `key_authorization`; its SHA-256 is what the CA looks for.
        now: The time, aware; None for the system's.

    Raises:
        ValueError: The identifier is a wildcard.
    """
    server_name = tls_alpn01_server_name(identifier)
    key = ec.generate_private_key(ec.SECP256R1())
    start = (now or datetime.now(UTC)) - timedelta(minutes=5)
    name: x509.GeneralName = x509.DNSName(server_name)
    if identifier.type == "ip":
        name = x509.IPAddress(ipaddress.ip_address(identifier.value))
    digest = hashlib.sha256(key_authorization.encode("ascii")).digest()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acme-tls/1 validation")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFE)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.UnrecognizedExtension(ACME_IDENTIFIER, _OCTET_STRING_OF_32 + digest), critical=True)
        .sign(key, hashes.SHA256())
    )
    return ValidationCertificate(
        server_name,
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
