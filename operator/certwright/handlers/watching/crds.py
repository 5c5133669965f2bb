"""Waits until the API server serves our resources, because kopf may miss that moment.

kopf looks when a CRD changes, and the API server serves what a CRD defines a little later than it says so. A watch
opened too early never sees anything.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from certwright.handlers.errors import OperatorFailed
from certwright.kube.errors import KubeError, NotFound
from certwright.resources import API_VERSION

if TYPE_CHECKING:
    from certwright.handlers.watching.health import Watches
    from certwright.kube.client import KubeClient

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
UNNOTICED_SECONDS: Final = 15.0
"""For kopf to begin to watch what is served."""


class Crds:
    """Asks what is served of our group while something of it is missing.

    Args:
        client: Sends the requests, whoever leads.
        watches: Told what is served.
    """

    def __init__(self, client: KubeClient, watches: Watches) -> None:
        self._client = client
        self._watches = watches
        self._failure = ""

    async def wait_served(self) -> None:
        """Return once everything of ours is served."""
        while not await self._are_served():  # noqa: ASYNC110 - the API server sends no event
            await asyncio.sleep(POLL_SECONDS)

    async def mind(self) -> None:
        """Look after CRDs that are deleted and come back, until cancelled.

        Raises:
            OperatorFailed: They are back, and kopf has not noticed.
        """
        loop = asyncio.get_running_loop()
        since = None
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if not self._watches.unwatched or not await self._are_served():
                since = None
                continue
            since = since or loop.time()
            if loop.time() - since > UNNOTICED_SECONDS:
                raise OperatorFailed(
                    f"{', '.join(self._watches.unwatched)} came back, but the watches did not notice; "
                    "restart the operator"
                )

    async def _are_served(self) -> bool:
        try:
            answer = await self._client.request(
                "GET", f"/apis/{API_VERSION}", action=f"see whether {API_VERSION} is served"
            )
        except NotFound:
            answer = {}
        except KubeError as error:
            if str(error) != self._failure:
                logger.warning("%s; retrying", error)
            self._failure = str(error)
            self._watches.undiscovered(str(error))
            return False
        self._failure = ""
        return self._watches.discovered(answer)
