"""Answers whose bodies are damaged, of another kind, or too much."""

from __future__ import annotations

import zlib
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING

from testbed.exchanges import Stream

from .answers import made_up, with_body, with_header
from .fault import MARKER, changing, in_place_of
from .refusals import HTML

if TYPE_CHECKING:
    from testbed.exchanges import Response

    from .fault import Exchange

LARGE_BYTES = 100_000_000
NESTING = 60_000
_PIECE = (MARKER.encode() * 4000)[: 1 << 16]


@changing("order")
def truncated_json(exchange: Exchange) -> Response:
    """The JSON is truncated, with a matching Content-Length."""
    return with_body(exchange.answer, exchange.answer.body[: len(exchange.answer.body) // 2])


@changing("order")
def wrong_content_type(exchange: Exchange) -> Response:
    """A correct response, sent as text/plain."""
    return with_header(exchange.answer, "Content-Type", "text/plain")


@changing("order")
def no_content_type(exchange: Exchange) -> Response:
    """A correct response, sent without a meaningful content type."""
    return with_header(exchange.answer, "Content-Type", "")


@in_place_of("directory")
def html_page(_: Exchange) -> Response:
    """An HTML page with status 200: a captive portal, a parked domain."""
    return made_up(200, "text/html", HTML)


@in_place_of("order")
def html_as_json(_: Exchange) -> Response:
    """An HTML page with status 200 and a JSON content type."""
    return made_up(200, "application/json", HTML)


@in_place_of("directory")
def json_array(_: Exchange) -> Response:
    """An array instead of an object."""
    return made_up(200, "application/json", f'["{MARKER}"]'.encode())


@in_place_of("order")
def nested_json(_: Exchange) -> Response:
    """JSON nested tens of thousands of levels deep."""
    return made_up(200, "application/json", b'{"a":' * (NESTING // 2) + b"[" * (NESTING // 2))


@in_place_of("order")
def large_body(_: Exchange) -> Stream:
    """A 100 MB body, announced by Content-Length."""
    pieces, rest = divmod(LARGE_BYTES, len(_PIECE))
    headers = {"Content-Type": "application/json"}
    return Stream(200, headers, lambda: [*repeat(_PIECE, pieces), _PIECE[:rest]], length=LARGE_BYTES)


@in_place_of("certificate")
def endless_body(_: Exchange) -> Stream:
    """An endless chunked body."""
    return Stream(200, {"Content-Type": "application/pem-certificate-chain"}, lambda: repeat(_PIECE))


@in_place_of("order")
def gzip_bomb(_: Exchange) -> Response:
    """An unrequested compressed body that unpacks to 100 MB."""
    return made_up(200, "application/json", _packed(), {"Content-Encoding": "gzip"})


@cache
def _packed() -> bytes:
    # Piece by piece: whoever watches the memory must not see ours.
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    zeros = bytes(1 << 16)
    return b"".join([*(packer.compress(zeros) for _ in range(LARGE_BYTES // len(zeros))), packer.flush()])
