"""Ask the CA how far the order is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools

LONGEST_ORDER: Final = dt.timedelta(days=7)
"""How long an order is followed if it does not end before; that is how long Let's Encrypt keeps one."""


@dataclass(frozen=True)
class PollOrder(Act):
    """Ask the CA once how far the order is."""

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Ask.

        Raises:
            IssuanceError: It has not progressed although its time is over: it would be asked about for ever.
        """
        before = observation.open_order
        order = await observation.ready_issuer.client.fetch_order(before.order.url)
        now = tools.clock()
        latest = before.started_at + LONGEST_ORDER
        end = latest if order.expires is None else min(order.expires, latest)
        undecided = order.status in ("pending", "processing") or (order.status == "ready" and before.finalized)
        if undecided and now > end:
            raise IssuanceError(
                "OrderExpired",
                f"The order {order.url} is still {order.status.value}, but it expired at {rfc3339(end)}. "
                "A new one will be placed.",
                costly=True,
            )
        yield observation.remember(open_order=before.seen(order).polled(order.retry_after, now)).with_order_state(order)
