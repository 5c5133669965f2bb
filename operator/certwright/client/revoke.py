"""Revoke a certificate in PEM, with the account key or its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.acme import revoke_with_certificate_key
from certwright.client.certificate import leaf_der
from certwright.client.key import private_key_of

if TYPE_CHECKING:
    from certwright.acme import Client, RevocationReason


async def revoke(
    client: Client, certificate_pem: bytes, *, key: bytes | None = None, reason: RevocationReason | None = None
) -> bool:
    """Revoke a certificate (RFC 8555 section 7.6).

    Args:
        client: A client with the account that issued the certificate; with `key`, it needs no account.
        certificate_pem: The certificate, with or without its chain.
        key: The certificate's own private key in PEM, if the account is not available; None uses the account key.
        reason: The reason, or None to give none.

    Returns:
        True if this call revoked it, False if it was already revoked.

    Raises:
        InvalidCertificate: The text is not a certificate.
        InvalidPrivateKey: The key cannot be read.
        Unauthorized: The key or the account may not revoke it.
        AcmeError: See `CertificateClient.revoke_certificate`.
    """
    certificate = leaf_der(certificate_pem)
    if key is None:
        return await client.revoke_certificate(certificate, reason=reason)
    return await revoke_with_certificate_key(client.server, certificate, private_key_of(key), reason=reason)
