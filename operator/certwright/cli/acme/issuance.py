"""One issuance: what `issue` and `renew` have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme import KNOWN_AUTHORITIES, directory_url
from certwright.cli.acme.certificate_store import CERTIFICATE, CHAIN, ISSUERS, KEY, KEYSTORE, REQUEST
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.recipe import KeyType, Metadata
from certwright.cli.acme.session import server_name
from certwright.client import (
    BudgetWaited,
    CaaObjected,
    CleanUpFailed,
    KeySpec,
    RenewalInfoUnavailable,
    ReplacementRefused,
)
from certwright.pki import CertificateFacts, SigningRequest, parse_chain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.acme import Client
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.keystore import Keystore
    from certwright.cli.acme.output import Output
    from certwright.cli.acme.recipe import Recipe
    from certwright.client import CertificateKey, Event, IssuedCertificate, OnEvent

_SPECS: Final[Mapping[str, KeySpec]] = {
    KeyType.EC256: KeySpec("ECDSA", 256),
    KeyType.EC384: KeySpec("ECDSA", 384),
    KeyType.EC521: KeySpec("ECDSA", 521),
    KeyType.RSA2048: KeySpec("RSA", 2048),
    KeyType.RSA3072: KeySpec("RSA", 3072),
    KeyType.RSA4096: KeySpec("RSA", 4096),
    KeyType.ED25519: KeySpec("Ed25519"),
}
_NOTEWORTHY: Final = (BudgetWaited, CaaObjected, CleanUpFailed, RenewalInfoUnavailable, ReplacementRefused)


def key_spec(key_type: str) -> KeySpec:
    """Return what kind of key is to be made.

    Raises:
        UsageError: There is no such kind.
    """
    try:
        return _SPECS[key_type]
    except KeyError:
        raise UsageError(f"There is no key type {key_type!r}: use {', '.join(_SPECS)}") from None


def progress(output: Output) -> OnEvent:
    """Return what tells people of the events of an issuance."""

    def tell(event: Event) -> None:
        (output.warn if isinstance(event, _NOTEWORTHY) else output.say)(str(event))

    return tell


def staging_of(server: str) -> str:
    """Return the directory URL of the CA at which a dry run is made.

    Raises:
        UsageError: There is none for this CA.
    """
    known = next((known for known in KNOWN_AUTHORITIES.values() if known.directory_url == server), None)
    if known is not None and not known.trusted:
        return server
    if known is not None and f"{known.name}-staging" in KNOWN_AUTHORITIES:
        return directory_url(f"{known.name}-staging")
    raise UsageError(f"No staging CA of {server_name(server)} is known here: give one with --staging-server")


def keep(
    folder: CertificateFolder,
    recipe: Recipe,
    issued: IssuedCertificate,
    key: CertificateKey,
    client: Client,
    *,
    keystore: Keystore | None,
) -> Metadata:
    """Write a certificate and everything that belongs to it, in one step; see `CertificateFolder.store`."""
    chain = parse_chain(issued.chain_pem)
    facts = CertificateFacts.of(chain.leaf)
    files = {CHAIN: chain.pem, CERTIFICATE: chain.leaf.public_bytes(Encoding.PEM)}
    if chain.issuers:
        files[ISSUERS] = b"".join(issuer.public_bytes(Encoding.PEM) for issuer in chain.issuers)
    if issued.private_key_pem:
        files[KEY] = issued.private_key_pem
        if recipe.combined:
            files["combined.pem"] = issued.private_key_pem + chain.pem
        if keystore is not None:
            files[KEYSTORE] = keystore.content(folder.name, issued.private_key_pem, chain)
    if isinstance(key, SigningRequest):
        files[REQUEST] = key.to_pem()
    metadata = Metadata(
        recipe=recipe,
        issued_at=datetime.now(UTC).replace(microsecond=0),
        not_before=facts.not_before,
        not_after=facts.not_after,
        serial=facts.serial,
        order_url=issued.order_url,
        certificate_url=issued.certificate_url,
        account_url=client.account_url or "",
        replaced=issued.replaced,
    )
    folder.store(files, metadata)
    return metadata


def document_of(folder: CertificateFolder, metadata: Metadata, renew_at: datetime) -> dict[str, Any]:
    """Return a certificate as machines read it; docs/cli.md has the shape."""
    recipe = metadata.recipe
    return {
        "name": folder.name,
        "names": list(recipe.names),
        "server": recipe.server,
        "serial": metadata.serial,
        "not_before": metadata.not_before,
        "not_after": metadata.not_after,
        "renew_at": renew_at,
        "key_type": None if recipe.from_request else recipe.key_type,
        "profile": recipe.profile,
        "preferred_chain": recipe.preferred_chain,
        "solvers": list(recipe.solver.solvers),
        "order_url": metadata.order_url,
        "replaced": metadata.replaced,
        "files": folder.files(),
    }


def lines_of(folder: CertificateFolder, metadata: Metadata, renew_at: datetime) -> list[str]:
    """Return a certificate as people read it."""
    return [
        f"Names:      {', '.join(metadata.recipe.names)}",
        f"CA:         {server_name(metadata.recipe.server)}",
        f"Valid:      {metadata.not_before:%Y-%m-%d %H:%M} to {metadata.not_after:%Y-%m-%d %H:%M} UTC",
        f"Renew at:   {renew_at:%Y-%m-%d %H:%M} UTC",
        *(f"{f'{name}:':<12}{path}" for name, path in folder.files().items()),
    ]
