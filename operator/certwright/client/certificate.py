"""The certificate that an issuance returns, and what can be read from one in PEM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from certwright.acme import Identifier, InvalidCertificate
from certwright.pki import CertificateFacts, ChainError, parse_chain

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme import RenewalInfo
    from certwright.pki import CertificateChain


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
    """Return the end-entity certificate of a chain in PEM as DER, as revocation and renewal information need it.

    Raises:
        InvalidCertificate: It is no chain.
    """
    return chain_of(pem).leaf.public_bytes(serialization.Encoding.DER)


def names_of(chain: CertificateChain) -> tuple[Identifier, ...]:
    """Return the identifiers that a certificate is for.

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
        private_key_pem: Its private key, unencrypted PKCS #8; empty if a request was given in its place, or a key that
            cannot be exported.
        identifiers: What it is for, as ordered.
        not_before: When it begins to be valid, UTC.
        not_after: When it ends to be valid, UTC.
        order_url: The order that it came from.
        certificate_url: Where the chain came from.
        alternate_urls: Other chains for it; see `CertificateClient.download_chain`.
        renewal_info: When the CA wants it renewed, or None if it does not say; then renew it when one third of its
            lifetime remains.
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
