"""Orders and authorizations that are not about what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import (
    Authorization,
    AuthorizationStatus,
    Client,
    Identifier,
    MalformedResponse,
    Order,
    OrderStatus,
)
from certwright.acme.authorization import check_authorization
from certwright.acme.order import check_identifiers
from tests.fakes.acme import ORIGIN

if TYPE_CHECKING:
    from tests.fakes.acme import FakeCa

URL = "https://ca.test/order/1"


def order(*identifiers: Identifier) -> Order:
    return Order(URL, OrderStatus.PENDING, identifiers, (), "https://ca.test/finalize")


def authorization(identifier: Identifier) -> Authorization:
    return Authorization("https://ca.test/authz/1", AuthorizationStatus.PENDING, identifier)


def dns(*names: str) -> list[Identifier]:
    return [Identifier("dns", name) for name in names]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (dns("b.example", "a.example", "*.a.example"), dns("*.a.example", "a.example", "b.example")),
        (dns("a.example", "a.example"), dns("A.Example.")),
        ([Identifier("ip", "2001:DB8:0::1")], [Identifier("ip", "2001:db8::1")]),
        ([Identifier("email", "me@a.example")], [Identifier("email", "me@a.example")]),
        ([Identifier("ip", "nonsense")], [Identifier("ip", "nonsense")]),
    ],
)
def test_order_and_spelling_do_not_matter(asked: list[Identifier], found: list[Identifier]) -> None:
    check_identifiers(order(*found), asked)


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (dns("a.example"), "without b.example$"),
        (dns("a.example", "b.example", "c.example"), "with c.example, which was not requested$"),
        (dns("c.example"), "without a.example, b.example and with c.example, which was not requested$"),
        ([], "without a.example, b.example$"),
        (
            dns("a.example", "b.example", *(f"n{n}.example" for n in range(9))),
            "n0.example, n1.example, n2.example and 6 m",
        ),
    ],
)
def test_an_order_for_something_else_is_a_contradiction(found: list[Identifier], complaint: str) -> None:
    with pytest.raises(MalformedResponse, match=f"contradicts itself: the order came back .*{complaint}") as caught:
        check_identifiers(order(*found), dns("a.example", "b.example"))
    assert caught.value.request_url == URL


@pytest.mark.parametrize("proved", ["a.b.example", "b.example", "A.B.Example"])
def test_a_name_of_the_order_or_a_domain_above_it_may_be_proved(proved: str) -> None:
    check_authorization(authorization(*dns(proved)), order(*dns("*.a.b.example")))


@pytest.mark.parametrize(
    "proved", [*dns("other.example", "x.a.example", "example.org", "ample"), Identifier("ip", "192.0.2.1")]
)
def test_nothing_else_may(proved: Identifier) -> None:
    with pytest.raises(MalformedResponse, match=r"the order is for a\.example, and this authorization for"):
        check_authorization(authorization(proved), order(*dns("a.example")))


@pytest.mark.parametrize("proved", [Identifier("ip", "0.2.1"), Identifier("dns", "192.0.2.1")])
def test_an_address_is_below_no_other_and_no_name(proved: Identifier) -> None:
    with pytest.raises(MalformedResponse):
        check_authorization(authorization(proved), order(Identifier("ip", "192.0.2.1")))


async def test_the_client_looks_at_what_it_gets(client: Client, ca: FakeCa) -> None:
    asked = dns("a.example")
    made = await client.new_order(asked)
    other: dict[str, Any] = {**ca.authorization(0), "identifier": {"type": "dns", "value": "other.example"}}
    ca.reply("/authz/0", ca.json(other))
    with pytest.raises(MalformedResponse, match=r"this authorization for other\.example"):
        await client.fetch_authorizations(made)
    ca.reply(
        "/new-order",
        ca.json(ca.order("pending", identifiers=[]), status=201, headers={"Location": f"{ORIGIN}/order/9"}),
    )
    ca.reply("/order/9", *[ca.json(ca.order("pending", identifiers=[]))] * 4)
    with pytest.raises(MalformedResponse, match=r"without a\.example"):
        await client.new_order(asked)
