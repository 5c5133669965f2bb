"""Key and chain together in a PKCS #12 file (RFC 7292), for Windows, Java and other programs that require it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from certwright.pki.errors import KeyMismatch, KeystoreError
from certwright.pki.keys import public_key_matches

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption

    from certwright.key_file import PrivateKey
    from certwright.pki.chain import CertificateChain

Pkcs12Encryption: TypeAlias = Literal["modern", "legacy"]
"""`modern` is AES-256-CBC by PBKDF2 with SHA-256, 20,000 rounds, and a MAC with SHA-256: OpenSSL 1.1, Java 8u301,
macOS 15, Windows Server 2019 and later. `legacy` is 3DES and SHA-1, for what is older.
"""

# What OpenSSL uses: programs of that age may take no more.
_LEGACY_ROUNDS = 2048


def to_pkcs12(
    key: PrivateKey,
    chain: CertificateChain,
    *,
    password: str,
    name: str,
    encryption: Pkcs12Encryption = "modern",
) -> bytes:
    """Write key, certificate and issuers as one encrypted file, with one entry. It takes about 20 ms.

    Whatever the encryption, the MAC lets a password be tried in 2,048 rounds: it has to be a long random one.

    Args:
        key: The private key.
        chain: The certificate and its issuers.
        password: Printable ASCII: programs disagree about how others are encoded, and Java refuses them.
        name: What the entry is called; Java's alias, Windows' friendly name.
        encryption: How it is encrypted.

    Raises:
        KeystoreError: The password is empty or has other characters, or there is no such encryption.
        KeyMismatch: The certificate is for another key.
    """
    if encryption not in get_args(Pkcs12Encryption):
        raise KeystoreError(f"there is no encryption {encryption!r}: use {' or '.join(get_args(Pkcs12Encryption))}")
    check_keystore_password(password)
    if not public_key_matches(chain.leaf, key):
        raise KeyMismatch
    return pkcs12.serialize_key_and_certificates(
        name.encode(), key, chain.leaf, chain.issuers, _encryption(encryption, password.encode("ascii"))
    )


def check_keystore_password(password: str) -> None:
    """Check that all programs that read keystores accept a password, before anything is put into one.

    Raises:
        KeystoreError: It is empty, or has characters other than printable ASCII.
    """
    if not password:
        raise KeystoreError("the password is empty")
    if not (password.isascii() and password.isprintable()):
        raise KeystoreError(
            "the password must be printable ASCII, because programs encode other characters differently"
        )


def _encryption(encryption: Pkcs12Encryption, password: bytes) -> KeySerializationEncryption:
    builder = PrivateFormat.PKCS12.encryption_builder()
    if encryption == "legacy":
        algorithm, digest = pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC, hashes.SHA1()  # noqa: S303 - what is old knows no other
        return builder.kdf_rounds(_LEGACY_ROUNDS).key_cert_algorithm(algorithm).hmac_hash(digest).build(password)
    algorithm = pkcs12.PBES.PBESv2SHA256AndAES256CBC
    return builder.key_cert_algorithm(algorithm).hmac_hash(hashes.SHA256()).build(password)
