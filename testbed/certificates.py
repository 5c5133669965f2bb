"""The bed's own certificate authority, for the parts' TLS and for clients of the API server."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIFETIME = timedelta(days=30)
SERVER_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class KeyPair:
    """Paths of a PEM certificate and its PEM private key."""

    certificate: Path
    key: Path


class BedAuthority:
    """A CA in a folder: created on first use, read again by a process that attaches to the bed.

    Args:
        folder: holds `ca.crt`, `ca.key` and what is issued.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate_path = folder / "ca.crt"
        key_path = folder / "ca.key"
        if not key_path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            key = ec.generate_private_key(ec.SECP256R1())
            _write(key_path, _private_pem(key), private=True)
            self.certificate_path.write_bytes(_self_signed(key).public_bytes(Encoding.PEM))
        loaded = load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_path} holds no EC key")
        self._key = loaded
        self._certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())

    @property
    def pem(self) -> bytes:
        """The CA certificate as PEM."""
        return self.certificate_path.read_bytes()

    def server(self, name: str, names: Sequence[str] = ()) -> KeyPair:
        """Issue a server certificate for loopback and `names` (DNS names or IP addresses)."""
        alternatives: list[x509.GeneralName] = []
        for entry in dict.fromkeys((*SERVER_NAMES, *names)):
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(entry)))
            except ValueError:
                alternatives.append(x509.DNSName(entry))
        return self._issue(name, name, (), ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """Issue a client certificate that the API server accepts as `user` in `groups`."""
        return self._issue(
            f"client-{user.replace(':', '-').replace('/', '-')}",
            user,
            groups,
            ExtendedKeyUsageOID.CLIENT_AUTH,
            (),
        )

    def client_context(self, client: KeyPair | None = None) -> ssl.SSLContext:
        """Return TLS settings that trust this CA, with a client certificate if given."""
        context = ssl.create_default_context(cafile=str(self.certificate_path))
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context

    def server_context(self, server: KeyPair) -> ssl.SSLContext:
        """Return TLS settings of a server with the given certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(server.certificate, server.key)
        return context

    def _issue(
        self,
        file: str,
        common_name: str,
        groups: Sequence[str],
        usage: x509.ObjectIdentifier,
        names: Sequence[x509.GeneralName],
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([*subject, x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        pair = KeyPair(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        _write(pair.key, _private_pem(key), private=True)
        pair.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return pair


def write_signing_key(private: Path, public: Path) -> None:
    """Write an RSA key pair, with which the API server signs service account tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write(private, _private_pem(key), private=True)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test bed CA")])
    usage = dict.fromkeys(
        [
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, *, private: bool = False) -> None:
    path.touch(mode=0o600 if private else 0o644)
    path.write_bytes(content)
