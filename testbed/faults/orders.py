"""Orders, authorizations and challenges that contradict what was asked for, or never come to an end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from testbed.exchanges import Response

from .answers import with_challenges, with_members
from .fault import MARKER, changing
from .protocol import ELSEWHERE

if TYPE_CHECKING:
    from .fault import Exchange

OTHER_NAME = "other.example.test"
TOO_MANY = 2500


@changing("order", "finalize")
def always_processing(exchange: Exchange) -> Response:
    """A finalized order stays in processing forever."""
    if exchange.request.path.startswith("/finalize"):
        exchange.memory["finalized"] = "yes"
    if "finalized" not in exchange.memory:
        return exchange.answer
    return with_members(exchange.answer, status="processing", certificate=None)


@changing("order", "finalize")
def processing_beyond_its_end(exchange: Exchange) -> Response:
    """A finalized order stays in processing after it has expired."""
    stuck = always_processing.effect(exchange)
    if stuck is exchange.answer or not isinstance(stuck, Response):
        return exchange.answer
    return with_members(stuck, expires="2020-01-01T00:00:00Z")


@changing("order")
def unknown_status(exchange: Exchange) -> Response:
    """An order has a status that RFC 8555 does not define."""
    return with_members(exchange.answer, status="contemplating")


@changing("newOrder")
def order_for_other_names(exchange: Exchange) -> Response:
    """A new order is for a domain other than the one requested."""
    return with_members(exchange.answer, identifiers=[{"type": "dns", "value": OTHER_NAME}])


@changing("newOrder")
def order_for_more_names(exchange: Exchange) -> Response:
    """A new order has one domain more than requested."""
    asked = json.loads(exchange.answer.body)["identifiers"]
    return with_members(exchange.answer, identifiers=[*asked, {"type": "dns", "value": OTHER_NAME}])


@changing("newOrder")
def too_many_authorizations(exchange: Exchange) -> Response:
    """A new order requires thousands of authorizations."""
    (first, *_) = json.loads(exchange.answer.body)["authorizations"]
    return with_members(exchange.answer, authorizations=[f"{first[:-6]}{n:06}" for n in range(TOO_MANY)])


@changing("order", "finalize")
def valid_without_certificate(exchange: Exchange) -> Response:
    """A valid order has no certificate URL."""
    return with_members(exchange.answer, certificate=None)


@changing("order", "finalize")
def certificate_elsewhere(exchange: Exchange) -> Response:
    """The certificate URL points to another host, which does not respond."""
    document = json.loads(exchange.answer.body)
    return with_members(exchange.answer, certificate=f"{ELSEWHERE}/certificate" if "certificate" in document else None)


@changing("authorization")
def authorization_for_other_name(exchange: Exchange) -> Response:
    """An authorization is for a domain that is not in the order."""
    return with_members(exchange.answer, identifier={"type": "dns", "value": OTHER_NAME})


@changing("authorization")
def challenge_without_token(exchange: Exchange) -> Response:
    """The challenges have no token."""
    return with_challenges(exchange.answer, token=None)


@changing("authorization")
def evil_token(exchange: Exchange) -> Response:
    """The tokens contain path traversal out of the folder they are served from."""
    return with_challenges(exchange.answer, token=f"../../../../etc/{MARKER}")


@changing("authorization")
def no_challenges(exchange: Exchange) -> Response:
    """An authorization offers no challenges."""
    return with_members(exchange.answer, challenges=[])
