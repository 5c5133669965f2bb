"""Taking a certificate back before its time (RFC 8555 section 7.6)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from certwright.acme import base64url
from certwright.acme.directory import offered
from certwright.acme.key import AccountKey
from certwright.acme.problem_error import AlreadyRevoked

if TYPE_CHECKING:
    from certwright.acme.key import SigningKey
    from certwright.acme.server import AcmeServer


class RevocationReason(IntEnum):
    """Why a certificate is revoked (RFC 5280 section 5.3.1).

    Most public CAs take 0, 1, 3, 4, 5 and 9 from subscribers and refuse the rest.
    """

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    CA_COMPROMISE = 2
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    CERTIFICATE_HOLD = 6
    REMOVE_FROM_CRL = 8
    PRIVILEGE_WITHDRAWN = 9
    AA_COMPROMISE = 10


async def revoke(
    server: AcmeServer, certificate_der: bytes, *, key: AccountKey, kid: str | None, reason: RevocationReason | None
) -> bool:
    """Revoke a certificate with whichever key is entitled to: `kid` is None for the certificate's own.

    Returns:
        True if it is revoked now, False if it was before.

    Raises:
        NotOffered: The server revokes nothing.
        Unauthorized: The key is neither the certificate's nor that of an account entitled to it.
        BadRevocationReason: The server does not take this reason.
    """
    directory = await server.directory()
    url = offered(directory.revoke_cert, "revokeCert", directory)
    payload: dict[str, Any] = {"certificate": base64url.encode(certificate_der)}
    if reason is not None:
        payload["reason"] = int(reason)
    try:
        # Repeatable: the second time says alreadyRevoked.
        await server.post("revokeCert", url, payload, key=key, kid=kid, repeatable=True)
    except AlreadyRevoked:
        return False
    return True


async def revoke_with_certificate_key(
    server: AcmeServer,
    certificate_der: bytes,
    private_key: SigningKey,
    *,
    reason: RevocationReason | None = RevocationReason.KEY_COMPROMISE,
) -> bool:
    """Revoke a certificate by its own private key; no account is needed, so whoever found the key can do it.

    Returns:
        True if it is revoked now, False if it was before.

    Raises:
        NotOffered: The server revokes nothing.
        Unauthorized: The key is not the certificate's.
        BadRevocationReason: The server does not take this reason.
    """
    return await revoke(server, certificate_der, key=AccountKey(private_key), kid=None, reason=reason)
