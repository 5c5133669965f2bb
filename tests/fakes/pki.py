"""A small CA: real chains, with whatever defect a test wants."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.pki import PrivateKey

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LEAF_FROM = datetime(2026, 3, 1, 12, tzinfo=UTC)


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
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> x509.Certificate:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns_names]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ip_addresses]
        builder = _builder(x509.Name([]), self.name, not_before, not_after, serial).public_key(key.public_key())
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())


def make_ca(
    name: str,
    parent: Ca | None = None,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    not_after: datetime = NOW + timedelta(days=1000),
) -> Ca:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    key = key or ec.generate_private_key(ec.SECP256R1())
    life = (NOW - timedelta(days=1000), not_after)
    builder = _builder(subject, parent.name if parent else subject, *life).public_key(key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return Ca(subject, key, builder.sign(parent.key if parent else key, hashes.SHA256()))


def signed_with(digest: hashes.HashAlgorithm, key: PrivateKey) -> tuple[x509.Certificate, ...]:
    """Return a leaf for the key, its RSA intermediate and its root; both of these signed with this digest.

    By hand, as `cryptography` does not sign with SHA-1 any more.
    """
    root_key, issuing_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    root_name, issuing_name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Old", "Newer"))
    life = (NOW - timedelta(days=1000), NOW + timedelta(days=1000))
    root, intermediate = (
        _resigned(
            _builder(name, root_name, *life)
            .public_key(public.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(root_key, hashes.SHA256()),
            root_key,
            digest,
        )
        for name, public in ((root_name, root_key), (issuing_name, issuing_key))
    )
    leaf = _builder(x509.Name([]), issuing_name, *life).public_key(key.public_key())
    return leaf.sign(issuing_key, hashes.SHA256()), intermediate, root


def _resigned(certificate: x509.Certificate, key: rsa.RSAPrivateKey, digest: hashes.HashAlgorithm) -> x509.Certificate:
    sha256, wanted = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
    if isinstance(digest, hashes.SHA256):
        return certificate
    signed = certificate.tbs_certificate_bytes.replace(sha256, wanted)
    signature = key.sign(signed, padding.PKCS1v15(), digest)
    der = certificate.public_bytes(serialization.Encoding.DER)
    der = der.replace(certificate.tbs_certificate_bytes, signed).replace(sha256, wanted)
    return x509.load_der_x509_certificate(der.replace(certificate.signature, signature))


def make_leaf(
    *, serial: int = 0x87654321, issuer: str = "Intermediate", subject: str = "leaf", key_id: bytes | None = None
) -> bytes:
    """Return a certificate in DER whose chain does not matter."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(LEAF_FROM)
        .not_valid_after(LEAF_FROM + timedelta(days=90))
    )
    if "." in subject:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    if key_id is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(key_id, None, None), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


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
