"""A CA that signs whatever a fault needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LIFETIME = timedelta(days=90)


class Forger:
    """Makes chains that link properly, and whose leaves are wrong in just the way that was asked for."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def certificate(self) -> x509.Certificate:
        """Its own, self-signed certificate."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forger of the test bed")])
        return (
            _validity(x509.CertificateBuilder().subject_name(name).issuer_name(name), timedelta(), LIFETIME)
            .public_key(self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def chain(
        self,
        leaf: x509.Certificate,
        *,
        other_key: bool = False,
        names: tuple[str, ...] | None = None,
        begins: timedelta = timedelta(),
        lasts: timedelta = LIFETIME,
    ) -> bytes:
        """Return a chain in PEM like the one a leaf came in, but for some of it.

        Args:
            leaf: What Pebble issued; its key and names are taken over.
            other_key: certify a key that nobody asked for.
            names: these DNS names in place of the leaf's.
            begins: when its validity begins, from now.
            lasts: how long it is.
        """
        key = ec.generate_private_key(ec.SECP256R1()).public_key() if other_key else leaf.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise TypeError("the forger copies leaves for EC keys")
        if names is None:
            wanted = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        else:
            wanted = x509.SubjectAlternativeName(map(x509.DNSName, names))
        builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.certificate.subject)
        forged = (
            _validity(builder, begins, lasts)
            .public_key(key)
            .add_extension(wanted, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return forged.public_bytes(Encoding.PEM) + self.certificate.public_bytes(Encoding.PEM)

    def private_key_pem(self) -> bytes:
        """Return a private key that nobody uses, as a PEM block."""
        key = ec.generate_private_key(ec.SECP256R1())
        return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _validity(builder: x509.CertificateBuilder, begins: timedelta, lasts: timedelta) -> x509.CertificateBuilder:
    start = datetime.now(UTC) + begins
    return builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(start + lasts)
