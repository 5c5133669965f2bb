"""Send the CSR."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.acme import BadCsr, OrderNotReady
from certwright.certificates.key_maker import KeyNotReady
from certwright.certificates.order_request import contents_of, subject_names, unsupported_message
from certwright.certificates.private_keys import with_key
from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError
from certwright.pki import build_csr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools

KEY_PAUSE: Final = dt.timedelta(seconds=3)
"""Between two looks for a key that takes long to make."""


@dataclass(frozen=True)
class Finalize(Act):
    """Send the CSR for the key, which is now in a Secret."""

    asks_ca: ClassVar[bool] = True
    uses_order: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Send it.

        Raises:
            IssuanceError: The CA contradicts itself about the order, or does not grant URIs or e-mail addresses.
        """
        try:
            observation, key = await with_key(observation, tools)
        except KeyNotReady as error:
            due = tools.clock() + KEY_PAUSE
            yield observation.with_open_order(key_due=due).noting("GeneratingKey", str(error))
            return
        yield observation  # if the answer is lost, the CA may have taken this key
        open_order, issuer = observation.open_order, observation.ready_issuer
        names = subject_names(observation.identifiers)  # the spec's, whatever the order says
        csr = await asyncio.to_thread(
            build_csr,
            key,
            dns_names=names.dns_names,
            ip_addresses=names.ip_addresses,
            common_name=observation.certificate.spec.effective_common_name,
            contents=contents_of(observation.certificate),
        )
        try:
            order = await issuer.client.finalize(open_order.order, csr)
        except BadCsr as error:
            if observation.request is None or not observation.request.unsupported:
                raise
            message = f"{error}. {unsupported_message(observation.request)}"
            raise IssuanceError("ContentsNotSupported", message, costly=True) from error
        except OrderNotReady:
            # The client has looked at the order already, and it is not on its way to a certificate.
            raise IssuanceError(
                "OrderNotReady",
                f"{issuer.spec.server} reports the order as ready but rejects finalization (orderNotReady).",
                answered=True,
            ) from None
        finalized = replace(open_order, order=order, finalized=True, polls=0).polled(order.retry_after, tools.clock())
        yield (
            observation.remember(open_order=finalized)
            .after_progress()
            .with_order_state(order)
            .noting("Finalizing", f"{issuer.spec.server} is issuing the certificate.")
        )
