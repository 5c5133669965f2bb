"""Read an order again after requests based on it have failed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.steps.step import Act

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from certwright.acme import Authorization, Challenge
    from certwright.certificates.observation import Observation
    from certwright.certificates.open_order import OpenOrder
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class RereadOrder(Act):
    """Read the order, and the challenges that are not answered yet: one damaged answer must not last.

    A URL in it that leads nowhere would be asked until the order expires. It is no progress, so tries are counted on.
    """

    asks_ca: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:  # noqa: ARG002 - as every step
        """Read it."""
        before, client = observation.open_order, observation.ready_issuer.client
        order = await client.fetch_order(before.order.url, known=before.order)
        read: OpenOrder | None = replace(before, order=order, doubted=False)
        if order.status == "pending" and before.challenges:
            challenges = _as_now(before, await client.fetch_authorizations(order))
            # What was presented may be for a challenge that there never was: `ResumeOrder` compares it.
            read = None if challenges is None else replace(before, order=order, doubted=False, challenges=challenges)
        yield observation.remember(open_order=read).with_order_state(order)


def _as_now(before: OpenOrder, authorizations: Iterable[Authorization]) -> dict[str, Challenge] | None:
    """Return the unanswered challenges as they are now; None if they are others than those that were prepared for."""
    found = {one.name: one for one in authorizations}
    challenges: dict[str, Challenge] = {}
    for name, ours in before.challenges.items():
        now = found[name].challenge(ours.type) if name in found else None
        if now is None or now.token != ours.token or found[name].status not in ("pending", "valid"):
            return None
        if now.status == "pending" and found[name].status == "pending":
            challenges[name] = now
    return challenges
