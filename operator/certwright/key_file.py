"""Reading untrusted private keys in PEM: sizes and arithmetic are checked before OpenSSL sees them.

OpenSSL's own check of an RSA key tests whether its factors are prime, while it holds the GIL: 0.1 s for 2048 bits, 8 s
for 8192 bits, and minutes for the largest key that fits into a Secret. This module reads any key in well under a
millisecond. It checks that the numbers of the key match; before signing with a key, also call `prove`.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

if TYPE_CHECKING:
    from collections.abc import Iterator

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
"""The types of private keys for certificates and accounts."""

MAX_KEY_BYTES: Final = 16 * 1024
"""The maximum size of PEM: an RSA key of 8192 bits has 6.4 KiB, and some files also contain certificates."""
MAX_RSA_BITS: Final = 8192
"""The maximum size of the modulus. No public CA certifies more than 4096 bits."""
_MAX_EXPONENT_BITS: Final = 64
_MAX_UNBALANCE_BITS: Final = 32

_BLOCK: Final = re.compile(
    rb"-----BEGIN (?P<label>(?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----"
    # RFC 1421 headers, which only encrypted keys have.
    rb"(?P<head>\s*(?:(?:Proc-Type|DEK-Info):[^\n]{0,200}\n\s*){1,4})?"
    rb"(?P<body>[^-]*)-----END (?P=label)-----"
)
_OTHERS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"-----BEGIN CERTIFICATE REQUEST-----", "there is a certificate request in its place"),
    (b"-----BEGIN CERTIFICATE-----", "there is a certificate in its place"),
    (b"PUBLIC KEY-----", "there is a public key in its place"),
    (b"-----BEGIN OPENSSH PRIVATE KEY-----", "it is in the format of OpenSSH; convert it to PKCS #8"),
)
"""What people take for a private key, and how it begins."""
_DAMAGED: Final = "it is not PEM, or it is damaged"
_RSA_ENCRYPTION: Final = bytes.fromhex("2a864886f70d010101")
_RSA_PSS: Final = bytes.fromhex("2a864886f70d01010a")
_EC_PUBLIC_KEY: Final = bytes.fromhex("2a8648ce3d0201")
_ED25519: Final = bytes.fromhex("2b6570")

_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04
_OBJECT_IDENTIFIER: Final = 0x06
_SEQUENCE: Final = 0x30
_RSA_INTEGERS: Final = 9
"""RSAPrivateKey (RFC 8017 appendix A.1.2): version, n, e, d, p, q, d mod p-1, d mod q-1, 1/q mod p."""


class UnreadableKey(ValueError):
    """A private key cannot be used. The message continues "the private key", and does not quote the key."""


class _Damaged(ValueError):
    """The content is not valid DER."""


def read_private_key(pem: bytes) -> PrivateKey:
    """Read an unencrypted private key in PEM: PKCS #8, or the traditional forms of RSA and EC keys.

    This takes less than a millisecond. It does not test whether the factors of an RSA key are prime; see `prove`.

    Args:
        pem: At most 16 KiB. Blocks of other kinds are skipped.

    Raises:
        UnreadableKey: It is no such key, damaged, encrypted, of another kind, or its modulus is longer than 8192 bits;
            or there are different keys, of which nothing tells the right one.
    """
    if len(pem) > MAX_KEY_BYTES:
        raise UnreadableKey(f"is {len(pem)} bytes long; the limit is {MAX_KEY_BYTES}")
    blocks = list(_BLOCK.finditer(pem))
    if not blocks:
        raise UnreadableKey(f"cannot be read: {_in_its_place(pem)}")
    if (count := len({b"".join(block["body"].split()) for block in blocks})) > 1:
        raise UnreadableKey(f"is one of {count} keys in one place: leave only the right one there")
    label, body = blocks[0]["label"], blocks[0]["body"]
    if label.startswith(b"ENCRYPTED") or b"ENCRYPTED" in body or blocks[0]["head"]:
        raise UnreadableKey("is encrypted: store it without a passphrase")
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
        if label.startswith(b"RSA"):
            return _rsa_key(der)
        if label.startswith(b"EC"):
            return _other_key(der)
        return _pkcs8_key(der)
    except UnreadableKey:
        raise
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm, InternalError):
        # The library's message may quote the text that it could not parse.
        raise UnreadableKey(f"cannot be read: {_DAMAGED}") from None


def _in_its_place(content: bytes) -> str:
    """Say what is there instead of a private key in PEM, as far as that can be told; nothing of it is quoted."""
    for beginning, said in _OTHERS:
        if beginning in content:
            return said
    if b"PRIVATE KEY-----" in content:
        return "its END line is missing" if b"-----END " not in content else _DAMAGED
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it is UTF-16; save it as plain text"
    if content[:1] == b"0" and not content.isascii():
        return "it is DER; convert it to PEM"
    if content.lstrip().startswith(b"{") and b'"kty"' in content:
        return "it is a JSON Web Key; convert it to PEM"
    if _is_base64_of_pem(content):
        return "it was encoded in base64 once too often; a Secret takes PEM in stringData, or its base64 in data"
    return _DAMAGED


def _is_base64_of_pem(content: bytes) -> bool:
    try:
        return base64.b64decode(b"".join(content.split())[:40], validate=True).startswith(b"-----BEGIN ")
    except (ValueError, binascii.Error):
        return False


def prove(key: PrivateKey) -> None:
    """Sign something and verify the signature, to detect a wrong key before it is used.

    Raises:
        UnreadableKey: The key does not work.
    """
    data = b"certwright"
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
            key.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            key.public_key().verify(key.sign(data, ec.ECDSA(hashes.SHA256())), data, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature, InternalError, UnsupportedAlgorithm):
        raise UnreadableKey("does not work: what it signs does not verify") from None


def rsa_private_key(n: int, e: int, d: int, p: int, q: int, dp: int, dq: int, qi: int) -> rsa.RSAPrivateKey:  # noqa: PLR0917 - RFC 8017's order
    """Return the RSA key with these numbers (RFC 8017 section 3.2), after checking that they match.

    Raises:
        UnreadableKey: They do not match, or the modulus exceeds 8192 bits.
    """
    bits = n.bit_length()
    if bits > MAX_RSA_BITS:
        raise UnreadableKey(f"is an RSA key of {bits} bits; the limit is {MAX_RSA_BITS}")
    half = bits // 2 + _MAX_UNBALANCE_BITS
    if not (
        all(number > 0 for number in (n, e, d, p, q, dp, dq, qi))
        # Sizes first, because the following checks multiply and divide.
        and p.bit_length() <= half
        and q.bit_length() <= half
        and e.bit_length() <= _MAX_EXPONENT_BITS
        and d.bit_length() <= bits
        and e & p & q & 1
        and min(e, p, q) > 1
        and p != q
        and n == p * q
        and dp == d % (p - 1)
        and dq == d % (q - 1)
        and e * dp % (p - 1) == 1
        and e * dq % (q - 1) == 1
        and qi < p
        and qi * q % p == 1
    ):
        raise UnreadableKey("is damaged: the numbers of the RSA key do not match")
    numbers = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n))
    try:
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise UnreadableKey("is an RSA key that the cryptographic library does not accept") from None


def _pkcs8_key(der: bytes) -> PrivateKey:
    """Read a PrivateKeyInfo (RFC 5958): version, algorithm, the key itself."""
    fields = list(_fields(_only(der, _SEQUENCE)))
    if [tag for tag, _ in fields[:3]] != [_INTEGER, _SEQUENCE, _OCTET_STRING]:
        raise _Damaged
    tag, algorithm = next(_fields(fields[1][1]), (0, b""))
    if tag != _OBJECT_IDENTIFIER:
        raise _Damaged
    if algorithm in {_RSA_ENCRYPTION, _RSA_PSS}:
        return _rsa_key(fields[2][1])
    if algorithm not in {_EC_PUBLIC_KEY, _ED25519}:
        raise UnreadableKey("is neither RSA, ECDSA nor Ed25519")
    return _other_key(der)


def _rsa_key(der: bytes) -> rsa.RSAPrivateKey:
    fields = list(_fields(_only(der, _SEQUENCE)))
    if len(fields) != _RSA_INTEGERS or any(tag != _INTEGER or not content for tag, content in fields):
        raise _Damaged
    version, n, e, d, p, q, dp, dq, qi = (int.from_bytes(content, "big", signed=True) for _, content in fields)
    if version != 0:
        raise _Damaged
    return rsa_private_key(n, e, d, p, q, dp, dq, qi)


def _other_key(der: bytes) -> PrivateKey:
    key = serialization.load_der_private_key(der, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise UnreadableKey("is neither RSA, ECDSA nor Ed25519")
    return key


def _only(der: bytes, tag: int) -> bytes:
    found = list(_fields(der))
    if len(found) != 1 or found[0][0] != tag:
        raise _Damaged
    return found[0][1]


def _fields(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Split DER into its elements, one level deep: tags of one octet and their contents (X.690 section 8.1)."""
    place = 0
    while place < len(der):
        head = der[place : place + 2]
        if len(head) < 2:  # noqa: PLR2004 - a tag and the first octet of a length
            raise _Damaged
        length, place = head[1], place + 2
        if length & 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 3:  # noqa: PLR2004 - up to 16 MiB, far above any bound here
                raise _Damaged
            length, place = int.from_bytes(der[place : place + octets], "big"), place + octets
        if place + length > len(der):
            raise _Damaged
        yield head[0], der[place : place + length]
        place += length
