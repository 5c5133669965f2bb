"""Extra reads by a new leader, because its predecessor's last writes may not have arrived through the watch yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from certwright.certificates.plan import plan
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.steps.step import Rest
from certwright.kube.errors import NotFound
from certwright.resources import Certificate
from certwright.runtime.labour import in_thread

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


class Takeover:
    """Reads a Certificate, and its Secret if that is watched, into the stores; once for each Certificate.

    A version from after this process began to lead needs no reading: no other leader has written since. The first
    look asks for the version of the whole collection, which tells these apart.

    Args:
        tools: For the API server, and whether this process may act.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._one_at_a_time = asyncio.Lock()
        self._version: int | None = None

    def is_needed(self, observation: Observation) -> bool:
        """Whether a Certificate must be looked at twice before anything is done about it.

        Resting on old news does no harm. Acting on it may cost a second order: the leader before may have ordered a
        tenth of a second ago. A process that runs alone began with a list, and no other process writes.
        """
        if observation.memory.caught_up or not self._tools.leadership.is_limited:
            return False
        step = plan(observation, self._tools.clock())
        return not isinstance(step, Rest) and step.needs_latest

    async def read_again(self, observation: Observation) -> None:
        """Have the stores hold what there is.

        Raises:
            NotFound: The Certificate is gone.
            KubeError: It cannot be read.
        """
        certificate, kube_api = observation.certificate, self._tools.kube_api
        metadata, namespace = certificate.metadata, observation.namespace
        async with self._one_at_a_time:
            if self._version is None:
                self._version = await kube_api.collection_version(Certificate.PLURAL, namespace)
        secret_is_watched = observation.secret is not None and observation.memory.unwatched is None
        if secret_is_watched or int(metadata.resource_version or 0) <= self._version:
            found = await kube_api.read_custom(Certificate.PLURAL, namespace, metadata.name)
            if found is None:
                raise NotFound(f"read {certificate.display_name}", status=404)
            self._tools.on_written(found)
        if secret_is_watched:
            secret = await kube_api.read_secret(namespace, certificate.spec.secret_name)
            if secret is not None:
                self._tools.on_secret_written(await in_thread(SecretFacts.of, secret))
