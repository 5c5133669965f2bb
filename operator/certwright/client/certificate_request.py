"""The key of a certificate and the request for it, made while other things happen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from certwright.acme import AccountKey, InvalidAccountKey, InvalidIdentifier
from certwright.client.certificate import KeySpec, private_key_of
from certwright.client.errors import KeyReused
from certwright.pki import PkiError, PrivateKey, SigningRequest, build_csr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme import Identifier
    from certwright.client.certificate import CertificateKey

#: Ends with the key, or the request that stands for it, and the request in DER.
RequestTask: TypeAlias = asyncio.Task[tuple[PrivateKey | SigningRequest, bytes]]


def start_request(
    key: CertificateKey, identifiers: Sequence[Identifier], *, common_name: str | None, account_key: AccountKey
) -> RequestTask:
    """Begin to make key and request: in a thread what may be RSA and take long, else at once."""
    request = asyncio.create_task(_make_request(key, identifiers, common_name, account_key))
    request.add_done_callback(_look_at)
    return request


def takes_long(key: CertificateKey) -> bool:
    """Whether making the key is worth doing something else meanwhile."""
    return isinstance(key, KeySpec) and key.algorithm == "RSA"


async def _make_request(
    key: CertificateKey, identifiers: Sequence[Identifier], common_name: str | None, account_key: AccountKey
) -> tuple[PrivateKey | SigningRequest, bytes]:
    if isinstance(key, KeySpec) and not takes_long(key):
        # A tenth of a millisecond: a thread costs more.
        return make_request(key, identifiers, common_name, account_key)
    return await asyncio.to_thread(make_request, key, identifiers, common_name, account_key)


def make_request(
    key: CertificateKey, identifiers: Sequence[Identifier], common_name: str | None, account_key: AccountKey
) -> tuple[PrivateKey | SigningRequest, bytes]:
    """Make the key, unless it is there, and a request for exactly these identifiers (RFC 8555 section 7.4).

    Raises:
        InvalidPrivateKey: The key cannot be read or made.
        KeyReused: The key is the account's.
        InvalidIdentifier: There is no identifier, or the common name is none of them, or the request is for others.
    """
    if isinstance(key, SigningRequest):
        if set(key.dns_names) | set(key.ip_addresses) != {identifier.value for identifier in identifiers}:
            raise InvalidIdentifier("The names in the CSR differ from those in the order")
        return key, key.der
    private_key = private_key_of(key)
    if _same(private_key, account_key):
        raise KeyReused("The key of the certificate is the account key; use a different key")
    try:
        csr = build_csr(
            private_key,
            dns_names=values(identifiers, "dns"),
            ip_addresses=values(identifiers, "ip"),
            common_name=common_name,
        )
    except PkiError as error:
        raise InvalidIdentifier(f"Cannot create the CSR: {error}") from error
    return private_key, csr


def values(identifiers: Sequence[Identifier], kind: str) -> list[str]:
    """Return the values of the identifiers of one type."""
    return [identifier.value for identifier in identifiers if identifier.type == kind]


def _same(private_key: PrivateKey, account_key: AccountKey) -> bool:
    try:
        return AccountKey(private_key) == account_key
    except InvalidAccountKey:
        return False


def _look_at(request: RequestTask) -> None:
    """Look at an error that nobody waits for any more, so that asyncio does not complain about it."""
    if not request.cancelled():
        request.exception()
