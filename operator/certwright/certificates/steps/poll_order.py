"""Ask the CA for the state of the order."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError
from certwright.text import listed, rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools

LONGEST_ORDER: Final = dt.timedelta(days=7)
"""How long an order is followed if it does not end before; that is how long Let's Encrypt keeps one."""


@dataclass(frozen=True)
class PollOrder(Act):
    """Ask the CA once how far the order is."""

    asks_ca: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Ask.

        Raises:
            IssuanceError: It has not progressed although its time is over: it would be asked about for ever.
        """
        before = observation.open_order
        order = await observation.ready_issuer.client.fetch_order(before.order.url, known=before.order)
        now = tools.clock()
        end = end_of(before.started_at, order.expires)
        undecided = order.status in ("pending", "processing") or (order.status == "ready" and before.finalized)
        if undecided and now > end:
            raise IssuanceError(
                "OrderExpired",
                f"The order {order.url} is still {order.status.value}, but it expired at {rfc3339(end)}. "
                f"{_last_said(observation)}A new one will be placed.",
                costly=True,
                answered=True,
            )
        polled = before.seen(order).polled(order.retry_after, now)
        yield observation.remember(open_order=polled).after_progress().with_order_state(order)


def end_of(started_at: dt.datetime, expires: dt.datetime | None) -> dt.datetime:
    """Return until when an order is followed."""
    latest = started_at + LONGEST_ORDER
    return latest if expires is None else min(expires, latest)


def _last_said(observation: Observation) -> str:
    """Return what the CA said last about domains that are not validated, as a sentence, or nothing."""
    order = observation.status.order
    errors = [f"{one.name}: {one.error}" for one in (order.authorizations if order else ()) if one.error]
    return f"The CA last said: {listed(errors)}. " if errors else ""
