"""The Lease of a release without leader election, which shows other releases that it is running."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from certwright.kube.errors import Conflict, KubeError, NotFound
from certwright.kube.lease import LeaseRecord, micro_time

if TYPE_CHECKING:
    from certwright.kube.lease import Lease, LeaseLock

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 5.0
DURATION_SECONDS: Final = 15


class Heartbeat:
    """Renews a Lease.

    Args:
        lock: The Lease.
        identity: This process.
    """

    def __init__(self, lock: LeaseLock, identity: str) -> None:
        self._lock = lock
        self._identity = identity
        self._held: Lease | None = None
        self._began = micro_time()
        self._failure = ""

    async def beat(self) -> None:
        """Renew it once, or create it. A failure is logged: it keeps other releases from seeing this one, no more."""
        record = LeaseRecord(self._identity, DURATION_SECONDS, self._began, micro_time())
        try:
            try:
                held = self._held or await self._lock.read()
                self._held = await (self._lock.create(record) if held is None else self._lock.replace(held, record))
            except (Conflict, NotFound):
                self._held = None  # another write was faster, or somebody removed it: the next beat reads it
        except KubeError as error:
            if str(error) != self._failure:
                logger.warning("other releases of Certwright cannot see this one: %s", error)
            self._failure = str(error)
        else:
            self._failure = ""

    async def release(self) -> None:
        """Give it back, so that another release need not wait until it is over."""
        held, self._held = self._held, None
        if held is None:
            return
        try:
            await self._lock.replace(held, LeaseRecord("", 1, self._began, micro_time()))
        except KubeError as error:
            logger.debug("%s was not released: %s", self._lock, error)
