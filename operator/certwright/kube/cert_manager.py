"""Whether cert-manager's controller runs in the cluster, judged by watching its Lease for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from certwright.cert_manager.api import CONTROLLER_LEASE, LEASE_NAMESPACE
from certwright.kube.errors import KubeError
from certwright.kube.lease import GROUP_VERSION, LeaseRecord, Sighting
from certwright.kube.paths import object_path
from certwright.runtime.leadership import boot_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.kube.client import KubeClient

LOOK_SECONDS: Final = 20.0
"""Between two looks, unless the caller waits for an end."""
LONGEST_LEASE: Final = 300.0
"""Whoever may write the Lease may write any duration."""


class IsLive(Protocol):
    """Says whether cert-manager's controller runs, see `CertManagerPresence.is_live_for`."""

    async def __call__(self, *, creating: bool) -> bool:
        """Say so to whoever would create something, or would not."""


class CertManagerPresence:
    """Looks at the Lease when it is asked, and not more often than it has to; one for all who ask.

    No wall clocks are compared: a Lease counts as held until it was seen unchanged for as long as it lasts. So the
    first look believes it, which delays Certificates after an uninstallation by a minute and never has two controllers
    at one Secret.

    Args:
        client: Sends the requests.
        namespace: Of the Lease: what ``--leader-election-namespace`` of its controller says.
        clock: Seconds.
    """

    def __init__(
        self, client: KubeClient, *, namespace: str = LEASE_NAMESPACE, clock: Callable[[], float] = boot_clock
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._looked_at: float | None = None
        self._seen = Sighting(LeaseRecord(), 0.0)

    @property
    def lease(self) -> str:
        """The Lease, for people."""
        return f"{self._namespace}/{CONTROLLER_LEASE}"

    async def is_live(self, *, within: float = LOOK_SECONDS) -> bool:
        """Whether cert-manager's controller runs.

        Args:
            within: How old the last look may be, in seconds.

        Raises:
            KubeError: It cannot be found out.
        """
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= within:
            self._seen = self._seen.then(await self._read(), now)
            self._looked_at = now
        over = self._seen.over_at(least=LOOK_SECONDS, most=LONGEST_LEASE) + LOOK_SECONDS
        return bool(self._seen.record.holder) and now < over

    async def is_live_for(self, *, creating: bool) -> bool:
        """The same for whoever serves what cert-manager's controller would serve.

        Before anything is created a "no" is asked for again: the controller may have come back since, and both would
        issue. What is there already can wait for the next look.

        Raises:
            KubeError: It cannot be found out.
        """
        return await self.is_live() or (creating and await self.is_live(within=0.0))

    async def _read(self) -> LeaseRecord:
        # A list needs no right besides the one by which other releases are seen.
        answer = await self._client.request(
            "GET",
            object_path(f"/apis/{GROUP_VERSION}", "leases", self._namespace),
            action="see whether cert-manager runs",
            query={"fieldSelector": f"metadata.name={CONTROLLER_LEASE}", "limit": "1"},
        )
        items = answer.get("items") or []
        try:
            return LeaseRecord.of(items[0].get("spec") or {}) if items else LeaseRecord()
        except (AttributeError, TypeError) as error:
            raise KubeError("see whether cert-manager runs", message="its Lease cannot be read") from error
