"""Key and chain together in a PKCS #12 file (RFC 7292), for Windows, Java and other programs that require it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from certwright.pki.errors import KeyMismatch, KeystoreError
from certwright.pki.keys import public_key_matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption

    from certwright.key_file import PrivateKey
    from certwright.pki.chain import CertificateChain

Pkcs12Encryption: TypeAlias = Literal["modern", "legacy", "rc2"]
"""`modern` is AES-256-CBC by PBKDF2 with SHA-256, 20,000 rounds, and a MAC with SHA-256: OpenSSL 1.1, Java 8u301,
macOS 15, Windows Server 2019 and later. `legacy` is 3DES and SHA-1, which everything reads. `rc2` is the same with
40-bit RC2 for the certificates, which hides nothing: for what is so old that it expects it; OpenSSL 3 refuses it.
"""

# As in OpenSSL; programs of that age may not accept more.
_LEGACY_ROUNDS = 2048
_MAX_NAME = 256


def to_pkcs12(
    key: PrivateKey,
    chain: CertificateChain,
    *,
    password: str,
    name: str | None = None,
    encryption: Pkcs12Encryption = "modern",
) -> bytes:
    """Write key, certificate and issuers as one encrypted file, with one entry. It takes about 20 ms.

    With any encryption, an attacker can test a password against the MAC in 2,048 rounds, so use a long random one.

    Args:
        key: The private key.
        chain: The certificate and its issuers.
        password: Printable ASCII, because programs encode other characters differently, and Java refuses them.
        name: The name of the entry: Java's alias, Windows' friendly name. None for no name; Java then calls it 1.
        encryption: The encryption.

    Raises:
        KeystoreError: The password is empty or has other characters, or the encryption is unknown.
        KeyMismatch: The certificate is for another key.
    """
    _check(encryption, password)
    if not public_key_matches(chain.leaf, key):
        raise KeyMismatch
    if encryption == "rc2":
        from certwright.pki.pkcs12_rc2 import rc2_keystore  # noqa: PLC0415 - rare, and a cipher of its own

        return rc2_keystore(key, (chain.leaf, *chain.issuers), password=password, name=name)
    return pkcs12.serialize_key_and_certificates(
        name.encode() if name is not None else None,
        key,
        chain.leaf,
        chain.issuers,
        _encryption(encryption, password.encode("ascii")),
    )


def to_pkcs12_truststore(
    certificates: Sequence[x509.Certificate], *, password: str, encryption: Pkcs12Encryption = "modern"
) -> bytes:
    """Write CA certificates as a trust store for Java: each is marked as trusted for any use.

    Args:
        certificates: At least one. Each entry has the certificate's subject as its name.
        password: See `to_pkcs12`.
        encryption: The encryption.

    Raises:
        KeystoreError: The password is empty or has other characters, the encryption is unknown, or there is no
            certificate.
    """
    _check(encryption, password)
    if not certificates:
        raise KeystoreError("there is no certificate for the trust store")
    named = {_name(one, place): one for place, one in enumerate(certificates, start=1)}
    if encryption == "rc2":
        from certwright.pki.pkcs12_rc2 import rc2_truststore  # noqa: PLC0415 - rare, and a cipher of its own

        return rc2_truststore(named, password=password)
    entries = [pkcs12.PKCS12Certificate(one, name.encode()) for name, one in named.items()]
    return pkcs12.serialize_java_truststore(entries, _encryption(encryption, password.encode("ascii")))


def _name(certificate: x509.Certificate, place: int) -> str:
    """Return a name that no other entry has."""
    try:
        subject = certificate.subject.rfc4514_string()[:_MAX_NAME]
    except ValueError:
        subject = ""
    return f"{subject} ({place})" if subject and place > 1 else subject or f"ca-{place}"


def _check(encryption: str, password: str) -> None:
    if encryption not in get_args(Pkcs12Encryption):
        raise KeystoreError(f"there is no encryption {encryption!r}: use {' or '.join(get_args(Pkcs12Encryption))}")
    check_keystore_password(password)


def check_keystore_password(password: str) -> None:
    """Check that all programs that read keystores accept a password.

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
