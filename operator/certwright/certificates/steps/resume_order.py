"""Go on with an order that an earlier process placed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from certwright.certificates.authorizations import authorization_entries, find_challenge, pending
from certwright.certificates.finalizer import hold
from certwright.certificates.open_order import OpenOrder
from certwright.certificates.responses import (
    files_of,
    must_be_held,
    presented_responses,
    records_of,
    response_of,
    same_presenters,
)
from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.acme import Authorization
    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.resources import OrderStatus


@dataclass(frozen=True)
class ResumeOrder(Act):
    """Fetch the order that the status names: the operator was restarted meanwhile."""

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Fetch it, and go on where it is."""
        issuer, kept = observation.ready_issuer, observation.status.order
        if kept is None or kept.url is None:
            raise AssertionError("there is no order to resume")
        if urlsplit(kept.url).netloc != urlsplit(issuer.account_url).netloc:
            raise IssuanceError(
                "OrderElsewhere",
                f"status.order.url, {kept.url[:200]}, is not on the account's host. Another client changed it; the "
                "order is abandoned.",
                costly=True,
            )
        order = await issuer.client.fetch_order(kept.url)
        open_order = OpenOrder(order=order, started_at=kept.created_at, next_look=tools.clock(), resumed=True)
        if order.status == "pending":
            authorizations = await issuer.client.fetch_authorizations(order)
            open_order = _with_responses(open_order, authorizations, kept)
            presenters = await same_presenters(observation, tools, open_order.responses)
            entries = authorization_entries(authorizations, open_order, kept.authorizations)
            observation = observation.remember(presenters=presenters).with_order(authorizations=entries)
            yield observation
        outside = presented_responses(observation.status)
        await tools.ledger.hold(observation.uid, records_of(outside.values()))
        if must_be_held(outside, kept.solver_objects):
            observation = await hold(observation, tools)  # an earlier try may have failed between the order and this
        message = f"Resuming the order {kept.url}, which is {order.status.value}."
        yield observation.with_order_state(order).remember(open_order=open_order).noting("Resuming", message)


def _with_responses(open_order: OpenOrder, authorizations: tuple[Authorization, ...], kept: OrderStatus) -> OpenOrder:
    """Return the order with the responses that the status has, and the challenges that are still to be answered."""
    responses = {entry.name: found for entry in kept.authorizations if (found := response_of(entry)) is not None}
    challenges, names = {}, set()
    for authorization in pending(authorizations):
        name = authorization.name
        if name not in responses:
            raise IssuanceError(
                "OrderChanged", f"The order {kept.url} now requires {name}, which it did not before.", costly=True
            )
        names.add(name)
        challenge = find_challenge(authorization, responses[name].challenge_type)
        if challenge.status == "pending":
            challenges[name] = challenge
    # Of those that are answered the CA may ask once more, and what answered may have gone with the earlier process.
    # Files that are validated already stay with the others: those that answer for fewer would be other objects.
    files = set(files_of(responses.values())) if names else set()
    kept_responses = {name: one for name, one in responses.items() if name in names or one in files}
    return replace(open_order, challenges=challenges, responses=kept_responses)
