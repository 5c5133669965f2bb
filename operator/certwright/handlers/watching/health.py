"""Health of kopf's watches: lists received, refusals and their reasons, objects missing from a new list.

kopf does not report this, but it uses the session in `session.py`, which tells this object about every response. No
additional requests are needed.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from certwright.handlers.watching.served import DISCOVERY_PATH, GROUPS_PATH, Served, titles

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    import aiohttp
    from yarl import URL

    from certwright.handlers.watching.rewinds import Rewinds
    from certwright.kube.resource import Resource

logger = logging.getLogger(__name__)

REFUSED_SECONDS: Final = 60.0
"""A watch that ran is missed after so long: an API server that starts refuses for a moment what it allows later."""
ABANDONED_SECONDS: Final = 120.0
"""What kopf has not asked for in so long it asks for no more: the namespace is gone. No request takes so long."""
MAX_MESSAGE_CHARACTERS: Final = 500
MAX_REASONS: Final = 3
STARTING: Final = "storage is (re)initializing"
"""With 429, the API server's words about a resource whose CRD has just come."""
_PATH: Final = re.compile(
    r"/(?P<root>api/[^/]+|apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)$"
)


class Place(NamedTuple):
    """What one watch is for.

    Attributes:
        resource: Of what.
        namespace: Where; None for the whole cluster.
    """

    resource: Resource
    namespace: str | None

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.resource.title}{where}"


@dataclass
class _Watch:
    """One watch, as far as its requests tell.

    Attributes:
        asked_at: When a request for it was sent last.
        listed: Whether its first list has arrived.
        uids: Of what the list under way, which may come in parts, has held so far.
        known: The newest version that was known when that list was asked for.
        failure: Why the last request failed; None if it did not.
        refused_since: Since when the API server refuses it; None if it does not.
        told: The refusal that the log has.
    """

    asked_at: float
    listed: bool = False
    uids: set[str] = field(default_factory=set)
    known: int = -1
    failure: str | None = None
    refused_since: float | None = None
    told: str | None = None


class Watches:
    """The watches that kopf runs for us.

    Args:
        resources: What must be seen before this process is of use.
        on_list: Called with each list that has arrived completely: the resource, the namespace or None, the UIDs in it
            and its resourceVersion.
        latest: Returns the newest version that is known of a resource in a namespace, or everywhere.
        on_rewind: Called with the resource and the namespace or None when a list is older than what was known when it
            was asked for; before `on_list` is.
        on_failure: Called with the resource's plural and the HTTP status ("none" without an answer) of each failed
            request.
        rewinds: Told of every list and watch; None to compare no versions.
        clock: Seconds.

    Attributes:
        complete: Set once the first list of everything has arrived.
    """

    def __init__(
        self,
        resources: Sequence[Resource],
        *,
        on_list: Callable[[Resource, str | None, set[str], int], Awaitable[None]],
        on_failure: Callable[[str, str], None],
        latest: Callable[[Resource, str | None], int] = lambda _resource, _namespace: -1,
        on_rewind: Callable[[Resource, str | None], None] = lambda _resource, _namespace: None,
        rewinds: Rewinds | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rewinds = rewinds
        self._latest = latest
        self._on_rewind = on_rewind
        self._resources = {(resource.root, resource.plural): resource for resource in resources}
        self._on_list = on_list
        self._on_failure = on_failure
        self._clock = clock
        self._watches: dict[Place, _Watch] = {}
        self._served = Served(resources)
        self._obstacles: dict[str, str] = {}
        self.complete = asyncio.Event()

    @property
    def trouble(self) -> str | None:
        """What is not seen and why, for the user; None if everything is watched."""
        watches, missing = self._by_resource(), self._served.missing
        reasons = [f"the API server does not serve {titles(missing)} (are the CRDs applied?)"] if missing else []
        for resource in self._resources.values():
            if resource not in missing:
                reasons += self._reasons(resource, watches[resource])
        if len(reasons) > MAX_REASONS:
            reasons[MAX_REASONS:] = [f"and {len(reasons) - MAX_REASONS} more"]
        return "; ".join(reasons) or None

    def watching(self, resource: Resource) -> bool:
        """Whether everything of a resource is seen: it is listed, and no watch of it has failed since."""
        watches = self._by_resource()[resource]
        return bool(watches) and all(watch.listed and watch.failure is None for watch in watches.values())

    @property
    def unwatched(self) -> list[str]:
        """What of ours was not served at some time, and has not been watched since."""
        return [resource.title for resource in self._served.ours if resource in self._served.lost]

    def discovered(self, found: Mapping[str, Any]) -> bool:
        """Take in what is served of our group and version, an ``APIResourceList``; tell whether it is everything."""
        self._obstacles.pop(DISCOVERY_PATH, None)
        self._served.see(found)
        self._forget_missing()
        return not self._served.missing

    def undiscovered(self, why: str) -> None:
        """Take in that this could not be found out."""
        self._obstacles[DISCOVERY_PATH] = why

    def asked(self, url: URL) -> None:
        """Note that a request is sent."""
        if self._rewinds is not None:
            self._rewinds.asked(url)
        place = self._place(url)
        if place is None:
            return
        self._served.lost.discard(place.resource)
        watch = self._watches.setdefault(place, _Watch(self._clock()))
        watch.asked_at = self._clock()
        if "continue" not in url.query:
            watch.uids.clear()
            watch.known = -1 if "watch" in url.query else self._latest(*place)

    def opened(self, url: URL, response: aiohttp.ClientResponse | None = None) -> None:
        """Note that the API server lets us watch; `response` is the stream."""
        if self._rewinds is not None and response is not None:
            self._rewinds.opened(url, response)
        self._obstacles.pop(url.path, None)
        place = self._place(url)
        if place is not None:
            self._went_well(place)
            self._check_complete()

    async def answered(self, url: URL, body: Any) -> None:
        """Take in an answer other than a stream or a refusal."""
        self._obstacles.pop(url.path, None)
        if not isinstance(body, dict):
            return
        metadata = body.get("metadata") or {}
        if self._rewinds is not None:
            self._rewinds.listed(url, str(metadata.get("resourceVersion") or ""))
        if url.path.endswith(GROUPS_PATH):
            self._served.see_groups(body)
            self._forget_missing()
        elif _is_discovery(url):
            self.discovered(body)
        place = self._place(url)
        if place is None:
            return
        self._went_well(place)
        watch = self._watches[place]
        version = int(metadata.get("resourceVersion") or 0)
        if 0 < version < watch.known:
            # Before kopf tells of the objects in it: all of them are older than what is known.
            watch.known = -1
            self._on_rewind(*place)
        watch.uids.update(item["metadata"]["uid"] for item in body.get("items") or ())
        if metadata.get("continue"):
            return
        uids, watch.uids = watch.uids, set()
        watch.listed = True
        # Nothing is judged by a list that does not say of when it is.
        await self._on_list(*place, uids, version)
        self._check_complete()

    def refused(self, url: URL, status: int, body: Any) -> None:
        """Take in an answer that is none: the API server's own words, if `body` has them, are kept as the reason."""
        said = body if isinstance(body, dict) and body.get("kind") == "Status" else {}
        message = str(said.get("message") or "")[:MAX_MESSAGE_CHARACTERS]
        words = f"HTTP {status} {said.get('reason') or ''}".rstrip() + (f": {message}" if message else "")
        if _is_discovery(url) and status == HTTPStatus.NOT_FOUND:
            self.discovered({})
        self._failed(url, str(status), words, message=message)

    def unanswered(self, url: URL, error: BaseException) -> None:
        """Take in that no answer came."""
        words = f"no answer: {type(error).__name__}: {error}"[:MAX_MESSAGE_CHARACTERS]
        self._failed(url, "none", words)

    def _failed(self, url: URL, status: str, words: str, *, message: str = "") -> None:
        place = self._place(url)
        if place is None:
            self._obstacles[url.path] = words
            return
        self._on_failure(place.resource.plural, status)
        watch = self._watches.setdefault(place, _Watch(self._clock()))
        again, watch.failure = watch.failure is not None, words
        if not _is_refusal(status):
            watch.refused_since = None
            if message == STARTING and not again:
                logger.info("%s: the API server has only just begun to serve them; retrying", place)
            return
        if watch.refused_since is None:
            watch.refused_since = self._clock()
        # One 401 is how a token ends; it is read again then.
        if watch.told != words and (again or status != str(int(HTTPStatus.UNAUTHORIZED))):
            watch.told = words
            logger.warning("%s cannot be watched; the operator sees no changes until they can: %s", place, words)

    def _went_well(self, place: Place) -> None:
        watch = self._watches.setdefault(place, _Watch(self._clock()))
        watch.failure = watch.refused_since = None
        if watch.told is not None:
            watch.told = None
            logger.info("%s can be watched again", place)

    def _check_complete(self) -> None:
        if not self.complete.is_set() and self.trouble is None:
            self.complete.set()

    def _by_resource(self) -> defaultdict[Resource, dict[Place, _Watch]]:
        found: defaultdict[Resource, dict[Place, _Watch]] = defaultdict(dict)
        since = self._clock() - ABANDONED_SECONDS
        for place, watch in self._watches.items():
            if watch.failure is None or watch.asked_at >= since:
                found[place.resource][place] = watch
        return found

    def _reasons(self, resource: Resource, watches: Mapping[Place, _Watch]) -> Iterable[str]:
        if not watches:
            obstacle = next(iter(self._obstacles.values()), None)
            yield f"{resource.title} are not watched yet" + (f" ({obstacle})" if obstacle else "")
        for place, watch in watches.items():
            if not watch.listed:
                yield f"the list of {place} has not arrived" + (f": {watch.failure}" if watch.failure else "")
            elif watch.refused_since is not None and self._clock() - watch.refused_since >= REFUSED_SECONDS:
                yield f"{place} can no longer be watched: {watch.failure}"

    def _place(self, url: URL) -> Place | None:
        """Return what a list or watch is of, or None if it is of something else."""
        found = _PATH.search(url.path)
        resource = self._resources.get((found["root"], found["plural"])) if found is not None else None
        return Place(resource, found["namespace"]) if found is not None and resource is not None else None

    def _forget_missing(self) -> None:
        """Kopf ends the watches of what is not served, and begins again when it comes back."""
        for place in list(self._watches):
            if place.resource in self._served.missing:
                del self._watches[place]


def _is_discovery(url: URL) -> bool:
    return url.path.endswith(DISCOVERY_PATH)


def _is_refusal(status: str) -> bool:
    """Whether asking again at once would change nothing."""
    return status.startswith("4") and status != str(int(HTTPStatus.TOO_MANY_REQUESTS))
