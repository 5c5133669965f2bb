"""Which namespaces each release of Certwright in a cluster serves, written into its Lease for the others to see.

Two releases that serve the same namespace would order every certificate there twice. So each leader writes its scope
into the Lease that it renews anyway, and reads the Leases of the others: the release with the older Lease continues,
and the others do nothing in the namespaces that they share with it. As in an election, a Lease counts as long as it is
seen to be renewed, and wall clocks are not compared.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection  # noqa: TC003 - dataclasses are easier to read with real annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.errors import Forbidden, KubeError, NotFound
from certwright.kube.heartbeat import BEAT_SECONDS
from certwright.kube.lease import GROUP_VERSION, LeaseRecord, Sighting
from certwright.kube.paths import object_path
from certwright.runtime.leadership import boot_clock
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.kube.client import KubeClient
    from certwright.kube.heartbeat import Heartbeat

logger = logging.getLogger(__name__)

OPERATOR_LABEL: Final = "certwright.io/operator"
NAMESPACES_ANNOTATION: Final = "certwright.io/namespaces"
EVERYWHERE: Final = "*"
REFRESH_SECONDS: Final = 15.0
"""Between two looks: one that comes second looks before it acts, so this is how soon one that ended is noticed."""
LEAST_SECONDS: Final = 10.0
"""For so long a Lease counts that is not renewed, whatever it says of itself."""
LONGEST_SECONDS: Final = 600.0
MAX_RELEASES: Final = 200
MAX_SCOPE: Final = 500
"""Namespaces of another release that are read. Whoever may create a Lease anywhere can write anything into one."""
MAX_SHOWN: Final = 5
_NAMESPACE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Scope:
    """The namespaces that a release serves.

    Attributes:
        namespaces: Their names; empty for all.
    """

    namespaces: Collection[str] = ()

    def __str__(self) -> str:
        return ",".join(sorted(self.namespaces)) or EVERYWHERE

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read what `str` wrote; nothing means everything, as nobody would serve nothing."""
        named = text.split(",", MAX_SCOPE)[:MAX_SCOPE]
        return cls(frozenset(name for name in named if _NAMESPACE.fullmatch(name)))

    @property
    def shown(self) -> str:
        """It for the log: a few of the namespaces."""
        return listed(sorted(self.namespaces), most=MAX_SHOWN) if self.namespaces else EVERYWHERE

    def serves(self, namespace: str) -> bool:
        """Whether a namespace is in it."""
        return not self.namespaces or namespace in self.namespaces

    def covers(self, other: Scope) -> bool:
        """Whether every namespace of another one is in it."""
        return not self.namespaces or (bool(other.namespaces) and set(other.namespaces) <= set(self.namespaces))

    def meets(self, other: Scope) -> bool:
        """Whether there is a namespace in both."""
        return not self.namespaces or not other.namespaces or bool(set(self.namespaces) & set(other.namespaces))


@dataclass(frozen=True)
class Release:
    """Another release that is at work.

    Attributes:
        name: Of its Lease, with the namespace.
        scope: What it serves.
        comes_first: Whether its Lease is older than ours.
    """

    name: str
    scope: Scope
    comes_first: bool


def claim(scope: Scope) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels and annotations by which the Lease of a release says what it serves."""
    return {OPERATOR_LABEL: "true"}, {NAMESPACES_ANNOTATION: str(scope)}


class Claims:
    """Looks at the Leases of other releases.

    Args:
        client: Sends the requests.
        namespace: Of our own Lease.
        name: Of our own Lease.
        scope: What we serve.
        heartbeat: Renews our Lease if no election does.
        clock: Seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        name: str,
        scope: Scope,
        heartbeat: Heartbeat | None = None,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._client = client
        self._heartbeat = heartbeat
        self._own = f"{namespace}/{name}"
        self._scope = scope
        self._clock = clock
        self._seen: dict[str, Sighting] = {}
        self._others: tuple[Release, ...] = ()
        self._settling = True
        self._failure = ""
        self.looked = asyncio.Event()
        """Set once a look was tried: before that nothing may be begun."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when other releases came or went."""

    @property
    def own(self) -> str:
        """Our own release, as others name it."""
        return self._own

    def serves(self, namespace: str) -> bool:
        """Whether a namespace is one of those that this release serves."""
        return self._scope.serves(namespace)

    def others(self, namespace: str) -> list[str]:
        """Name the other releases at work that serve a namespace; an empty text stands for cluster-scoped objects."""
        return [other.name for other in self._others if self._shares(other, namespace)]

    def keeper(self, namespace: str) -> str | None:
        """Name the release that keeps us out of a namespace, or None if there is none.

        Cluster-scoped objects are everybody's, unless a release serves all that we do.
        """
        for other in self._others:
            # Right after our start one that comes second may still be at work: it looks, and stops, meanwhile.
            if (other.comes_first or self._settling) and self._shares(other, namespace):
                return other.name
        return None

    async def run(self, begun: asyncio.Event) -> None:
        """Look again and again, from the time that this process leads."""
        await begun.wait()
        next_look = self._clock()
        while True:
            if self._heartbeat is not None:
                await self._heartbeat.beat()
            if self._clock() >= next_look:
                next_look = self._clock() + REFRESH_SECONDS
                await self.look()
            await asyncio.sleep(REFRESH_SECONDS if self._heartbeat is None else BEAT_SECONDS)

    async def release(self) -> None:
        """Let other releases know at once that this one has ended, unless an election does."""
        if self._heartbeat is not None:
            await self._heartbeat.release()

    async def look(self) -> None:
        """Look once. Where that is not allowed, or fails, what was seen before is believed."""
        first = not self.looked.is_set()
        try:
            found = await self._client.request(
                "GET",
                f"/apis/{GROUP_VERSION}/leases",
                action="list the Leases of other releases of Certwright",
                query={"labelSelector": f"{OPERATOR_LABEL}=true", "limit": str(MAX_RELEASES)},
            )
            leases = list(found.get("items") or ())
            if (found.get("metadata") or {}).get("continue") and not any(_name(one) == self._own for one in leases):
                # Without ours every other one would be the older one: 200 Leases of a tenant would stop this release.
                leases += await self._read_own()
        except KubeError as error:
            self._failed(error)
        else:
            self._failure = ""
            self._take(leases, first=first)
        self.looked.set()

    async def _read_own(self) -> list[dict[str, Any]]:
        namespace, _, name = self._own.partition("/")
        path = object_path(f"/apis/{GROUP_VERSION}", "leases", namespace, name)
        try:
            return [await self._client.request("GET", path, action=f"read Lease {self._own}")]
        except NotFound:
            return []

    def _shares(self, other: Release, namespace: str) -> bool:
        return other.scope.serves(namespace) if namespace else other.scope.covers(self._scope)

    def _take(self, leases: Collection[Mapping[str, Any]], *, first: bool) -> None:
        now = self._clock()
        ours = next((_seniority(lease) for lease in leases if _name(lease) == self._own), None)
        seen: dict[str, Sighting] = {}
        others: list[Release] = []
        for lease in leases:
            name, record = _name(lease), LeaseRecord.of(lease.get("spec") or {})
            known = self._seen.get(name)
            seen[name] = Sighting(record, now) if known is None else known.then(record, now)
            annotations = lease["metadata"].get("annotations") or {}
            scope = Scope.parse(str(annotations.get(NAMESPACES_ANNOTATION) or ""))
            is_live = bool(record.holder) and now < seen[name].over_at(least=LEAST_SECONDS, most=LONGEST_SECONDS)
            if name != self._own and is_live and scope.meets(self._scope):
                others.append(Release(name, scope, comes_first=ours is None or _seniority(lease) < ours))
        before = (self._others, self._settling)
        self._seen, self._others = seen, tuple(others)
        self._settling = first and bool(others)
        if before != (self._others, self._settling):
            self._tell()
            self.on_change()

    def _tell(self) -> None:
        for other in sorted(self._others, key=lambda one: not one.comes_first)[:MAX_SHOWN]:
            if other.comes_first:
                logger.warning(
                    "the release %s serves %s as well and was there first: this one, %s, does nothing there",
                    other.name,
                    other.scope.shown,
                    self._own,
                )
            else:
                logger.warning(
                    "the release %s serves %s as well; it leaves that to this one", other.name, other.scope.shown
                )

    def _failed(self, error: KubeError) -> None:
        if str(error) != self._failure:
            needs = ". The service account needs list for leases (coordination.k8s.io)"
            advice = needs if isinstance(error, Forbidden) else ""
            logger.warning("cannot see whether another release serves the same namespaces: %s%s", error, advice)
        self._failure = str(error)


def _name(lease: Mapping[str, Any]) -> str:
    return f"{lease['metadata'].get('namespace')}/{lease['metadata']['name']}"


def _seniority(lease: Mapping[str, Any]) -> tuple[str, str]:
    """Return what orders releases: the time at which the API server created the Lease, then its name."""
    return str(lease["metadata"].get("creationTimestamp") or ""), _name(lease)
