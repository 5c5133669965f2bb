"""Certificate signing requests created by other programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from certwright.issuing import UNREADABLE
from certwright.pki.errors import CsrError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

_MAX_BYTES = 64 * 1024
_MAX_NAMES = 1000


@dataclass(frozen=True)
class SigningRequest:
    """A signing request for a key that is stored elsewhere (RFC 2986).

    Attributes:
        der: The request in DER.
        dns_names: The requested DNS names, lower-case, in the order of the request; the common name last, if it is not
            one of them.
        ip_addresses: The requested addresses, in text form.
    """

    der: bytes = field(repr=False)
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All names and addresses that it asks for, as an order has them."""
        return (*self.dns_names, *self.ip_addresses)

    def public_key(self) -> CertificatePublicKeyTypes:
        """Return the key that the certificate will be for."""
        return x509.load_der_x509_csr(self.der).public_key()

    def to_pem(self) -> bytes:
        """Return the request in PEM."""
        return x509.load_der_x509_csr(self.der).public_bytes(serialization.Encoding.PEM)


def read_csr(content: bytes) -> SigningRequest:
    """Read a request in PEM or DER.

    Args:
        content: At most 64 KiB.

    Raises:
        CsrError: It is not a CSR, its signature does not verify, or it has no name that ACME can validate.
    """
    if len(content) > _MAX_BYTES:
        raise CsrError(f"the CSR is {len(content)} bytes long; the limit is {_MAX_BYTES}")
    try:
        in_pem = content.lstrip().startswith(b"-----BEGIN")
        csr = x509.load_pem_x509_csr(content) if in_pem else x509.load_der_x509_csr(content)
        verified = csr.is_signature_valid
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise CsrError("not a PEM or DER certificate signing request, or one of an unsupported type") from None
    if not verified:
        raise CsrError("the signature of the CSR is invalid: create the CSR again")
    dns_names, ip_addresses = _names(csr)
    if not dns_names and not ip_addresses:
        raise CsrError("the CSR has no domain and no IP address: add subjectAltNames")
    return SigningRequest(csr.public_bytes(serialization.Encoding.DER), dns_names, ip_addresses)


def _names(csr: x509.CertificateSigningRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    except UNREADABLE:
        raise CsrError("the extensions of the CSR cannot be read") from None
    if len(names) > _MAX_NAMES:
        raise CsrError(f"the CSR has {len(names)} names; the limit is {_MAX_NAMES}")
    dns_names = dict.fromkeys(name.lower() for name in names.get_values_for_type(x509.DNSName))
    ip_addresses = dict.fromkeys(str(address) for address in names.get_values_for_type(x509.IPAddress))
    # RFC 8555 section 7.4: CAs count the common name among the identifiers of the request.
    for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        name = str(attribute.value).lower()
        if name and name not in ip_addresses:
            dns_names.setdefault(name)
    return tuple(dns_names), tuple(ip_addresses)
