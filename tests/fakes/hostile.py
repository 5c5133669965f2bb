"""What somebody may write who wishes us ill: keys, certificates, Secrets and DNS messages that cost much to read."""

from __future__ import annotations

import base64
import math
import textwrap
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

_SHORT = 0x80
_TXT = 16


def der(tag: int, *contents: bytes) -> bytes:
    """Return one element in DER."""
    content = b"".join(contents)
    if len(content) < _SHORT:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, _SHORT | len(length)]) + length + content


def integers(*numbers: int) -> bytes:
    """Return a sequence of integers, as an RSA key is one."""
    contents = [number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True) for number in numbers]
    return der(0x30, *(der(0x02, content) for content in contents))


def pem(label: str, content: bytes) -> bytes:
    """Return DER as PEM."""
    body = "\n".join(textwrap.wrap(base64.b64encode(content).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


def rsa_numbers(numbers: rsa.RSAPrivateNumbers) -> tuple[int, ...]:
    """Return what an RSA key in PKCS #1 consists of, its version first."""
    public = numbers.public_numbers
    return (0, public.n, public.e, numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)


@cache
def rsa_key(bits: int) -> bytes:
    """Return an RSA key in PEM whose numbers belong together, but for its factors, which are not prime.

    Real primes of this size take minutes to find. OpenSSL's check of a key is slowest where they are prime; for what is
    done with a key here it makes no difference.
    """
    e = 65537
    half = bits // 2
    p = _coprime((1 << (bits - half)) - 1, e)
    q = _coprime((1 << half) - 1, e, apart_from=p)
    d = pow(e, -1, math.lcm(p - 1, q - 1))
    return pem("RSA PRIVATE KEY", integers(0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)))


def _coprime(start: int, e: int, *, apart_from: int = 1) -> int:
    """Return an odd number at or below `start` that may stand for a prime next to this exponent, and to another one."""
    while (start - 1) % e == 0 or start == apart_from or math.gcd(start, apart_from) != 1:
        start -= 2
    return start


def dns_name(labels: int) -> bytes:
    """Return a name of so many labels of one letter, as it is on the wire."""
    return b"\x01a" * labels + b"\0"


def laborious_answer(question: bytes, *, labels: int = 126, size: int = 0xFFFF, rdtype: int = 16) -> bytes:
    """Return the answer to a question that is the most work for its size: compressed names of many labels.

    Args:
        question: The question as it was sent, whose name the first record has.
        labels: Of the name that every record has.
        size: Of the answer, in bytes.
        rdtype: Of the records: TXT with an empty text, any other with another compressed name.
    """
    head = question[:2] + b"\x84\x00"
    body = question[12 : question.index(b"\0", 12) + 5] if question[4:6] == b"\0\1" else b""
    place = 12 + len(body)
    pointer = (0xC000 | place).to_bytes(2, "big")
    fixed = rdtype.to_bytes(2, "big") + b"\0\1\0\0\0\x3c"
    data = b"\0" if rdtype == _TXT else pointer
    first = dns_name(labels) + fixed + len(data).to_bytes(2, "big") + data
    other = pointer + fixed + len(data).to_bytes(2, "big") + data
    more = min((size - place - len(first)) // len(other), 0xFFFE)
    counts = (1 if body else 0, 1 + more, 0, 0)
    return head + b"".join(count.to_bytes(2, "big") for count in counts) + body + first + other * more
