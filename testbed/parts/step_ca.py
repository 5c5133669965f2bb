"""step-ca, a second ACME CA: other code, other habits than Pebble."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from testbed.part import Part, Site
from testbed.parts.pebble import DISCARD_PORT
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.parts.bind import Bind

PROVISIONER = "bed"
LIFETIME = timedelta(days=30)


class StepCa(Part):
    """A CA that keeps accounts and orders in its folder, and issues certificates for a day.

    Args:
        site: What the bed provides.
        bind: Its validations ask it.
        http_port: Of http-01 validations; None for a port where nothing listens.
        tls_port: Of tls-alpn-01 validations; likewise.
    """

    program = "step-ca"
    port_names = ("acme",)

    def __init__(self, site: Site, *, bind: Bind, http_port: int | None = None, tls_port: int | None = None) -> None:
        super().__init__(site)
        self._bind = bind
        self._http_port = http_port or DISCARD_PORT
        self._tls_port = tls_port or DISCARD_PORT

    @property
    def directory_url(self) -> str:
        """Where ACME clients begin."""
        return f"https://{LOOPBACK}:{self.ports['acme']}/acme/{PROVISIONER}/directory"

    @property
    def ca_bundle(self) -> Path:
        """File with its root, from which its own TLS certificate is as well."""
        return self.folder / "root.crt"

    @property
    def ca_bundle_pem(self) -> bytes:
        """The content of `ca_bundle`."""
        return self.ca_bundle.read_bytes()

    def command(self) -> Sequence[str | Path]:
        """Write the configuration and return the command line."""
        if not self.ca_bundle.exists():
            self._make_hierarchy()
        path = self.folder / "ca.json"
        path.write_text(json.dumps(self._configuration(), indent=2))
        return [
            self.site.programs["step-ca"],
            "-config",
            path,
            "-resolver",
            self._bind.address,
            "-acme-http-port",
            str(self._http_port),
            "-acme-tls-port",
            str(self._tls_port),
        ]

    def ready(self) -> bool:
        """Ask for the directory."""
        context = self.site.authority.client_context()
        context.load_verify_locations(self.ca_bundle)
        return answers(self.directory_url, tls=context)

    def _configuration(self) -> dict[str, object]:
        return {
            "root": str(self.ca_bundle),
            "crt": str(self.folder / "intermediate.crt"),
            "key": str(self.folder / "intermediate.key"),
            "address": f"{LOOPBACK}:{self.ports['acme']}",
            "dnsNames": [LOOPBACK],
            "logger": {"format": "text"},
            "db": {"type": "bbolt", "dataSource": str(self.folder / "db")},
            "authority": {"provisioners": [{"type": "ACME", "name": PROVISIONER}]},
        }

    def _make_hierarchy(self) -> None:
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _authority("Step Root", root_key, "Step Root", root_key, path_length=1)
        intermediate = _authority("Step Intermediate", key, "Step Root", root_key, path_length=0)
        self.ca_bundle.write_bytes(root.public_bytes(Encoding.PEM))
        (self.folder / "intermediate.crt").write_bytes(intermediate.public_bytes(Encoding.PEM))
        key_path = self.folder / "intermediate.key"
        key_path.touch(mode=0o600)
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def _authority(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, *, path_length: int
) -> x509.Certificate:
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
