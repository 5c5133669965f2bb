"""Remove responses that depend on a replaced account key, so that the order continues with new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.order.responses import presented_responses
from certwright.certificates.steps.clean_up import remove_responses, without_responses
from certwright.certificates.steps.step import Act
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.open_order import OpenOrder
    from certwright.certificates.tools import Tools


def is_needed(observation: Observation, open_order: OpenOrder) -> bool:
    """Whether challenges wait to be answered whose responses are for a former account key.

    A key authorization names the key (RFC 8555 section 8.1). One that was answered already stays as it is: the CA has
    begun to look for it.
    """
    issuer = observation.issuer
    if issuer is None or not open_order.challenges or not open_order.account_key:
        return False
    return open_order.account_key != issuer.client.key.thumbprint


@dataclass(frozen=True)
class ReplaceResponses(Act):
    """Remove what was put in place; the order stays, and is resumed with responses by the present key.

    A kill before those are written down leaves the former ones in the status: they are removed again, which does no
    harm.
    """

    cleans_up: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Remove them.

        Raises:
            DnsError: A record could not be removed.
            IssuanceError: The credentials are missing.
            SolverError: Rules could not be taken out of an Ingress that others change all the time.
            KubeError: An object could not be removed.
        """
        await remove_responses(observation, tools, presented_responses(observation.status))
        observation = without_responses(observation, keep_url=True)
        yield observation.remember(open_order=None, presenters={}, cleaning_up=Backoff())
