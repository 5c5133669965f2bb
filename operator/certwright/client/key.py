"""The key of a certificate and the request for it, made while other things happen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from certwright.acme import AccountKey, Identifier, InvalidIdentifier
from certwright.acme.identifier import canonical
from certwright.client.errors import InvalidPrivateKey, KeyReused
from certwright.pki import (
    CertificateContents,
    KeyAlgorithm,
    PkiError,
    PrivateKey,
    SigningRequest,
    build_csr,
    generate_private_key,
    load_private_key,
    private_key_to_pem,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class KeySpec:
    """A private key to be made.

    Attributes:
        algorithm: `ECDSA`, `RSA` or `Ed25519`, which public CAs do not take yet.
        size: In bits: 256, 384 or 521 for ECDSA; 2048, 3072, 4096 or 8192 for RSA; None for the default,
            256 and 2048.
    """

    algorithm: KeyAlgorithm = "ECDSA"
    size: int | None = None

    def make(self) -> PrivateKey:
        """Make the key; an RSA key of 4096 bits takes a second, of 8192 half a minute.

        Raises:
            InvalidPrivateKey: There is no such algorithm or size.
        """
        try:
            return generate_private_key(self.algorithm, self.size)
        except PkiError as error:
            raise InvalidPrivateKey(f"Cannot generate the key: {error}") from error


CertificateKey: TypeAlias = KeySpec | PrivateKey | bytes | SigningRequest
"""The key of a certificate: one to be made, an existing one, one in PEM, or a request made with one kept elsewhere."""


def private_key_of(key: KeySpec | PrivateKey | bytes) -> PrivateKey:
    """Make or load a key.

    Raises:
        InvalidPrivateKey: It cannot be. The message quotes nothing of it.
    """
    if isinstance(key, KeySpec):
        return key.make()
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        return key
    given: object = key
    if not isinstance(given, bytes):
        raise InvalidPrivateKey(
            f"The key of the certificate cannot be a {type(given).__name__}: give its PEM as bytes, a key of the"
            " cryptography library, or a KeySpec"
        )
    try:
        return load_private_key(given)
    except PkiError as error:
        raise InvalidPrivateKey(f"The key of the certificate cannot be used: {error}") from None


RequestTask: TypeAlias = asyncio.Task[tuple[PrivateKey | SigningRequest, bytes]]
"""Ends with the key, or the request that stands for it, and the request in DER."""


def start_request(
    key: CertificateKey,
    identifiers: Sequence[Identifier],
    *,
    common_name: str | None,
    account_key: AccountKey,
    contents: CertificateContents | None = None,
) -> RequestTask:
    """Start to make key and request: in a thread what may be RSA and take long, else at once."""
    request = asyncio.create_task(_make_request(key, identifiers, common_name, account_key, contents))
    request.add_done_callback(_retrieve)
    return request


def takes_long(key: CertificateKey) -> bool:
    """Whether making the key takes so long that something else should be done meanwhile."""
    return isinstance(key, KeySpec) and key.algorithm == "RSA"


async def _make_request(
    key: CertificateKey,
    identifiers: Sequence[Identifier],
    common_name: str | None,
    account_key: AccountKey,
    contents: CertificateContents | None = None,
) -> tuple[PrivateKey | SigningRequest, bytes]:
    if isinstance(key, KeySpec) and not takes_long(key):
        # A tenth of a millisecond: a thread costs more.
        return make_request(key, identifiers, common_name, account_key, contents)
    return await asyncio.to_thread(make_request, key, identifiers, common_name, account_key, contents)


def make_request(
    key: CertificateKey,
    identifiers: Sequence[Identifier],
    common_name: str | None,
    account_key: AccountKey,
    contents: CertificateContents | None = None,
) -> tuple[PrivateKey | SigningRequest, bytes]:
    """Make the key, unless it is there, and a request for exactly these identifiers (RFC 8555 section 7.4).

    Raises:
        InvalidPrivateKey: The key cannot be read or made.
        KeyReused: The key, or the one of the request, is the account's.
        InvalidIdentifier: There is no identifier, or the common name is none of them, or the request is for others.
    """
    if isinstance(key, SigningRequest):
        wanted = {canonical(identifier) for identifier in identifiers}
        if account_key.belongs_to(key.public_key()):
            raise KeyReused("The CSR is for the account key; use a different key")
        if {*map(Identifier.dns, key.dns_names), *map(Identifier.ip, key.ip_addresses)} != wanted:
            raise InvalidIdentifier("The names in the CSR differ from those in the order")
        return key, key.der
    private_key = private_key_of(key)
    if account_key.belongs_to(private_key.public_key()):
        raise KeyReused("The key of the certificate is the account key; use a different key")
    try:
        return private_key, csr_for(private_key, identifiers, common_name, contents)
    except PkiError as error:
        raise InvalidIdentifier(f"Cannot create the CSR: {error}") from error


def csr_for(
    private_key: PrivateKey,
    identifiers: Sequence[Identifier],
    common_name: str | None,
    contents: CertificateContents | None,
) -> bytes:
    """Return the CSR for exactly these identifiers, DER. Raises `PkiError`."""
    return build_csr(
        private_key,
        dns_names=values(identifiers, "dns"),
        ip_addresses=values(identifiers, "ip"),
        common_name=common_name,
        contents=contents,
    )


def values(identifiers: Sequence[Identifier], kind: str) -> list[str]:
    """Return the values of the identifiers of one type."""
    return [identifier.value for identifier in identifiers if identifier.type == kind]


def exported(private_key: PrivateKey) -> bytes:
    """Return a key in PEM (PKCS #8); empty if it cannot leave the device or service that signs with it."""
    try:
        return private_key_to_pem(private_key)
    except Exception:  # noqa: BLE001 - whatever the object of another library says of that
        return b""


def _retrieve(request: RequestTask) -> None:
    """Retrieve an error that no task waits for any more, so that asyncio does not complain about it."""
    if not request.cancelled():
        request.exception()
