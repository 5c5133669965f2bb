"""Find out why an order failed at the CA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.acme import ServerResponseError
from certwright.certificates.steps.step import Act

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class RecordFailure(Act):
    """The CA gave the order up: find out which names failed and why; the failure of this step carries it.

    The order is read once more before: one damaged answer must not cost it.
    """

    asks_ca: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Ask.

        Raises:
            OrderFailed: Unless the order is not invalid after all.
        """
        before, client = observation.open_order, observation.ready_issuer.client
        try:
            order = await client.fetch_order(before.order.url, known=before.order)
        except ServerResponseError as error:
            if error.temporary:
                raise
            order = before.order  # some CAs forget an order that failed
        if order.status != "invalid":
            again = before.seen(order).polled(order.retry_after, tools.clock())
            yield observation.remember(open_order=again).with_order_state(order)
            return
        raise await client.order_failure(order)
