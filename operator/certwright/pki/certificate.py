"""The contents of a certificate as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from certwright.issuing import UNREADABLE
from certwright.pki.errors import ChainError

if TYPE_CHECKING:
    from datetime import datetime

MAX_NAMES: Final = 1000
"""More names than CAs put into a certificate: Let's Encrypt 100, others up to 250, rarely 2000 for a fee."""
MAX_ISSUER_CHARACTERS: Final = 2048
MAX_SERIAL_BITS: Final = 512
"""RFC 5280 section 4.1.2.2 allows 20 octets; some private CAs use more."""


@dataclass(frozen=True)
class CertificateFacts:
    """The facts about a certificate that status fields and decisions are based on.

    Attributes:
        dns_names: The DNS names of the subjectAltName extension, lower-case, sorted, without duplicates.
        ip_addresses: Its IP addresses in text form, sorted. The common name is ignored (RFC 9525).
        not_before: The start of its validity, UTC.
        not_after: The end of its validity, UTC.
        serial: The serial number in lower-case hexadecimal, whole octets, no colons.
        issuer_name: The issuer's distinguished name (RFC 4514).
        fingerprint_sha256: SHA-256 over the DER, lower-case hexadecimal.
    """

    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    serial: str
    issuer_name: str
    fingerprint_sha256: str

    @classmethod
    def of(cls, leaf: x509.Certificate) -> CertificateFacts:
        """Parse a certificate.

        Raises:
            ChainError: Its extensions or issuer name cannot be parsed, or it has more names, or a longer serial
                number or issuer name, than any CA issues.
        """
        try:
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = x509.SubjectAlternativeName([])
        except UNREADABLE:
            raise ChainError("the certificate's extensions cannot be read") from None
        try:
            issuer_name = leaf.issuer.rfc4514_string()
        except ValueError:
            raise ChainError("the certificate's issuer name cannot be read") from None
        if len(names) > MAX_NAMES:
            raise ChainError(f"the certificate has {len(names)} names; the limit is {MAX_NAMES}")
        if len(issuer_name) > MAX_ISSUER_CHARACTERS:
            raise ChainError(f"the certificate's issuer name is longer than {MAX_ISSUER_CHARACTERS} characters")
        if leaf.serial_number.bit_length() > MAX_SERIAL_BITS:
            raise ChainError(f"the certificate's serial number is longer than {MAX_SERIAL_BITS} bits")
        serial = f"{leaf.serial_number:x}"
        return cls(
            dns_names=tuple(sorted({name.lower() for name in names.get_values_for_type(x509.DNSName)})),
            ip_addresses=tuple(sorted({str(ip) for ip in names.get_values_for_type(x509.IPAddress)})),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            serial=serial.zfill(len(serial) + len(serial) % 2),
            issuer_name=issuer_name,
            fingerprint_sha256=leaf.fingerprint(hashes.SHA256()).hex(),
        )
