"""Send the CSR."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from certwright.acme import OrderNotReady
from certwright.certificates.order_request import subject_names
from certwright.certificates.private_keys import with_key
from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError
from certwright.pki import build_csr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class Finalize(Act):
    """Send the CSR for the key, which is now in a Secret."""

    asks_ca: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Send it.

        Raises:
            IssuanceError: The CA contradicts itself about the order.
        """
        observation, key = await with_key(observation, tools.kube_api)
        yield observation  # if the answer is lost, the CA may have taken this key
        open_order, issuer = observation.open_order, observation.ready_issuer
        names = subject_names(observation.identifiers)  # the spec's, whatever the order says
        csr = await asyncio.to_thread(
            build_csr,
            key,
            dns_names=names.dns_names,
            ip_addresses=names.ip_addresses,
            common_name=observation.certificate.spec.common_name,
        )
        try:
            order = await issuer.client.finalize(open_order.order, csr)
        except OrderNotReady:
            # The client has looked at the order already, and it is not on its way to a certificate.
            yield observation.remember(open_order=None)  # the next try takes it up as it is then
            raise IssuanceError(
                "OrderNotReady",
                f"{issuer.spec.server} reports the order as ready but rejects finalization (orderNotReady).",
            ) from None
        finalized = replace(open_order, order=order, finalized=True, polls=0).polled(order.retry_after, tools.clock())
        yield (
            observation.remember(open_order=finalized)
            .after_progress()
            .with_order_state(order)
            .noting("Finalizing", f"{issuer.spec.server} is issuing the certificate.")
        )
