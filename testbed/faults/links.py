"""`Link` fields that lead round in circles, or on and on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .answers import made_up, with_header
from .fault import changing, in_place_of

if TYPE_CHECKING:
    from testbed.exchanges import Response

    from .fault import Exchange


@changing("certificate", "alternate")
def alternates_in_circle(exchange: Exchange) -> Response:
    """Each chain lists itself as its own alternate, a thousand times."""
    url = f"{exchange.origin}{exchange.request.path}"
    return with_header(exchange.answer, "Link", *([f'<{url}>;rel="alternate"'] * 1000))


@changing("certificate", "alternate")
def alternates_without_end(exchange: Exchange) -> Response:
    """Each chain lists a hundred more alternates, which do not exist."""
    path = exchange.request.path.partition("/alternate/")[0]
    links = [f'<{exchange.origin}{path}/alternate/{number}>;rel="alternate"' for number in range(900, 1000)]
    return with_header(exchange.answer, "Link", *links)


@changing("orders")
def orders_in_circle(exchange: Exchange) -> Response:
    """Each page of the order list names itself as the next page."""
    url = f"{exchange.origin}{exchange.request.path}"
    return with_header(exchange.answer, "Link", f'<{url}>;rel="next"')


@in_place_of("orders")
def orders_without_end(exchange: Exchange) -> Response:
    """Each page of the order list has another order and links to yet another page."""
    base, _, number = exchange.request.path.partition("/page/")
    page = int(number or "1")
    body = json.dumps({"orders": [f"{exchange.origin}/my-order/{page}"]}).encode()
    following = f'<{exchange.origin}{base}/page/{page + 1}>;rel="next"'
    return made_up(200, "application/json", body, {"Link": following})
