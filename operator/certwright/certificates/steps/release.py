"""Remove the finalizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.finalizer import let_go
from certwright.certificates.order.responses import presented_responses
from certwright.certificates.revocations import is_unrevoked
from certwright.certificates.steps.clean_up import leave_behind
from certwright.certificates.steps.revoke import tell_not_revoked
from certwright.certificates.steps.step import Act
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class Release(Act):
    """Take our finalizer off: nothing is left to clean up, or it has taken too long."""

    cleans_up: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Let the Certificate go. Raises `KubeError`."""
        if presented_responses(observation.status):
            await leave_behind(observation, tools, "The Certificate is deleted anyway.", "CertificateGone")
        if is_unrevoked(observation):
            tell_not_revoked(observation, tools, "It could not be done within ten minutes.")
        observation = await let_go(observation, tools)
        yield observation.remember(cleaning_up=Backoff())
