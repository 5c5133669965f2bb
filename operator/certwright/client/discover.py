"""Which challenges a CA offers for given names: the only way to know is to order."""

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
        name: The name as it was asked for.
        status: `valid` if the account has validated it already, as a rule `pending`.
        challenge_types: What would validate it, in the server's order.
        order_url: The order that was made to find out.
    """

    name: str
    status: AuthorizationStatus
    challenge_types: tuple[str, ...]
    order_url: str


async def discover(
    client: Client, names: Sequence[str | Identifier], *, profile: str | None = None
) -> tuple[Offer, ...]:
    """Find out which challenges the CA offers for names.

    This makes an order, because ACME has no other way: it counts against the CA's limit of orders. Nothing is presented
    and no challenge is answered, so no validation can fail; the order is left to expire by itself, after a week or so.
    A later order for the same names may reuse it. Its authorizations are not deactivated: some CAs count that as a
    failure.

    Args:
        client: An account that is registered.
        names: Domain names, wildcards and IP addresses.
        profile: One of the directory's `meta.profiles`; some offer other challenges.

    Returns:
        One for each name, in the order of the names.

    Raises:
        InvalidIdentifier: A name is none.
        RejectedIdentifier: The CA does not issue for a name at all.
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
