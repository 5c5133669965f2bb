"""What a certificate says about itself, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from certwright.pki.errors import ChainError

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class CertificateFacts:
    """The facts that status fields and decisions are made of.

    Attributes:
        dns_names: The DNS names of the subjectAltName extension, lower-case, sorted, without duplicates.
        ip_addresses: Its IP addresses in text form, sorted. The common name counts for nothing (RFC 9525).
        not_before: The first instant of its life, UTC.
        not_after: The last instant of its life, UTC.
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
        """Read them from a certificate.

        Raises:
            ChainError: Its extensions or the name of its issuer cannot be parsed.
        """
        try:
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = x509.SubjectAlternativeName([])
        except (ValueError, x509.DuplicateExtension):
            raise ChainError("the certificate's extensions cannot be read") from None
        try:
            issuer_name = leaf.issuer.rfc4514_string()
        except ValueError:
            raise ChainError("the certificate's issuer name cannot be read") from None
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
