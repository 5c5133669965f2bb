"""The key of a certificate and its CSR, generated while other work goes on."""

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
    """A private key to generate.

    Attributes:
        algorithm: `ECDSA`, `RSA` or `Ed25519`; public CAs do not accept Ed25519 yet.
        size: Bits: 256, 384 or 521 for ECDSA; 2048, 3072, 4096 or 8192 for RSA; None for the default of 256 or
            2048.
    """

    algorithm: KeyAlgorithm = "ECDSA"
    size: int | None = None

    def make(self) -> PrivateKey:
        """Generate the key. An RSA key of 4096 bits takes a second, and one of 8192 bits half a minute.

        Raises:
            InvalidPrivateKey: There is no such algorithm or size.
        """
        try:
            return generate_private_key(self.algorithm, self.size)
        except PkiError as error:
            raise InvalidPrivateKey(f"Cannot generate the key: {error}") from error


CertificateKey: TypeAlias = KeySpec | PrivateKey | bytes | SigningRequest
"""The key of a certificate: one to generate, an existing one, one in PEM, or a CSR created with one kept elsewhere."""


def private_key_of(key: KeySpec | PrivateKey | bytes) -> PrivateKey:
    """Generate or load a key.

    Raises:
        InvalidPrivateKey: That is not possible. The message does not quote the key.
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
"""A task that returns the key (or the CSR given in its place), and the CSR in DER."""


def start_request(
    key: CertificateKey,
    identifiers: Sequence[Identifier],
    *,
    common_name: str | None,
    account_key: AccountKey,
    contents: CertificateContents | None = None,
) -> RequestTask:
    """Start to generate the key and the CSR: in a thread if that may take long (RSA), otherwise immediately."""
    request = asyncio.create_task(_make_request(key, identifiers, common_name, account_key, contents))
    request.add_done_callback(_retrieve)
    return request


def takes_long(key: CertificateKey) -> bool:
    """Return whether generating the key takes so long that other work should go on meanwhile."""
    return isinstance(key, KeySpec) and key.algorithm == "RSA"


async def _make_request(
    key: CertificateKey,
    identifiers: Sequence[Identifier],
    common_name: str | None,
    account_key: AccountKey,
    contents: CertificateContents | None = None,
) -> tuple[PrivateKey | SigningRequest, bytes]:
    if isinstance(key, KeySpec) and not takes_long(key):
        # This takes a tenth of a millisecond, less than starting a thread.
        return make_request(key, identifiers, common_name, account_key, contents)
    return await asyncio.to_thread(make_request, key, identifiers, common_name, account_key, contents)


def make_request(
    key: CertificateKey,
    identifiers: Sequence[Identifier],
    common_name: str | None,
    account_key: AccountKey,
    contents: CertificateContents | None = None,
) -> tuple[PrivateKey | SigningRequest, bytes]:
    """Generate the key, if needed, and a CSR for exactly these identifiers (RFC 8555 section 7.4).

    Raises:
        InvalidPrivateKey: The key cannot be read or generated.
        KeyReused: The key, or the key of the CSR, is the account key.
        InvalidIdentifier: There are no identifiers, the common name is not one of them, or the CSR is for others.
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
    """Retrieve an error that no task waits for any more, so that asyncio does not log it."""
    if not request.cancelled():
        request.exception()
