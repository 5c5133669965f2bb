"""`Link` fields that lead round in circles, or on and on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .answers import with_header
from .fault import changing

if TYPE_CHECKING:
    from testbed.exchanges import Response

    from .fault import Exchange


@changing("certificate", "alternate")
def alternates_in_circle(exchange: Exchange) -> Response:
    """Each chain names itself as an alternative to itself, a thousand times."""
    url = f"{exchange.origin}{exchange.request.path}"
    return with_header(exchange.answer, "Link", *([f'<{url}>;rel="alternate"'] * 1000))


@changing("certificate", "alternate")
def alternates_without_end(exchange: Exchange) -> Response:
    """Each chain names a hundred further ones, which are not there."""
    path = exchange.request.path.partition("/alternate/")[0]
    links = [f'<{exchange.origin}{path}/alternate/{number}>;rel="alternate"' for number in range(900, 1000)]
    return with_header(exchange.answer, "Link", *links)


@changing("orders")
def orders_in_circle(exchange: Exchange) -> Response:
    """Each page of the list of orders names itself as the next one."""
    url = f"{exchange.origin}{exchange.request.path}"
    return with_header(exchange.answer, "Link", f'<{url}>;rel="next"')


@changing("orders")
def orders_without_end(exchange: Exchange) -> Response:
    """Each page of the list of orders names another one as the next."""
    number = int(exchange.memory.get("page", "0")) + 1
    exchange.memory["page"] = str(number)
    path = exchange.request.path.partition("/page/")[0]
    return with_header(exchange.answer, "Link", f'<{exchange.origin}{path}?further={number}>;rel="next"')
