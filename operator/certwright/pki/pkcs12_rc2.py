"""PKCS #12 files (RFC 7292) with certificates in 40-bit RC2, as Windows and Java wrote them until about 2020.

`cryptography` rightly does not support 40-bit RC2, because anyone can break it, but some old programs require it. The
private key is encrypted with 3DES, as in every file of that age. All keys are derived from the password with SHA-1.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certwright.pki.der import element, explicit, integer, octet_string, oid, sequence, set_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography import x509

    from certwright.key_file import PrivateKey

ROUNDS: Final = 2048
_SALT_BYTES: Final = 8
_BLOCK: Final = 8
_RC2_KEY_BYTES: Final = 5

_PKCS7: Final = "1.2.840.113549.1.7"
_PKCS9: Final = "1.2.840.113549.1.9"
_PKCS12: Final = "1.2.840.113549.1.12"
_DATA: Final = oid(f"{_PKCS7}.1")
_ENCRYPTED_DATA: Final = oid(f"{_PKCS7}.6")
_FRIENDLY_NAME: Final = oid(f"{_PKCS9}.20")
_LOCAL_KEY_ID: Final = oid(f"{_PKCS9}.21")
_X509_CERTIFICATE: Final = oid(f"{_PKCS9}.22.1")
_WITH_3DES: Final = oid(f"{_PKCS12}.1.3")
_WITH_RC2_40: Final = oid(f"{_PKCS12}.1.6")
_SHROUDED_KEY_BAG: Final = oid(f"{_PKCS12}.10.1.2")
_CERTIFICATE_BAG: Final = oid(f"{_PKCS12}.10.1.3")
_SHA1: Final = sequence(oid("1.3.14.3.2.26"), b"\x05\x00")
# Java trusts only entries with Oracle's attribute; its value is "any extended key usage".
_TRUSTED_USAGE: Final = oid("2.16.840.1.113894.746875.1.1")
_ANY_USAGE: Final = oid("2.5.29.37.0")


def rc2_keystore(
    key: PrivateKey, certificates: Sequence[x509.Certificate], *, password: str, name: str | None
) -> bytes:
    """Return a file with a key and its chain, leaf first; see `certwright.pki.to_pkcs12`."""
    key_id = hashlib.sha1(certificates[0].public_bytes(Encoding.DER), usedforsecurity=False).digest()
    attributes = [_attribute(_LOCAL_KEY_ID, octet_string(key_id))]
    if name is not None:
        attributes.append(_attribute(_FRIENDLY_NAME, _bmp(name)))
    bags = [_certificate_bag(one, attributes if place == 0 else []) for place, one in enumerate(certificates)]
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, secret = os.urandom(_SALT_BYTES), _secret(password)
    iv = _derived(secret, salt, purpose=2, length=_BLOCK)
    encryptor = Cipher(TripleDES(_derived(secret, salt, purpose=1, length=24)), modes.CBC(iv)).encryptor()
    shrouded = encryptor.update(_padded(plain)) + encryptor.finalize()
    value = sequence(_algorithm(_WITH_3DES, salt), octet_string(shrouded))
    key_bag = sequence(_SHROUDED_KEY_BAG, explicit(0, value), set_of(*attributes))
    return _file([_encrypted(bags, secret), _data(sequence(key_bag))], secret)


def rc2_truststore(certificates: Mapping[str, x509.Certificate], *, password: str) -> bytes:
    """Return a file of CA certificates by name; see `certwright.pki.to_pkcs12_truststore`."""
    secret, trusted = _secret(password), _attribute(_TRUSTED_USAGE, _ANY_USAGE)
    bags = [
        _certificate_bag(one, [_attribute(_FRIENDLY_NAME, _bmp(name)), trusted]) for name, one in certificates.items()
    ]
    return _file([_encrypted(bags, secret)], secret)


def _file(contents: Sequence[bytes], secret: bytes) -> bytes:
    safe, salt = sequence(*contents), os.urandom(_SALT_BYTES)
    mac = hmac.digest(_derived(secret, salt, purpose=3, length=20), safe, "sha1")
    mac_data = sequence(sequence(_SHA1, octet_string(mac)), octet_string(salt), integer(ROUNDS))
    return sequence(integer(3), _data(safe), mac_data)


def _data(content: bytes) -> bytes:
    return sequence(_DATA, explicit(0, octet_string(content)))


def _encrypted(bags: Sequence[bytes], secret: bytes) -> bytes:
    salt = os.urandom(_SALT_BYTES)
    key = _derived(secret, salt, purpose=1, length=_RC2_KEY_BYTES)
    hidden = rc2_cbc(key, _derived(secret, salt, purpose=2, length=_BLOCK), _padded(sequence(*bags)))
    content = sequence(_DATA, _algorithm(_WITH_RC2_40, salt), element(0x80, hidden))
    return sequence(_ENCRYPTED_DATA, explicit(0, sequence(integer(0), content)))


def _algorithm(name: bytes, salt: bytes) -> bytes:
    return sequence(name, sequence(octet_string(salt), integer(ROUNDS)))


def _certificate_bag(certificate: x509.Certificate, attributes: Sequence[bytes]) -> bytes:
    content = sequence(_X509_CERTIFICATE, explicit(0, octet_string(certificate.public_bytes(Encoding.DER))))
    bag = [_CERTIFICATE_BAG, explicit(0, content)]
    return sequence(*bag, set_of(*attributes)) if attributes else sequence(*bag)


def _attribute(name: bytes, value: bytes) -> bytes:
    return sequence(name, set_of(value))


def _bmp(text: str) -> bytes:
    return element(0x1E, text.encode("utf-16-be"))


def _secret(password: str) -> bytes:
    return (password + "\0").encode("utf-16-be")


def _padded(content: bytes) -> bytes:
    size = _BLOCK - len(content) % _BLOCK
    return content + bytes((size,)) * size


def _derived(secret: bytes, salt: bytes, *, purpose: int, length: int) -> bytes:
    """Derive a key (purpose 1), an IV (2) or a MAC key (3) by SHA-1: RFC 7292 appendix B.2."""
    size = 64
    filled = bytearray(b"".join((part * (size // len(part) + 1))[: _rounded(len(part))] for part in (salt, secret)))
    result = b""
    while len(result) < length:
        digest = bytes((purpose,)) * size + bytes(filled)
        for _ in range(ROUNDS):
            digest = hashlib.sha1(digest, usedforsecurity=False).digest()
        result += digest
        added = int.from_bytes((digest * 4)[:size], "big") + 1
        for start in range(0, len(filled), size):
            total = int.from_bytes(filled[start : start + size], "big") + added
            filled[start : start + size] = (total % (1 << size * 8)).to_bytes(size, "big")
    return result[:length]


def _rounded(length: int) -> int:
    return -(-length // 64) * 64


def rc2_cbc(key: bytes, iv: bytes, content: bytes, *, effective_bits: int | None = None) -> bytes:
    """Encrypt whole blocks with RC2 (RFC 2268) in CBC mode.

    Args:
        key: 1 to 128 bytes.
        iv: 8 bytes.
        content: A multiple of 8 bytes.
        effective_bits: The effective key length; all bits by default.
    """
    words = _expanded(key, effective_bits or len(key) * 8)
    result, previous = bytearray(), iv
    for start in range(0, len(content), _BLOCK):
        block = bytes(a ^ b for a, b in zip(content[start : start + _BLOCK], previous, strict=True))
        previous = _rc2_block(words, block)
        result += previous
    return bytes(result)


def _expanded(key: bytes, bits: int) -> list[int]:
    table, length = bytearray(key), len(key)
    for place in range(length, 128):
        table.append(_PI[(table[place - 1] + table[place - length]) & 0xFF])
    effective = (bits + 7) // 8
    table[128 - effective] = _PI[table[128 - effective] & (0xFF >> (-bits % 8))]
    for place in range(127 - effective, -1, -1):
        table[place] = _PI[table[place + 1] ^ table[place + effective]]
    return [table[place] | table[place + 1] << 8 for place in range(0, 128, 2)]


def _rc2_block(words: Sequence[int], block: bytes) -> bytes:
    state = [int.from_bytes(block[place : place + 2], "little") for place in range(0, _BLOCK, 2)]
    used = 0
    for turn in range(16):
        for place, shift in enumerate((1, 2, 3, 5)):
            last, second, third = state[place - 1], state[place - 2], state[place - 3]
            total = (state[place] + words[used] + (last & second) + (~last & third)) & 0xFFFF
            state[place] = (total << shift | total >> (16 - shift)) & 0xFFFF
            used += 1
        if turn in (4, 10):
            for place in range(4):
                state[place] = (state[place] + words[state[place - 1] & 63]) & 0xFFFF
    return b"".join(word.to_bytes(2, "little") for word in state)


_PI: Final = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)
"""PITABLE of RFC 2268: a permutation derived from the digits of pi."""
