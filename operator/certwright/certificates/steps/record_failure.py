"""Find out why the CA gave an order up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.steps.step import Act

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class RecordFailure(Act):
    """The CA gave the order up: find out which names failed and why; the failure of this step carries it."""

    asks_ca: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:  # noqa: ARG002 - as every step
        """Ask.

        Raises:
            OrderFailed: Always.
        """
        yield observation
        raise await observation.ready_issuer.client.order_failure(observation.open_order.order)
