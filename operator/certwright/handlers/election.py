"""Takes part in the leader election, and ends the process when it loses the leadership."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.kube.claims import Scope, claim
from certwright.kube.client import KubeClient, Patience
from certwright.kube.election import Elector, Timing
from certwright.kube.lease import LeaseLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.kube.common_metadata import CommonMetadata
    from certwright.kube.login import ApiClient
    from certwright.metrics import Metrics
    from certwright.runtime.leadership import Leadership

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Election:
    """What to stand for.

    Attributes:
        lease_name: Of the Lease, which is in the operator's namespace.
        identity: This process.
        on_lost: Called when the lease is lost, before anything else is: it sees to it that the process ends soon,
            whatever hangs.
    """

    lease_name: str
    identity: str
    on_lost: Callable[[], None]


class Candidate:
    """An elector that begins when the watches run and ends after the work has.

    Args:
        api: Client of the API server.
        election: What to stand for.
        namespace: Where the Lease is.
        common: Labels and annotations for it.
        scope: What the release serves, for other releases to see.
        leadership: Begun, extended and ended here.
        metrics: Shows the transitions, counts the requests.
        abort: Ends the work at once.
    """

    def __init__(
        self,
        api: ApiClient,
        election: Election,
        *,
        namespace: str,
        common: CommonMetadata | None = None,
        scope: Scope | None = None,
        leadership: Leadership,
        metrics: Metrics,
        abort: Callable[[], None],
    ) -> None:
        timing = Timing()
        self._leadership = leadership

        def lost() -> None:
            election.on_lost()
            abort()

        self._elector = Elector(
            LeaseLock(
                # The election decides itself when to try again.
                KubeClient(api, on_request=metrics.kube_request, patience=Patience(request=timing.request, tries=1)),
                namespace=namespace,
                name=election.lease_name,
                common=common,
                claim=claim(scope or Scope()),
            ),
            leadership,
            identity=election.identity,
            on_lost=lost,
            on_transitions=metrics.lease_transitions,
            timing=timing,
        )
        self._resign = asyncio.Event()

    @property
    def trouble(self) -> str | None:
        """Why it could not take over now, or None."""
        return self._elector.trouble

    @property
    def lost(self) -> str | None:
        """Why leadership was lost, or None. A worker may notice it before the elector does."""
        if self._elector.lost is not None or self._resign.is_set():
            return self._elector.lost
        if self._leadership.begun.is_set() and not self._leadership.holds():
            return "the lease is lost: it expired while this process was frozen"
        return None

    async def run(self, watching: asyncio.Event) -> None:
        """Stand for election from the moment that everything is watched, until `resign`.

        Raises:
            LeadershipLost: After having led.
        """
        # Who cannot watch must not keep the lease from those who can.
        waiting = [asyncio.create_task(event.wait()) for event in (watching, self._resign)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if not self._resign.is_set():
            await self._elector.run(self._resign)

    def resign(self) -> None:
        """Stand no more, and give the lease back: nothing acts any more."""
        self._resign.set()
