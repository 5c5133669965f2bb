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

DRIP = 0.1
"""Seconds between two pieces of an answer that is sent as slowly as can be."""
HUGE_HEADER_BYTES = 2_000_000


def _halves(answer: Response) -> tuple[bytes, bytes]:
    middle = len(answer.body) // 2
    return answer.body[:middle], answer.body[middle:]


@in_place_of("order")
def reset_before_answer(_: Exchange) -> Drop:
    """The connection is reset before a response."""
    return Drop()


@changing("finalize")
def answer_lost(_: Exchange) -> Drop:
    """The CA acts on the request, but the connection is reset before its response."""
    return Drop()


@changing("authorization")
def reset_in_answer(exchange: Exchange) -> Stream:
    """The connection is reset in the middle of the response."""
    answer = exchange.answer
    return Stream(answer.status, answer.headers, lambda: _halves(answer)[:1], length=len(answer.body), ending="reset")


@in_place_of("finalize")
def hang_before_answer(_: Exchange) -> Hang:
    """The request is accepted and never answered."""
    return Hang()


@changing("certificate")
def hang_in_answer(exchange: Exchange) -> Stream:
    """The response stops in the middle, and the connection stays open."""
    answer = exchange.answer
    return Stream(answer.status, answer.headers, lambda: _halves(answer)[:1], length=len(answer.body), ending="hang")


@changing("order")
def dripping_answer(exchange: Exchange) -> Stream:
    """The response arrives one byte at a time, too slowly to ever finish."""
    answer = exchange.answer
    single = (bytes([byte]) for byte in answer.body)
    return Stream(answer.status, answer.headers, lambda: single, pause=DRIP, length=len(answer.body))


@in_place_of("order")
def not_http(_: Exchange) -> Raw:
    """The response is not HTTP."""
    return Raw(lambda: [f"220 {MARKER} ESMTP ready\r\n\r\n".encode()])


@in_place_of("order")
def illegal_header(_: Exchange) -> Raw:
    """The response has an invalid header field."""
    return Raw(lambda: [f"HTTP/1.1 200 OK\r\n{MARKER}: \x00{MARKER}\r\nContent-Length: 0\r\n\r\n".encode()])


@in_place_of("order")
def contradicting_lengths(_: Exchange) -> Raw:
    """The response has two conflicting Content-Length values."""
    return Raw(lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} "])


@in_place_of("order")
def huge_header(_: Exchange) -> Raw:
    """A header field of the response is two million bytes long."""
    return Raw(lambda: [b"HTTP/1.1 200 OK\r\nX-Huge: ", MARKER.encode() * (HUGE_HEADER_BYTES // len(MARKER))])


@in_place_of("order")
def endless_hints(_: Exchange) -> Raw:
    """Informational responses (103) follow each other endlessly, without a final response."""
    hint: Iterable[bytes] = repeat(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    return Raw(lambda: hint, pause=DRIP)
