"""Challenge responses: key authorization, http-01, dns-01, dns-account-01, tls-alpn-01 (RFC 8555 section 8)."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certwright.acme import base64url
from certwright.acme.base64url import is_base64url
from certwright.well_known import WELL_KNOWN_PATH

if TYPE_CHECKING:
    from certwright.acme.identifier import Identifier

_MAX_TOKEN: Final = 512

_HASHED_OCTETS: Final = 10

ACME_TLS_1: Final = "acme-tls/1"
"""The application protocol that the CA negotiates (RFC 8737 section 6.2)."""

ACME_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""id-pe-acmeIdentifier (RFC 8737 section 6.1)."""

# Long enough for one validation, too short for any other use.
_LIFE = timedelta(days=1)

_OCTET_STRING_OF_32: Final = b"\x04\x20"


def key_authorization(token: str, thumbprint: str) -> str:
    """Return the key authorization of a challenge: its token and the thumbprint of the account key (section 8.1).

    Raises:
        ValueError: The token is not base64url.
    """
    if not is_token(token):
        raise ValueError("the token of a challenge must be base64url")
    return f"{token}.{thumbprint}"


def dns01_value(authorization: str) -> str:
    """Return the TXT value for a key authorization: its SHA-256 in base64url, 43 characters (section 8.4)."""
    return base64url.encode(hashlib.sha256(authorization.encode("ascii")).digest())


def dns01_name(name: str) -> str:
    """Return where the TXT record of dns-01 stands, before any CNAME is followed; a wildcard's `*.` is left out."""
    return f"_acme-challenge.{name.removeprefix('*.')}"


def is_token(text: str) -> bool:
    """Return whether a text can be the token of a challenge: base64url only."""
    return len(text) <= _MAX_TOKEN and base64url.is_base64url(text)


def http01_path(token: str) -> str:
    """Return the path that the CA requests; the response is the key authorization.

    Raises:
        ValueError: The token is not base64url, so it has no place in a path.
    """
    if not is_base64url(token):
        raise ValueError("the token of a challenge must be base64url")
    return WELL_KNOWN_PATH + token


def http01_url(identifier: Identifier, token: str) -> str:
    """Return the URL that the CA requests; it may follow redirects from there.

    Raises:
        ValueError: The token is not base64url, or the identifier is a wildcard, for which there is no http-01.
    """
    host = identifier.value
    if host.startswith("*."):
        raise ValueError("a wildcard cannot be validated by http-01")
    if identifier.type == "ip" and ipaddress.ip_address(host).version == 6:  # noqa: PLR2004 - IPv6
        host = f"[{host}]"
    return f"http://{host}{http01_path(token)}"


def account_label(account_url: str) -> str:
    """Return the label of an account: `_` and 16 characters of base32 over the SHA-256 of its URL (section 3.1)."""
    digest = hashlib.sha256(account_url.encode("ascii")).digest()
    return "_" + base64.b32encode(digest[:_HASHED_OCTETS]).decode("ascii").lower()


def dns_account01_name(name: str, account_url: str) -> str:
    """Return the name of the TXT record, whose value is that of dns-01. A leading `*.` is dropped."""
    return f"{account_label(account_url)}._acme-challenge.{name.removeprefix('*.')}"


@dataclass(frozen=True)
class ValidationCertificate:
    """The certificate that a TLS server presents during validation, and only then.

    Attributes:
        server_name: The SNI value that it is presented for.
        certificate_pem: The self-signed certificate.
        private_key_pem: Its key, generated for it alone.
    """

    server_name: str
    certificate_pem: bytes
    private_key_pem: bytes = field(repr=False)


def tls_alpn01_server_name(identifier: Identifier) -> str:
    """Return the SNI value that the CA sends.

    For an address this is its name in the reverse zone, because SNI has no addresses (RFC 8738 section 6).

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
    """Create the certificate: self-signed, one name, the digest in a critical extension (RFC 8737 section 3).

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
