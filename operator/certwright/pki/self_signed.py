"""Self-signed certificates: a placeholder for servers that do not start without a certificate."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certwright.pki.csr import digest_for, general_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.key_file import PrivateKey

LASTS: Final = dt.timedelta(days=90)
SKEW: Final = dt.timedelta(hours=1)
"""How far the certificate is backdated, because clients' clocks may be behind."""
ORGANIZATION: Final = "temporary certificate of Certwright"
"""The whole subject and issuer: a readable text instead of a domain, which may be too long for it."""


def self_signed(
    key: PrivateKey, *, dns_names: Sequence[str], ip_addresses: Sequence[str] = (), now: dt.datetime
) -> bytes:
    """Return a self-signed certificate in PEM, valid for 90 days, for servers only.

    Args:
        key: Its key, which signs it.
        dns_names: As A-labels; `*.example.com` for a wildcard.
        ip_addresses: IPv4 or IPv6 addresses in text form.
        now: The current time.

    Raises:
        CsrError: There are no names, or a name is invalid.
    """
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LASTS)
        .add_extension(x509.SubjectAlternativeName(general_names(dns_names, ip_addresses)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, digest_for(key)).public_bytes(serialization.Encoding.PEM)
