"""The DER elements (X.690) that keystores need."""

from __future__ import annotations

from typing import Final

_LONGEST_SHORT: Final = 0x7F
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04
_OID: Final = 0x06


def element(tag: int, content: bytes) -> bytes:
    """Return an element of this tag, with its length in the shortest form."""
    length = len(content)
    if length <= _LONGEST_SHORT:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content


def sequence(*elements: bytes) -> bytes:
    """Return a SEQUENCE of elements."""
    return element(_SEQUENCE, b"".join(elements))


def set_of(*elements: bytes) -> bytes:
    """Return a SET OF elements, in the order that DER prescribes."""
    return element(_SET, b"".join(sorted(elements)))


def octet_string(content: bytes) -> bytes:
    """Return an OCTET STRING."""
    return element(_OCTET_STRING, content)


def integer(number: int) -> bytes:
    """Return an INTEGER that is not negative."""
    return element(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    return element(_OID, b"".join(map(_base128, (first * 40 + second, *rest))))


def explicit(number: int, content: bytes) -> bytes:
    """Return an element in an explicit context tag."""
    return element(0xA0 | number, content)


def _base128(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | (number & 0x7F))
    return bytes(reversed(digits))
