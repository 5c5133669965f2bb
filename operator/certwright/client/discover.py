"""Which challenges a CA offers for given names. The only way to find out is to place an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.acme import Identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme import AuthorizationStatus, Client


@dataclass(frozen=True)
class Offer:
    """What the CA offers for one name.

    Attributes:
        name: The name as given by the caller.
        status: `valid` if the account has already validated it, usually `pending`.
        challenge_types: The challenges that the CA offers, in the server's order.
        order_url: The order that was placed to find out.
    """

    name: str
    status: AuthorizationStatus
    challenge_types: tuple[str, ...]
    order_url: str


async def discover(
    client: Client, names: Sequence[str | Identifier], *, profile: str | None = None
) -> tuple[Offer, ...]:
    """Find out which challenges the CA offers for names.

    This places an order, because ACME has no other way, and the order counts against the CA's rate limit. No challenge
    is answered, so no validation can fail. The order expires by itself after about a week, unless a later order for the
    same names reuses it. Its authorizations are not deactivated, because some CAs count that as a failure.

    Args:
        client: A client with a registered account.
        names: Domain names, wildcards and IP addresses.
        profile: One of the directory's `meta.profiles`; the challenges may depend on it.

    Returns:
        One offer for each name, in the order of the names.

    Raises:
        InvalidIdentifier: A name is neither a domain nor an IP address.
        RejectedIdentifier: The CA does not issue certificates for a name.
        RateLimited: A limit is exceeded.
    """
    order = await client.new_order(Identifier.of(names), profile=profile)
    identifiers = [name if isinstance(name, Identifier) else Identifier.parse(name) for name in names]
    found = {
        authorization.name: Offer(
            authorization.name,
            authorization.status,
            tuple(challenge.type for challenge in authorization.challenges),
            order.url,
        )
        for authorization in await client.fetch_authorizations(order)
    }
    return tuple(found[identifier.value] for identifier in identifiers if identifier.value in found)
