"""What comes out of an issuance, and the key that goes into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cryptography.hazmat.primitives import serialization

from certwright.acme import Identifier, InvalidCertificate
from certwright.client.errors import InvalidPrivateKey
from certwright.pki import (
    CertificateFacts,
    ChainError,
    KeyAlgorithm,
    PkiError,
    PrivateKey,
    SigningRequest,
    generate_private_key,
    load_private_key,
    parse_chain,
)

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme import RenewalInfo
    from certwright.pki import CertificateChain


@dataclass(frozen=True)
class KeySpec:
    """A private key to be made.

    Attributes:
        algorithm: `ECDSA`, `RSA` or `Ed25519`, which public CAs do not take yet.
        size: In bits: 256, 384 or 521 for ECDSA; 2048, 3072 or 4096 for RSA; None for the default, 256 and 2048.
    """

    algorithm: KeyAlgorithm = "ECDSA"
    size: int | None = None

    def make(self) -> PrivateKey:
        """Make the key; a large RSA key takes a second.

        Raises:
            InvalidPrivateKey: There is no such algorithm or size.
        """
        try:
            return generate_private_key(self.algorithm, self.size)
        except PkiError as error:
            raise InvalidPrivateKey(f"Cannot generate the key: {error}") from error


#: The key of a certificate: one to be made, one that there is, one in PEM, or a request made with one kept elsewhere.
CertificateKey: TypeAlias = KeySpec | PrivateKey | bytes | SigningRequest


def private_key_of(key: KeySpec | PrivateKey | bytes) -> PrivateKey:
    """Make or load a key.

    Raises:
        InvalidPrivateKey: It cannot be. The message quotes nothing of it.
    """
    if isinstance(key, KeySpec):
        return key.make()
    if not isinstance(key, bytes):
        return key
    try:
        return load_private_key(key)
    except PkiError as error:
        raise InvalidPrivateKey(f"The key of the certificate cannot be used: {error}") from None


def chain_of(pem: bytes) -> CertificateChain:
    """Read a chain in PEM, the end-entity certificate first.

    Raises:
        InvalidCertificate: It is none.
    """
    try:
        return parse_chain(pem)
    except ChainError as error:
        raise InvalidCertificate(f"Not a PEM certificate chain: {error}") from None


def leaf_der(pem: bytes) -> bytes:
    """Return the end-entity certificate of a chain in PEM as DER, as revocation and renewal information want it.

    Raises:
        InvalidCertificate: It is no chain.
    """
    return chain_of(pem).leaf.public_bytes(serialization.Encoding.DER)


def names_of(chain: CertificateChain) -> tuple[Identifier, ...]:
    """Return what a certificate is for.

    Raises:
        InvalidCertificate: Its extensions cannot be read.
    """
    try:
        facts = CertificateFacts.of(chain.leaf)
    except ChainError as error:
        raise InvalidCertificate(f"The certificate cannot be renewed: {error}") from error
    return (*map(Identifier.dns, facts.dns_names), *map(Identifier.ip, facts.ip_addresses))


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate, its key, and what is needed to renew or revoke it.

    Attributes:
        chain_pem: The certificate and its issuers, in the order TLS sends them.
        private_key_pem: Its private key, unencrypted PKCS #8; empty if a request was given in its place.
        identifiers: What it is for, as ordered.
        not_before: The first instant of its life, UTC.
        not_after: The last instant of its life, UTC.
        order_url: The order that it came from.
        certificate_url: Where the chain came from.
        alternate_urls: Other chains for it; see `CertificateClient.download_chain`.
        renewal_info: When the CA wants it renewed, or None if it does not say; then renew with a third of its life
            left.
        replaced: Whether the CA counts it as the renewal of the certificate that was given.
    """

    chain_pem: bytes = field(repr=False)
    private_key_pem: bytes = field(repr=False)
    identifiers: tuple[Identifier, ...]
    not_before: datetime
    not_after: datetime
    order_url: str
    certificate_url: str
    alternate_urls: tuple[str, ...] = ()
    renewal_info: RenewalInfo | None = None
    replaced: bool = False
