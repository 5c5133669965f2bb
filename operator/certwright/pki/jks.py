"""Java keystores in the old JKS format, for programs that cannot read PKCS #12 (Java's default since version 9).

Implemented here because no library for it is maintained. Sun never published the format: a header, entries, and a SHA-1
over everything, keyed with the password; a stream of SHA-1 digests hides the private key. Both are weak with any
password, so protect a JKS file like an unencrypted key.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certwright.pki.der import octet_string, oid, sequence
from certwright.pki.errors import KeyMismatch, KeystoreError
from certwright.pki.keys import public_key_matches
from certwright.pki.pkcs12 import check_keystore_password

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from cryptography import x509

    from certwright.key_file import PrivateKey
    from certwright.pki.chain import CertificateChain

CA_ALIAS: Final = "ca"
"""The alias of the first CA certificate; further ones are `ca-2`, `ca-3`."""
MAX_ALIAS: Final = 128

_MAGIC: Final = 0xFEEDFEED
_VERSION: Final = 2
_PRIVATE_KEY: Final = 1
_TRUSTED: Final = 2
_WHITENER: Final = b"Mighty Aphrodite"
_KEY_PROTECTOR: Final = "1.3.6.1.4.1.42.2.17.1.1"
_SALT_BYTES: Final = 20


def to_jks(
    key: PrivateKey,
    chain: CertificateChain,
    *,
    password: str,
    alias: str,
    created: dt.datetime,
    trusted: Sequence[x509.Certificate] = (),
) -> bytes:
    """Write key and chain as a JKS file.

    Args:
        key: The private key.
        chain: The certificate and its issuers.
        password: The password of the file and the key; printable ASCII.
        alias: The alias of the key's entry. It is written in lower case, because Java looks aliases up in lower case.
        created: The creation time in the entries.
        trusted: CA certificates, each in a separate entry.

    Raises:
        KeystoreError: The password or the alias cannot be used.
        KeyMismatch: The certificate is for another key.
    """
    check_keystore_password(password)
    name = _alias(alias)
    if not public_key_matches(chain.leaf, key):
        raise KeyMismatch
    certificates = (chain.leaf, *chain.issuers)
    protected = _protected(key, _bytes_of(password))
    entry = _entry(_PRIVATE_KEY, name, created) + _uint32(len(protected)) + protected
    entry += _uint32(len(certificates)) + b"".join(map(_certificate, certificates))
    return _file([entry, *_trusted(trusted, created, taken=name)], password)


def to_jks_truststore(certificates: Sequence[x509.Certificate], *, password: str, created: dt.datetime) -> bytes:
    """Write CA certificates as a JKS file. Raises `KeystoreError` if the password cannot be used."""
    check_keystore_password(password)
    return _file(_trusted(certificates, created), password)


def _alias(alias: str) -> str:
    name = alias.lower()
    if not name or len(name) > MAX_ALIAS or not (name.isascii() and name.isprintable()):
        raise KeystoreError(f"the alias must be 1 to {MAX_ALIAS} printable ASCII characters")
    return name


def _trusted(
    certificates: Sequence[x509.Certificate], created: dt.datetime, *, taken: str | None = None
) -> list[bytes]:
    names = (name for place in range(1, len(certificates) + 2) if (name := _ca_alias(place)) != taken)
    return [_entry(_TRUSTED, name, created) + _certificate(one) for name, one in zip(names, certificates, strict=False)]


def _ca_alias(place: int) -> str:
    return CA_ALIAS if place == 1 else f"{CA_ALIAS}-{place}"


def _file(entries: Sequence[bytes], password: str) -> bytes:
    content = b"".join((_uint32(_MAGIC), _uint32(_VERSION), _uint32(len(entries)), *entries))
    return content + _sha1(_bytes_of(password) + _WHITENER + content)


def _entry(tag: int, alias: str, created: dt.datetime) -> bytes:
    return _uint32(tag) + _text(alias) + int(created.timestamp() * 1000).to_bytes(8, "big")


def _certificate(certificate: x509.Certificate) -> bytes:
    content = certificate.public_bytes(Encoding.DER)
    return _text("X.509") + _uint32(len(content)) + content


def _protected(key: PrivateKey, password: bytes) -> bytes:
    """Return the key hidden by Sun's algorithm, in an EncryptedPrivateKeyInfo (RFC 5958 section 3)."""
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt = os.urandom(_SALT_BYTES)
    hidden = bytes(one ^ other for one, other in zip(plain, _stream(password, salt, len(plain)), strict=True))
    algorithm = sequence(oid(_KEY_PROTECTOR), b"\x05\x00")
    return sequence(algorithm, octet_string(salt + hidden + _sha1(password + plain)))


def _stream(password: bytes, salt: bytes, length: int) -> bytes:
    stream, digest = b"", salt
    while len(stream) < length:
        digest = _sha1(password + digest)
        stream += digest
    return stream[:length]


def _bytes_of(password: str) -> bytes:
    return password.encode("utf-16-be")


def _text(text: str) -> bytes:
    content = text.encode("ascii")
    return len(content).to_bytes(2, "big") + content


def _uint32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _sha1(content: bytes) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()
