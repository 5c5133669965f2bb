"""Nonces, redirects, headers and directories that are not as RFC 8555 has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multidict import CIMultiDict

from testbed.exchanges import Forward, Response

from .answers import made_up, with_header, with_members
from .fault import MARKER, changing, in_place_of
from .refusals import HTML, problem

if TYPE_CHECKING:
    from .fault import Exchange

ELSEWHERE = "https://127.0.0.9:9"
"""An origin at which nobody listens, and that is not the CA's."""


@changing("newOrder")
def answer_without_nonce(exchange: Exchange) -> Response:
    """A response has no nonce."""
    return with_header(exchange.answer, "Replay-Nonce")


@changing(errors=True)
def never_a_nonce(exchange: Exchange) -> Response:
    """No response has a nonce, not even that of newNonce."""
    return with_header(exchange.answer, "Replay-Nonce")


@changing("newOrder")
def used_nonce(exchange: Exchange) -> Response:
    """A response has a nonce that was used before."""
    return _used_before(exchange)


@changing(errors=True)
def always_the_same_nonce(exchange: Exchange) -> Response:
    """Every response has the same nonce."""
    return _used_before(exchange)


def _used_before(exchange: Exchange) -> Response:
    fresh = exchange.answer.headers.get("Replay-Nonce")
    if fresh is None:
        return exchange.answer
    return with_header(exchange.answer, "Replay-Nonce", exchange.memory.setdefault("nonce", fresh))


@in_place_of()
def every_nonce_refused(exchange: Exchange) -> Response | Forward:
    """Every signed request is rejected with badNonce, as by two servers that do not share nonces."""
    return problem(400, "badNonce", "never heard of this nonce") if exchange.request.method == "POST" else Forward()


@in_place_of("newOrder")
def redirect_on_same_host(exchange: Exchange) -> Response:
    """A redirect to another path."""
    return _redirect(f"{exchange.origin}/elsewhere")


@in_place_of("order")
def redirect_to_other_host(_: Exchange) -> Response:
    """A redirect to another host."""
    return _redirect(f"{ELSEWHERE}/elsewhere")


@in_place_of("directory")
def redirect_loop(exchange: Exchange) -> Response:
    """A redirect to itself."""
    return _redirect(f"{exchange.origin}{exchange.request.path}")


def _redirect(target: str) -> Response:
    return made_up(307, "text/html", HTML, {"Location": target})


@changing("newAccount")
def account_without_location(exchange: Exchange) -> Response:
    """The response to a new account has no Location."""
    return with_header(exchange.answer, "Location")


@changing("newOrder")
def order_without_location(exchange: Exchange) -> Response:
    """The response to a new order has no Location."""
    return with_header(exchange.answer, "Location")


@changing("newOrder", "order", "finalize", "newAccount")
def doubled_headers(exchange: Exchange) -> Response:
    """Every header field is sent twice, the second time with garbage."""
    headers = CIMultiDict(exchange.answer.headers)
    for name in set(headers) - {"Date", "Server"}:
        headers.add(name, MARKER)
    return Response(exchange.answer.status, headers, exchange.answer.body)


@changing("directory")
def directory_without_new_order(exchange: Exchange) -> Response:
    """The directory has no newOrder URL."""
    return with_members(exchange.answer, newOrder=None)


@changing("directory")
def directory_over_http(exchange: Exchange) -> Response:
    """The directory contains a URL that is not https."""
    return with_members(exchange.answer, newOrder="http://127.0.0.9:9/new-order")
