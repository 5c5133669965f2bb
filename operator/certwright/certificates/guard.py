"""The guard beside cert-manager: if both controllers would write a Secret, Certwright leaves it alone.

While cert-manager's controller holds its Lease, its Certificates are watched, and only the names of their Secrets are
kept. Without a live Lease, only that Lease is read. An issuance costs no additional request in either case.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager import api
from certwright.cert_manager.spec import mapping
from certwright.certificates.store import certificate_key
from certwright.kube.cert_manager import LOOK_SECONDS
from certwright.kube.errors import Forbidden, KubeError
from certwright.kube.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.certificates.store import Certificates
    from certwright.kube.cert_manager import CertManagerPresence
    from certwright.kube.list_watch import ListWatches, Sink
    from certwright.resources import Certificate
    from certwright.runtime.key import Key

logger = logging.getLogger(__name__)

THEIR_CERTIFICATES: Final = Resource(api.GROUP, api.VERSION, "certificates", "Certificate", is_qualified=True)
MAX_NAME: Final = 253
"""Of a Secret; cert-manager's schema has no bound."""
HURRY_SECONDS: Final = 5.0
"""Between two looks at the Lease while something is held because of it."""
UNSETTLED_SECONDS: Final = 1.0
"""Between two looks before the first answer: nothing is issued meanwhile."""
LISTING_SECONDS: Final = 20.0
"""How long the first list is waited for; who went on without one would be no worse than without the guard."""


@dataclass(frozen=True)
class Rival:
    """A Certificate of cert-manager that names the Secret of one of ours while its controller runs.

    Attributes:
        name: Its name.
        lease: The Lease that shows its controller to run.
    """

    name: str
    lease: str


UNKNOWN: Final = Rival("", "")
"""Whether there is one is not known yet."""


class TheirCertificates:
    """Which Secrets the Certificates of cert-manager name; takes the news of a list-watch.

    They come whole, as their metadata does not name the Secret, and of each two texts are kept: 0.5 KB.

    Args:
        on_change: Called with the namespace and name of a Secret whose claimants have changed.
    """

    def __init__(self, on_change: Callable[[str, str], object]) -> None:
        self._on_change = on_change
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        self._of_secret: dict[tuple[str, str], tuple[str, ...]] = {}
        """The names of those that name a Secret: nearly always one."""

    def of_secret(self, namespace: str, name: str) -> Mapping[str, str]:
        """Return the UIDs of those that name a Secret, by their names."""
        return {one: self._known[namespace, one][1] for one in self._of_secret.get((namespace, name), ())}

    @property
    def secrets(self) -> list[tuple[str, str]]:
        """The Secrets that are named: namespace and name."""
        return list(self._of_secret)

    def clear(self) -> None:
        """Forget all of them."""
        for namespace, name in list(self._known):
            self._drop(namespace, name)

    def wants(self, _resource: Resource, body: Mapping[str, Any]) -> bool:
        """Whether it names what can be a Secret."""
        return _secret_name(body) is not None

    async def take_event(self, _resource: Resource, event: str | None, body: Mapping[str, Any]) -> None:
        """Take in news."""
        metadata, secret = body["metadata"], _secret_name(body)
        namespace, name = sys.intern(str(metadata.get("namespace") or "")), metadata["name"]
        if event == "DELETED" or secret is None:
            self._drop(namespace, name)
            return
        claim = (secret, str(metadata.get("uid") or ""))
        if self._known.get((namespace, name)) == claim:
            return
        self._drop(namespace, name)
        self._known[namespace, name] = claim
        self._of_secret[namespace, secret] = (*self._of_secret.get((namespace, secret), ()), name)
        self._on_change(namespace, secret)

    async def take_list(self, _resource: Resource, namespace: str | None, uids: set[str], _version: int) -> None:
        """Take in a complete list."""
        for (place, name), (_, uid) in list(self._known.items()):
            if namespace in (None, place) and uid not in uids:
                self._drop(place, name)

    def take_rewind(self, _resource: Resource, _namespace: str | None) -> None:
        """Take in that versions went back: the list that follows says it all."""

    def _drop(self, namespace: str, name: str) -> None:
        known = self._known.pop((namespace, name), None)
        if known is None:
            return
        place = (namespace, known[0])
        if others := tuple(one for one in self._of_secret[place] if one != name):
            self._of_secret[place] = others
        else:
            del self._of_secret[place]
        self._on_change(*place)


class CertManagerGuard:
    """Knows for which Certificates cert-manager is at work.

    Args:
        presence: Whether its controller runs; asked whoever leads.
        certificates: Ours.
        wake: Has Certificates looked at.
    """

    def __init__(self, presence: CertManagerPresence, certificates: Certificates, wake: Callable[..., object]) -> None:
        self._presence = presence
        self._certificates = certificates
        self._wake = wake
        self._theirs = TheirCertificates(self._changed)
        self._watches: ListWatches | None = None
        self._is_live: bool | None = None
        self._is_settled = False
        self._parked: set[Key] = set()
        self._failure = ""

    @property
    def trouble(self) -> str | None:
        """What is not seen and why, for the user; None if everything is that has to be."""
        return self._watches.trouble if self._watches is not None else None

    def rival_of(self, certificate: Certificate) -> Rival | None:
        """Return the Certificate of cert-manager that keeps ours from its Secret; `UNKNOWN` right after the start."""
        if not self._is_settled:
            self._parked.add(certificate_key(certificate))
            return UNKNOWN
        if not self._is_live:
            return None
        metadata = certificate.metadata
        theirs = self._theirs.of_secret(metadata.namespace or "", certificate.spec.secret_name)
        names = sorted(name for name, uid in theirs.items() if uid != metadata.annotations.get(api.BESIDE))
        return Rival(names[0], self._presence.lease) if names else None

    def has_claim(self, namespace: str, secret: str) -> bool:
        """Whether a Certificate of cert-manager names a Secret, and its controller runs."""
        return bool(self._is_live) and bool(self._theirs.of_secret(namespace, secret))

    async def run(self, make_watches: Callable[[Sink], ListWatches]) -> None:
        """Look after the Lease, and watch while it is held, until cancelled.

        Args:
            make_watches: Makes list-watches of cert-manager's Certificates that tell what they see.
        """
        async with asyncio.TaskGroup() as group:
            watching: asyncio.Task[None] | None = None
            while True:
                self._is_live = await self._look()
                if self._is_live and watching is None:
                    self._watches = make_watches(self._theirs)
                    watching = group.create_task(self._watches.run())
                    await self._wait_settled(self._watches)
                elif self._is_live is False and watching is not None:
                    logger.info("cert-manager's controller is no longer running: Certwright serves all Secrets again")
                    watching.cancel()
                    await asyncio.wait([watching])
                    watching = self._watches = None
                    self._theirs.clear()
                if self._is_live is not None:
                    self._settle()
                await asyncio.sleep(self._pause())

    async def _look(self) -> bool | None:
        """Return whether its controller runs: as before if that cannot be told, None if it never could."""
        try:
            live = await self._presence.is_live(within=self._pause())
        except KubeError as error:
            if str(error) != self._failure:
                needs = ". The service account needs list for leases (coordination.k8s.io)"
                advice = needs if isinstance(error, Forbidden) else ""
                logger.warning("cannot determine whether cert-manager's controller is running: %s%s", error, advice)
            self._failure = str(error)
            # Without the right it never can be told: what is asked of us is done, as without the guard.
            return False if isinstance(error, Forbidden) and self._is_live is None else self._is_live
        self._failure = ""
        if live and not self._is_live:
            logger.info(
                "cert-manager's controller holds the Lease %s: leaving Secrets that its Certificates name to it",
                self._presence.lease,
            )
        return live

    def _pause(self) -> float:
        """How many seconds to wait before the next look: fewer while something waits for it."""
        if not self._is_settled:
            return UNSETTLED_SECONDS
        holds = self._is_live and any(self._certificates.of_secret(*place) for place in self._theirs.secrets)
        return HURRY_SECONDS if holds else LOOK_SECONDS

    async def _wait_settled(self, watches: ListWatches) -> None:
        try:
            async with asyncio.timeout(LISTING_SECONDS):
                await watches.settled()
        except TimeoutError:
            logger.warning("cert-manager's Certificates could not be listed in %g s: %s", LISTING_SECONDS, self.trouble)

    def _settle(self) -> None:
        self._is_settled = True
        parked, self._parked = self._parked, set()
        self._wake(*parked)

    def _changed(self, namespace: str, secret: str) -> None:
        """Have ours looked at that name a Secret; before it is settled they wait anyway."""
        if self._is_settled:
            self._wake(*self._certificates.keys_of_secret(namespace, secret))


def _secret_name(body: Mapping[str, Any]) -> str | None:
    name = mapping(body.get("spec")).get("secretName")
    return name if isinstance(name, str) and 0 < len(name) <= MAX_NAME else None
