"""Private keys of certificates: generate, write, read, and compare with a spec.

Everything here is synchronous and pure. Generating an RSA key takes 0.1 s, and half a minute for 8192 bits, so call
`generate_private_key` for RSA in a thread. Reading a key takes a millisecond, or 70 ms for the longest one; see
`certwright.key_file`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from certwright.key_file import PrivateKey, UnreadableKey, prove, read_private_key
from certwright.pki.errors import PrivateKeyError, UnsupportedKey

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from certwright.pki.request import SigningRequest

KeyAlgorithm = Literal["ECDSA", "RSA", "Ed25519"]
"""Kinds of keys that CAs certify."""
KeyEncoding = Literal["PKCS1", "PKCS8"]
"""Forms of a private key in PEM; see `private_key_to_pem`."""

DEFAULT_SIZES: dict[KeyAlgorithm, int | None] = {"ECDSA": 256, "RSA": 2048, "Ed25519": None}
RSA_SIZES = (2048, 3072, 4096, 8192)

_CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
_RSA_PUBLIC_EXPONENT = 65537


def generate_private_key(algorithm: KeyAlgorithm = "ECDSA", size: int | None = None) -> PrivateKey:
    """Generate a key.

    Args:
        algorithm: ECDSA (P-256, P-384, P-521), RSA or Ed25519.
        size: Bits: 256, 384 or 521 for ECDSA; 2048, 3072, 4096 or 8192 for RSA; None for Ed25519. None selects the
            default of 256 or 2048.

    Raises:
        UnsupportedKey: The algorithm does not exist, or does not have that size.
    """
    size = _checked_size(algorithm, size)
    if algorithm == "ECDSA":
        return ec.generate_private_key(_CURVES[size or 0])
    if algorithm == "RSA":
        return rsa.generate_private_key(_RSA_PUBLIC_EXPONENT, size or 0)
    return ed25519.Ed25519PrivateKey.generate()


def private_key_to_pem(key: PrivateKey, encoding: KeyEncoding = "PKCS8") -> bytes:
    """Write a key as unencrypted PEM.

    Args:
        key: The key.
        encoding: PKCS8 (RFC 5958, `PRIVATE KEY`) or PKCS1 (`RSA PRIVATE KEY`, and for ECDSA the equivalent SEC 1 form,
            RFC 5915, `EC PRIVATE KEY`).

    Raises:
        UnsupportedKey: Ed25519 has no PKCS1 form, or the encoding is neither of the two.
    """
    return _key_bytes(key, encoding, serialization.Encoding.PEM)


def private_key_to_der(key: PrivateKey, encoding: KeyEncoding = "PKCS8") -> bytes:
    """Write a key as unencrypted DER; see `private_key_to_pem`, which raises the same errors."""
    return _key_bytes(key, encoding, serialization.Encoding.DER)


def _key_bytes(key: PrivateKey, encoding: KeyEncoding, form: serialization.Encoding) -> bytes:
    if encoding not in get_args(KeyEncoding):
        raise UnsupportedKey(f"there is no key encoding {encoding!r}: use PKCS1 or PKCS8")
    if encoding == "PKCS1" and isinstance(key, ed25519.Ed25519PrivateKey):
        raise UnsupportedKey("an Ed25519 key has no PKCS1 form: use PKCS8")
    structure = serialization.PrivateFormat
    return key.private_bytes(
        form,
        structure.PKCS8 if encoding == "PKCS8" else structure.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def key_encoding(pem: bytes) -> KeyEncoding | None:
    """Return how a private key in PEM is encoded, by its label; None if it is of neither form."""
    if b"-----BEGIN PRIVATE KEY-----" in pem:
        return "PKCS8"
    if b"-----BEGIN RSA PRIVATE KEY-----" in pem or b"-----BEGIN EC PRIVATE KEY-----" in pem:
        return "PKCS1"
    return None


def load_private_key(pem: bytes, *, trusted: bool = False) -> PrivateKey:
    """Read an unencrypted PEM key in any of the forms that `private_key_to_pem` writes.

    Args:
        pem: The key in PEM, such as a Secret's `tls.key`; at most 16 KiB.
        trusted: Skip the trial signature, for keys that this process generated or only compares.

    Raises:
        PrivateKeyError: It is not a PEM key, is damaged or encrypted, is not RSA, ECDSA or Ed25519, is longer than 8192
            bits, or does not work.
    """
    try:
        key = read_private_key(pem)
        if not trusted:
            prove(key)
    except UnreadableKey as error:
        raise PrivateKeyError(f"the private key {error}") from None
    return key


def key_matches_spec(key: PrivateKey, algorithm: KeyAlgorithm, size: int | None = None) -> bool:
    """Return whether a key matches a spec; a size of None means the algorithm's default size.

    Raises:
        UnsupportedKey: The spec itself is invalid.
    """
    size = _checked_size(algorithm, size)
    if algorithm == "ECDSA":
        return isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == _CURVES[size or 0].name
    if algorithm == "RSA":
        return isinstance(key, rsa.RSAPrivateKey) and key.key_size == size
    return isinstance(key, ed25519.Ed25519PrivateKey)


def public_key_matches(leaf: x509.Certificate, key: PrivateKey | SigningRequest) -> bool:
    """Return whether the certificate is for this key; False if its public key cannot be read."""
    try:
        return leaf.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False


def public_key_matches_spec(leaf: x509.Certificate, algorithm: KeyAlgorithm, size: int | None = None) -> bool:
    """Return whether a certificate's key matches a spec; a size of None means the algorithm's default size."""
    try:
        key = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    return is_of_kind(key, algorithm, size)


def public_key_digest(key: CertificatePublicKeyTypes) -> str:
    """Return what a public key is known by: the SHA-256 of its SubjectPublicKeyInfo (RFC 5280), in hexadecimal."""
    info = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).hexdigest()


def certified_key_digest(leaf: x509.Certificate) -> str | None:
    """Return the digest of a certificate's public key, see `public_key_digest`; None if it cannot be read."""
    try:
        return public_key_digest(leaf.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return None


def is_of_kind(key: CertificatePublicKeyTypes, algorithm: KeyAlgorithm, size: int | None = None) -> bool:
    """Return whether a public key matches a spec; a size of None means the algorithm's default size."""
    size = size or DEFAULT_SIZES[algorithm]
    match algorithm:
        case "ECDSA":
            return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size == size
        case "RSA":
            return isinstance(key, rsa.RSAPublicKey) and key.key_size == size
        case "Ed25519":
            return isinstance(key, ed25519.Ed25519PublicKey)


def _checked_size(algorithm: KeyAlgorithm, size: int | None) -> int | None:
    if algorithm not in get_args(KeyAlgorithm):
        raise UnsupportedKey(f"there is no key algorithm {algorithm!r}: use {', '.join(get_args(KeyAlgorithm))}")
    if size is None:
        return DEFAULT_SIZES[algorithm]
    if algorithm == "Ed25519":
        raise UnsupportedKey("an Ed25519 key has only one size: omit the size")
    sizes = tuple(_CURVES) if algorithm == "ECDSA" else RSA_SIZES
    if size not in sizes:
        raise UnsupportedKey(f"there is no {algorithm} key of {size} bits: use {', '.join(map(str, sizes))}")
    return size
