"""The certificate that an issuance returns, and functions that read certificates in PEM."""

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
        InvalidCertificate: The text is not a chain of certificates.
    """
    try:
        return parse_chain(pem)
    except ChainError as error:
        raise InvalidCertificate(f"Not a PEM certificate chain: {error}") from None


def leaf_der(pem: bytes) -> bytes:
    """Return the end-entity certificate of a chain in PEM as DER, for revocation and renewal information.

    Raises:
        InvalidCertificate: The text is not a chain of certificates.
    """
    return chain_of(pem).leaf.public_bytes(serialization.Encoding.DER)


def names_of(chain: CertificateChain) -> tuple[Identifier, ...]:
    """Return the domains and addresses in a certificate.

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
    """A certificate, its private key, and the data needed to renew or revoke it.

    Attributes:
        chain_pem: The certificate and its issuers, in the order that TLS servers send them.
        private_key_pem: Its private key, unencrypted PKCS #8; empty if a CSR was given instead of a key, or if the key
            cannot be exported.
        identifiers: Its domains and addresses, as ordered.
        not_before: The start of its validity, UTC.
        not_after: The end of its validity, UTC.
        order_url: The URL of its order.
        certificate_url: The URL from which the chain was downloaded.
        alternate_urls: The URLs of alternate chains; see `CertificateClient.download_chain`.
        renewal_info: When the CA suggests renewing it, or None if the CA has no suggestion; then renew it when one
            third of its lifetime remains.
        replaced: Whether the CA accepted it as the renewal of the certificate in `replaces`.
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
