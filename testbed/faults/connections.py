"""A CA whose connections break, hang, or carry something else than HTTP."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

from testbed.exchanges import Drop, Hang, Raw, Stream

from .fault import MARKER, changing, in_place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.exchanges import Response

    from .fault import Exchange

#: Seconds between two pieces of an answer that is sent as slowly as can be.
DRIP = 0.1
HUGE_HEADER_BYTES = 2_000_000


def _halves(answer: Response) -> tuple[bytes, bytes]:
    middle = len(answer.body) // 2
    return answer.body[:middle], answer.body[middle:]


@in_place_of("order")
def reset_before_answer(_: Exchange) -> Drop:
    """The connection is reset in place of an answer."""
    return Drop()


@changing("finalize")
def answer_lost(_: Exchange) -> Drop:
    """The CA acts on the request, and the connection is reset before its answer."""
    return Drop()


@changing("authorization")
def reset_in_answer(exchange: Exchange) -> Stream:
    """The connection is reset in the middle of the answer."""
    answer = exchange.answer
    return Stream(answer.status, answer.headers, lambda: _halves(answer)[:1], length=len(answer.body), ending="reset")


@in_place_of("finalize")
def hang_before_answer(_: Exchange) -> Hang:
    """The request is taken and never answered."""
    return Hang()


@changing("certificate")
def hang_in_answer(exchange: Exchange) -> Stream:
    """The answer stops in the middle, and the connection stays open."""
    answer = exchange.answer
    return Stream(answer.status, answer.headers, lambda: _halves(answer)[:1], length=len(answer.body), ending="hang")


@changing("order")
def dripping_answer(exchange: Exchange) -> Stream:
    """The answer comes one byte at a time, too slowly ever to be finished."""
    answer = exchange.answer
    single = (bytes([byte]) for byte in answer.body)
    return Stream(answer.status, answer.headers, lambda: single, pause=DRIP, length=len(answer.body))


@in_place_of("order")
def not_http(_: Exchange) -> Raw:
    """The answer is no HTTP."""
    return Raw(lambda: [f"220 {MARKER} ESMTP ready\r\n\r\n".encode()])


@in_place_of("order")
def illegal_header(_: Exchange) -> Raw:
    """A header field of the answer is none that HTTP allows."""
    return Raw(lambda: [f"HTTP/1.1 200 OK\r\n{MARKER}: \x00{MARKER}\r\nContent-Length: 0\r\n\r\n".encode()])


@in_place_of("order")
def contradicting_lengths(_: Exchange) -> Raw:
    """The answer has two different lengths."""
    return Raw(lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} "])


@in_place_of("order")
def huge_header(_: Exchange) -> Raw:
    """A header field of the answer is two million bytes long."""
    return Raw(lambda: [b"HTTP/1.1 200 OK\r\nX-Huge: ", MARKER.encode() * (HUGE_HEADER_BYTES // len(MARKER))])


@in_place_of("order")
def endless_hints(_: Exchange) -> Raw:
    """Informational answers (103) follow each other without an end, and the answer never comes."""
    hint: Iterable[bytes] = repeat(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    return Raw(lambda: hint, pause=DRIP)
