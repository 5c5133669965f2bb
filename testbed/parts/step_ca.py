"""step-ca, a second ACME CA: other code, other habits than Pebble."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from testbed.parts.bind import Bind

DEFAULTS: Final[Mapping[str, Any]] = {
    "logger": {"format": "text"},
    "db": {"type": "bbolt"},
    "authority": {"provisioners": [{"type": "ACME", "name": "bed"}]},
}
LIFETIME = timedelta(days=30)


class StepCa(Part):
    """A CA that keeps accounts and orders in its folder, and issues certificates for a day.

    Args:
        site: What the bed provides.
        bind: Its validations ask it.
        http_port: Of http-01 validations; None for a port where nothing listens.
        tls_port: Of tls-alpn-01 validations; likewise.
        configuration: What else it is configured with, in the place of the bed's own; where files and ports are is
            always the bed's. What names one file as root and as its own certificate has no intermediate.
    """

    program = "step-ca"
    port_names = ("acme",)

    def __init__(
        self,
        site: Site,
        *,
        bind: Bind,
        http_port: int | None = None,
        tls_port: int | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(site)
        self._given = {**DEFAULTS, **(configuration or {})}
        self._bind = bind
        self._http_port = http_port or DISCARD_PORT
        self._tls_port = tls_port or DISCARD_PORT

    @property
    def directory_url(self) -> str:
        """Where ACME clients begin."""
        provisioner = self._given["authority"]["provisioners"][0]["name"]
        return f"https://{LOOPBACK}:{self.ports['acme']}/acme/{provisioner}/directory"

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
        is_root = "crt" in self._given and self._given["crt"] == self._given["root"]
        own = "root" if is_root else "intermediate"
        return {
            **self._given,
            "root": str(self.ca_bundle),
            "crt": str(self.folder / f"{own}.crt"),
            "key": str(self.folder / f"{own}.key"),
            "address": f"{LOOPBACK}:{self.ports['acme']}",
            "dnsNames": [LOOPBACK],
            "db": {**self._given["db"], "dataSource": str(self.folder / "db")},
        }

    def _make_hierarchy(self) -> None:
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _authority("Step Root", root_key, "Step Root", root_key, path_length=1)
        intermediate = _authority("Step Intermediate", key, "Step Root", root_key, path_length=0)
        self.ca_bundle.write_bytes(root.public_bytes(Encoding.PEM))
        (self.folder / "intermediate.crt").write_bytes(intermediate.public_bytes(Encoding.PEM))
        for name, one in (("root", root_key), ("intermediate", key)):
            key_path = self.folder / f"{name}.key"
            key_path.touch(mode=0o600)
            key_path.write_bytes(one.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


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
