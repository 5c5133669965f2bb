"""Whether orders and authorizations are about what was asked for.

A server that mixes them up, or wants other names proved, is found out at once: before records are put into zones that
have nothing to do with it, and before there is a certificate for somebody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.acme.errors import MalformedResponse
from certwright.acme.identifier import Identifier
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.acme.authorization import Authorization
    from certwright.acme.order import Order

_SHOWN: Final = 3


def check_identifiers(order: Order, asked: Iterable[Identifier]) -> None:
    """Check that an order is for what was asked for; the server may sort it (RFC 8555 section 7.4).

    Raises:
        MalformedResponse: Names are missing, or there are others.
    """
    wanted, found = set(map(_canonical, asked)), set(map(_canonical, order.identifiers))
    missing, foreign = wanted - found, found - wanted
    if missing or foreign:
        parts = [f"without {_listed(missing)}"] if missing else []
        parts += [f"with {_listed(foreign)}, which nobody asked for"] if foreign else []
        raise _contradiction(order.url, f"the order came back {' and '.join(parts)}")


def check_authorization(authorization: Authorization, order: Order) -> None:
    """Check that an authorization is for a name of its order, or a domain above one (RFC 9444 section 4).

    Raises:
        MalformedResponse: It is for something else.
    """
    proved = _canonical(authorization.identifier)
    if not any(_proves(proved, _canonical(identifier)) for identifier in order.identifiers):
        raise _contradiction(
            authorization.url,
            f"the order is for {_listed(order.identifiers)}, and this authorization for {_listed([proved])}",
        )


def _proves(proved: Identifier, wanted: Identifier) -> bool:
    if proved.type != wanted.type:
        return False
    domain, name = proved.value.removeprefix("*."), wanted.value.removeprefix("*.")
    return name == domain or (proved.type == "dns" and name.endswith(f".{domain}"))


def _canonical(identifier: Identifier) -> Identifier:
    value = identifier.value.removesuffix(".").lower()
    try:
        return Identifier.ip(value) if identifier.type == "ip" else Identifier(identifier.type, value)
    except ValueError:
        return Identifier(identifier.type, value)


def _listed(identifiers: Iterable[Identifier]) -> str:
    texts = sorted(printable(identifier.value, 100) for identifier in identifiers)
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")


def _contradiction(url: str, complaint: str) -> MalformedResponse:
    return MalformedResponse(f"The server at {url} contradicts itself: {complaint}", url=url, status=200)
