"""Add the finalizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.finalizer import hold
from certwright.certificates.steps.step import Act

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


@dataclass(frozen=True)
class Hold(Act):
    """Hold the Certificate, so that its certificate can be revoked before it goes."""

    cleans_up: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Hold it. Raises `KubeError`."""
        yield await hold(observation, tools)
