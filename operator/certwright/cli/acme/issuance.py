"""What `issue` and `renew` have in common: key types, staging CAs, and how a certificate is saved and shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme import KNOWN_AUTHORITIES, directory_url
from certwright.cli.acme.certificate_store import CERTIFICATE, CHAIN, ISSUERS, KEY, KEYSTORE, REQUEST
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.session import server_name
from certwright.cli.acme.settings import KeyType, Metadata
from certwright.client import KeySpec
from certwright.pki import CertificateContents, CertificateFacts, PkiError, SigningRequest, parse_chain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.acme import Client
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.keystore import Keystore
    from certwright.cli.acme.output import Output
    from certwright.cli.acme.settings import IssuanceSettings
    from certwright.client import CertificateKey, IssuedCertificate

_KEY_SPECS: Final[Mapping[str, KeySpec]] = {
    KeyType.EC256: KeySpec("ECDSA", 256),
    KeyType.EC384: KeySpec("ECDSA", 384),
    KeyType.EC521: KeySpec("ECDSA", 521),
    KeyType.RSA2048: KeySpec("RSA", 2048),
    KeyType.RSA3072: KeySpec("RSA", 3072),
    KeyType.RSA4096: KeySpec("RSA", 4096),
    KeyType.RSA8192: KeySpec("RSA", 8192),
    KeyType.ED25519: KeySpec("Ed25519"),
}


def key_spec(key_type: str) -> KeySpec:
    """Return how to make a key of this type.

    Raises:
        UsageError: There is no such type.
    """
    try:
        return _KEY_SPECS[key_type]
    except KeyError:
        raise UsageError(f"There is no key type {key_type!r}: use {', '.join(_KEY_SPECS)}") from None


def contents_of(settings: IssuanceSettings) -> CertificateContents:
    """Return what is requested besides names."""
    return CertificateContents(
        literal_subject=settings.subject,
        usages=settings.usages,
        uris=settings.uris,
        email_addresses=settings.mailboxes,
    )


def check_contents(settings: IssuanceSettings) -> None:
    """Check what is requested besides names, before anything is ordered.

    Raises:
        UsageError: No certificate can have it, or a CSR says it already.
    """
    contents = contents_of(settings)
    if contents.is_empty:
        return
    if settings.from_request:
        raise UsageError("--subject, --usage, --uri and --mail are not for --csr, which says all that is requested")
    try:
        contents.name(None)
        contents.other_names()
        contents.extensions()
    except PkiError as error:
        raise UsageError(f"The request cannot be made: {error}") from None
    if any(one.oid.dotted_string == "2.5.4.3" for one in contents.name(None)):
        raise UsageError("--subject must have no CN: clients read the names, and CAs want them there")


def tell_missing(settings: IssuanceSettings, issued: IssuedCertificate, output: Output) -> None:
    """Warn of what the CA left out."""
    missing = contents_of(settings).missing_in(parse_chain(issued.chain_pem).leaf)
    if missing:
        output.warn(f"The CA left out what was requested: {'; '.join(missing)}")


def staging_of(server: str) -> str:
    """Return the directory URL of the CA's staging server, for a dry run.

    Raises:
        UsageError: None is known.
    """
    known = next((known for known in KNOWN_AUTHORITIES.values() if known.directory_url == server), None)
    if known is not None and not known.trusted:
        return server
    if known is not None and f"{known.name}-staging" in KNOWN_AUTHORITIES:
        return directory_url(f"{known.name}-staging")
    raise UsageError(f"No staging server of {server_name(server)} is known: give one with --staging-server")


def save(
    folder: CertificateFolder,
    settings: IssuanceSettings,
    issued: IssuedCertificate,
    key: CertificateKey,
    client: Client,
    *,
    keystore: Keystore | None,
) -> Metadata:
    """Save a certificate and everything that belongs to it in one step; see `CertificateFolder.store`."""
    chain = parse_chain(issued.chain_pem)
    facts = CertificateFacts.of(chain.leaf)
    files = {CHAIN: chain.pem, CERTIFICATE: chain.leaf.public_bytes(Encoding.PEM)}
    if chain.issuers:
        files[ISSUERS] = b"".join(issuer.public_bytes(Encoding.PEM) for issuer in chain.issuers)
    if issued.private_key_pem:
        files[KEY] = issued.private_key_pem
        if settings.combined:
            files["combined.pem"] = issued.private_key_pem + chain.pem
        if keystore is not None:
            files[KEYSTORE] = keystore.content(folder.name, issued.private_key_pem, chain)
    if isinstance(key, SigningRequest):
        files[REQUEST] = key.to_pem()
    metadata = Metadata(
        settings=settings,
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
    """Return a certificate for `--json`; docs/cli.md has the shape."""
    settings = metadata.settings
    return {
        "name": folder.name,
        "names": list(settings.names),
        "server": settings.server,
        "serial": metadata.serial,
        "not_before": metadata.not_before,
        "not_after": metadata.not_after,
        "renew_at": renew_at,
        "key_type": None if settings.from_request else settings.key_type,
        "profile": settings.profile,
        "preferred_chain": settings.preferred_chain,
        "solvers": list(settings.solver.chosen),
        "order_url": metadata.order_url,
        "replaced": metadata.replaced,
        "files": folder.files(),
    }


def lines_of(folder: CertificateFolder, metadata: Metadata, renew_at: datetime) -> list[str]:
    """Return a certificate as lines for the user."""
    return [
        f"Names:      {', '.join(metadata.settings.names)}",
        f"CA:         {server_name(metadata.settings.server)}",
        f"Valid:      {metadata.not_before:%Y-%m-%d %H:%M} to {metadata.not_after:%Y-%m-%d %H:%M} UTC",
        f"Renew at:   {renew_at:%Y-%m-%d %H:%M} UTC",
        *(f"{f'{name}:':<12}{path}" for name, path in folder.files().items()),
    ]
