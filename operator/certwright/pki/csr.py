"""Certificate signing requests (RFC 2986) as RFC 8555 section 7.4 requires them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from certwright.pki.contents import CertificateContents
from certwright.pki.errors import CsrError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.key_file import PrivateKey

# ub-common-name, RFC 5280 appendix A.1.
MAX_COMMON_NAME = 64


def build_csr(
    key: PrivateKey,
    *,
    dns_names: Sequence[str],
    ip_addresses: Sequence[str] = (),
    common_name: str | None = None,
    contents: CertificateContents | None = None,
) -> bytes:
    """Create a signing request for a key.

    Args:
        key: The key to certify; it signs the request.
        dns_names: As A-labels; `*.example.com` for a wildcard. Duplicates are dropped.
        ip_addresses: IPv4 or IPv6 addresses in text form.
        common_name: The subject's CN, a DNS name or an address; None for an empty subject, which CAs prefer.
        contents: Additional contents: subject fields, usages, URIs, e-mail addresses.

    Returns:
        The request in DER, with the names in its subjectAltName extension in the given order.

    Raises:
        CsrError: There are no names, or a name is invalid; the common name is not one of the names or is longer than 64
            characters; or the contents are invalid.
    """
    wanted = contents or CertificateContents()
    names = [*general_names(dns_names, ip_addresses), *wanted.other_names()]
    subject = wanted.name(_common_name(common_name, [str(name.value) for name in names]))
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    # RFC 5280 section 4.1.2.6: with an empty subject, the names must be critical.
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not list(subject))
    for extension, critical in wanted.extensions():
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, digest_for(key)).public_bytes(serialization.Encoding.DER)


def general_names(dns_names: Sequence[str], ip_addresses: Sequence[str]) -> list[x509.GeneralName]:
    """Return names and addresses for the subjectAltName, without duplicates.

    Raises:
        CsrError: There are no names, or a name is invalid.
    """
    if not dns_names and not ip_addresses:
        raise CsrError("a certificate needs at least one DNS name or IP address")
    names: list[x509.GeneralName] = []
    for name in dict.fromkeys(map(str.lower, dns_names)):
        try:
            names.append(x509.DNSName(name))
        except ValueError:
            raise CsrError(f"{name!r} is not ASCII: write internationalized names as A-labels (xn--...)") from None
        if not name:
            raise CsrError("an empty text is not a DNS name")
    for text in ip_addresses:
        try:
            address = x509.IPAddress(ipaddress.ip_address(text))
        except ValueError:
            raise CsrError(f"{text!r} is not an IP address") from None
        if address not in names:
            names.append(address)
    return names


def _common_name(common_name: str | None, names: Sequence[str]) -> str | None:
    if not common_name:
        return None
    if len(common_name) > MAX_COMMON_NAME:
        raise CsrError(
            f"the common name {common_name!r} has {len(common_name)} characters; {MAX_COMMON_NAME} fit: "
            "choose a shorter name or leave it out"
        )
    if common_name.lower() not in names:
        raise CsrError(f"the common name {common_name!r} must be one of the names of the certificate")
    return common_name.lower()


def digest_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Return the hash algorithm for signatures by this kind of key; None for Ed25519, which has its own."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if isinstance(key.curve, ec.SECP384R1):
            return hashes.SHA384()
        if isinstance(key.curve, ec.SECP521R1):
            return hashes.SHA512()
    return hashes.SHA256()
