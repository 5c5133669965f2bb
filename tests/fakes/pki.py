"""A small CA: real chains, with whatever defect a test wants."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.pki import PrivateKey

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class Ca:
    """A CA certificate and the key to issue with."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @staticmethod
    def spoilt(certificate: x509.Certificate, part: str) -> bytes:
        """A certificate in PEM with a part that cannot be read: its `version`, or the name of its `issuer`."""
        old, new = {
            "version": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"),
            # A UTF8String that is none; the issuer comes before the subject.
            "issuer": (b"\x0c\x04Root", b"\x0c\x04\xff\xff\xff\xff"),
        }[part]
        der = certificate.public_bytes(serialization.Encoding.DER)
        assert old in der
        text = base64.encodebytes(der.replace(old, new, 1))
        return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"

    @staticmethod
    def pem(*certificates: x509.Certificate) -> bytes:
        return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)

    def issue(
        self,
        key: PrivateKey,
        dns_names: Sequence[str] = ("a.example.test",),
        ip_addresses: Sequence[str] = (),
        *,
        not_before: datetime = NOW - timedelta(hours=1),
        not_after: datetime = NOW + timedelta(days=90),
        serial: int | None = None,
    ) -> x509.Certificate:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns_names]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ip_addresses]
        builder = _builder(x509.Name([]), self.name, not_before, not_after, serial).public_key(key.public_key())
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        return builder.sign(self.key, hashes.SHA256())


def make_ca(name: str, parent: Ca | None = None) -> Ca:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    key = ec.generate_private_key(ec.SECP256R1())
    life = (NOW - timedelta(days=1000), NOW + timedelta(days=1000))
    builder = _builder(subject, parent.name if parent else subject, *life).public_key(key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return Ca(subject, key, builder.sign(parent.key if parent else key, hashes.SHA256()))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    not_before: datetime,
    not_after: datetime,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


@pytest.fixture(scope="session")
def now() -> datetime:
    """The present, as the certificates of these tests see it."""
    return NOW


@pytest.fixture(scope="session")
def root() -> Ca:
    return make_ca("Root")


@pytest.fixture(scope="session")
def intermediate(root: Ca) -> Ca:
    return make_ca("Intermediate", root)


@pytest.fixture(scope="session")
def other_ca() -> Ca:
    return make_ca("Another CA")
