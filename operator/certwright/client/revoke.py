"""The revocation of a certificate in PEM, by whichever key there is."""

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
        client: The account that issued it; with `key` one without an account does as well.
        certificate_pem: The certificate, with or without its chain.
        key: The certificate's own private key in PEM, for when the account is not at hand; None uses the account.
        reason: Why; None says nothing.

    Returns:
        True if it is revoked now, False if it was before.

    Raises:
        InvalidCertificate: It is no certificate.
        InvalidPrivateKey: The key cannot be read.
        Unauthorized: The key or the account may not revoke it.
        AcmeError: As by `CertificateClient.revoke_certificate`.
    """
    certificate = leaf_der(certificate_pem)
    if key is None:
        return await client.revoke_certificate(certificate, reason=reason)
    return await revoke_with_certificate_key(client.server, certificate, private_key_of(key), reason=reason)
