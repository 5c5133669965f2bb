"""Lists and watches any resource, metadata only or whole, in one namespace or in all.

kopf watches Certwright's own resources. This module is for the resources of others, whose CRDs may come and go, and
most of whose objects are irrelevant: it keeps no objects, and decodes only the metadata of those that no one wants.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from certwright.kube.client import JSON
from certwright.kube.errors import AnswerTooLarge, Forbidden, KubeError, NotFound, Unavailable, Unreachable
from certwright.kube.paths import object_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.kube.client import KubeClient
    from certwright.kube.resource import Resource

logger = logging.getLogger(__name__)

LIST_LIMIT: Final = 500
"""Objects in one answer to a list; fewer once an answer is too large."""
WATCH_SECONDS: Final = 240
"""After which the API server is asked to end a watch, so that it is opened anew and its version is checked."""
REFUSED_SECONDS: Final = 60.0
"""A watch that ran is missed after so long: an API server that starts refuses for a moment what it allows later."""
GRACE_SECONDS: Final = 20.0
"""For the API server to do so."""
_NEWS: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
_METADATA: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


@dataclass(frozen=True)
class Pace:
    """How long to wait, in seconds.

    Attributes:
        first: After the first failure; it doubles from there.
        longest: After many failures.
        absent: Between two questions for a resource that is not served.
    """

    first: float = 0.5
    longest: float = 30.0
    absent: float = 20.0


class Sink(Protocol):
    """What takes the news; `handlers.manager.Manager` is one."""

    def wants(self, resource: Resource, body: Mapping[str, Any]) -> bool:
        """Whether an object is of any interest; its news is told only then, or if it was before."""

    async def take_event(self, resource: Resource, event: str | None, body: Mapping[str, Any]) -> None:
        """Take in news: ``ADDED``, ``MODIFIED``, ``DELETED``, or None for what a list has.

        An object that is wanted no longer is told as ``DELETED``, whether it was known or not.
        """

    async def take_list(self, resource: Resource, namespace: str | None, uids: set[str], version: int) -> None:
        """Take in a complete list: the UIDs of what is wanted in it, and its resourceVersion."""

    def take_rewind(self, resource: Resource, namespace: str | None) -> None:
        """Take in that the API server's versions went back: what comes now counts, whatever is known."""


class State(Enum):
    """How a list-watch fares."""

    STARTING = "starting"
    """Nothing has come yet."""
    WATCHING = "watching"
    """Everything that there is has come."""
    ABSENT = "absent"
    """The resource is not served."""
    FAILING = "failing"
    """It cannot be listed or watched at present."""


class _Stale(Exception):
    """What was known is of no use to go on from."""


class ListWatch:
    """One list-watch.

    Args:
        client: Sends the requests, whoever leads. Each watch holds a connection.
        resource: What to watch.
        sink: Takes the news.
        namespace: Where; None for the whole cluster.
        metadata_only: Whether metadata is enough: the API server then sends nothing else.
        pace: How long to wait.
        on_failure: Called with the resource's label and the HTTP status ("none" without an answer) of each failed
            request.
        clock: Seconds.
        after: Nothing is asked before this is set; None to begin at once.

    Attributes:
        state: How it fares.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        sink: Sink,
        *,
        namespace: str | None = None,
        metadata_only: bool = False,
        pace: Pace | None = None,
        on_failure: Callable[[str, str], None] = lambda _plural, _status: None,
        clock: Callable[[], float] = time.monotonic,
        after: asyncio.Event | None = None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._sink = sink
        self._namespace = namespace
        self._pace = pace or Pace()
        self._on_failure = on_failure
        self._after = after
        self._path = object_path(f"/{resource.root}", resource.plural, namespace)
        self._what = resource.title + (f" in {namespace}" if namespace else "")
        self._accept_list = _METADATA.format("List") if metadata_only else JSON
        self._accept_watch = _METADATA.format("") if metadata_only else JSON
        self._selection = {"labelSelector": resource.selector} if resource.selector else {}
        self._limit = LIST_LIMIT
        self._version = -1
        self._newest = -1
        self._failures = self._stale = 0
        self._failure: str | None = None
        self._refused_since: float | None = None
        self._clock = clock
        self._listed = False
        self.state = State.STARTING
        self.settled = asyncio.Event()
        """Set once it is known what there is: everything was told, nothing is served, or it may not be seen."""

    @property
    def trouble(self) -> str | None:
        """What is not seen and why, for the user; None if all is well, or if the resource is not served at all.

        What was listed once is no trouble while the API server is away; it is when it is refused for a minute.
        """
        if self._after is not None and not self._after.is_set():
            return None
        if not self._listed and self.state is not State.ABSENT:
            return f"the list of {self._what} has not arrived" + (f": {self._failure}" if self._failure else "")
        if self._refused_since is not None and self._clock() - self._refused_since >= REFUSED_SECONDS:
            return f"{self._what} can no longer be watched: {self._failure}"
        return None

    async def run(self) -> None:
        """List and watch, until cancelled."""
        if self._after is not None:
            await self._after.wait()
        while True:
            try:
                if self._version < 0:
                    await self._list()
                else:
                    await self._check_version()
                await self._watch()
            except _Stale:
                self._version = -1
                await self._rest(self._stale)
                self._stale += 1
            except NotFound:
                await self._rest_absent()
            except KubeError as error:
                await self._rest_failed(error)

    async def _list(self) -> None:
        """List everything, in pages; a list that becomes too old on the way begins again."""
        uids: set[str] = set()
        proceed = ""
        while True:
            answer = await self._page(proceed)
            metadata = answer.get("metadata") or {}
            version = _version(metadata)
            if 0 < version < self._newest:
                # Before anything in it is told: all of it is older than what is known.
                self._rewind()
            for body in answer.get("items") or ():
                if _is_object(body) and self._sink.wants(self._resource, body):
                    uids.add(str(body["metadata"].get("uid")))
                    await self._sink.take_event(self._resource, None, body)
            proceed = metadata.get("continue") or ""
            if not proceed:
                break
        self._version = version
        self._newest = max(self._newest, version)
        await self._sink.take_list(self._resource, self._namespace, uids, version)
        self._went_well()

    async def _page(self, proceed: str) -> dict[str, Any]:
        """Return a page of the list; a smaller one if it is too large to be read."""
        while True:
            query = {**self._selection, "limit": str(self._limit), **({"continue": proceed} if proceed else {})}
            try:
                return await self._client.request(
                    "GET", self._path, action=f"list {self._what}", query=query, accept=self._accept_list
                )
            except AnswerTooLarge:
                if self._limit == 1:
                    raise
                self._limit = max(1, self._limit // 4)
            except KubeError as error:
                if proceed and error.status == HTTPStatus.GONE:
                    raise _Stale from error
                raise

    async def _check_version(self) -> None:
        """See whether the API server's versions went back, as they do when etcd is restored from a backup.

        A watch from a version that is yet to come would be silent until that one is reached.

        Raises:
            _Stale: They did.
        """
        answer = await self._client.request(
            "GET",
            self._path,
            action=f"see the version of {self._what}",
            query={**self._selection, "limit": "1"},
            accept=self._accept_list,
        )
        found = _version(answer.get("metadata") or {})
        if 0 < found < self._version:
            logger.warning(
                "%s are at version %d, and were at %d: was etcd restored from a backup? They are listed again",
                self._what,
                found,
                self._version,
            )
            self._rewind()
            raise _Stale

    def _rewind(self) -> None:
        self._newest = -1
        self._sink.take_rewind(self._resource, self._namespace)

    async def _watch(self) -> None:
        """Watch from what is known until the API server ends it."""
        seconds = random.randint(WATCH_SECONDS * 3 // 4, WATCH_SECONDS)  # noqa: S311 - so that they do not end at once
        stream = self._client.stream(
            self._path,
            action=f"watch {self._what}",
            query={
                **self._selection,
                "watch": "true",
                "allowWatchBookmarks": "true",
                "resourceVersion": str(self._version),
                "timeoutSeconds": str(seconds),
            },
            accept=self._accept_watch,
            opening=GRACE_SECONDS,
            lasting=seconds + GRACE_SECONDS,
        )
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with contextlib.aclosing(stream):
            async for news in stream:
                await self._take(news)
                self._stale = 0
                self._went_well()
        self._went_well()
        if loop.time() - begun < self._pace.first:
            # An API server that ends each watch at once is not asked without a pause.
            await self._rest(0)

    async def _take(self, news: Mapping[str, Any]) -> None:
        kind, body = news.get("type"), news.get("object")
        if not isinstance(body, dict) or (kind in _NEWS and not _is_object(body)):
            raise KubeError(f"watch {self._what}", message="an event without an object")
        if kind == "ERROR":
            # Too old a version (410), or whatever else: a new list is right after all of them.
            if body.get("code") not in {HTTPStatus.GONE, HTTPStatus.GATEWAY_TIMEOUT}:
                message = f"HTTP {body.get('code')} {body.get('reason')}"
                self._version = -1
                raise KubeError(f"watch {self._what}", message=message)
            raise _Stale
        if kind in _NEWS:
            wanted = kind != "DELETED" and self._sink.wants(self._resource, body)
            await self._sink.take_event(self._resource, str(kind) if wanted else "DELETED", body)
        self._version = max(self._version, _version(body.get("metadata") or {}))
        self._newest = max(self._newest, self._version)

    async def _rest_absent(self) -> None:
        """Wait before asking again for what is not served; what was known of it is gone with its definition."""
        if self._newest >= 0:
            logger.info("the API server no longer serves %s", self._what)
            await self._sink.take_list(self._resource, self._namespace, set(), self._newest)
        elif self.state is not State.ABSENT:
            logger.info("the API server does not serve %s; they are watched as soon as it does", self._what)
        self._version, self._newest, self._failures, self._failure = -1, -1, 0, None
        self._refused_since = None
        self.state = State.ABSENT
        self.settled.set()
        await asyncio.sleep(self._pace.absent * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret

    async def _rest(self, times: int) -> None:
        """Pause, the longer the more often it was for nothing."""
        pause = min(self._pace.first * 2 ** min(times, 10), self._pace.longest)
        await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - jitter, no secret

    async def _rest_failed(self, error: KubeError) -> None:
        self._on_failure(self._resource.label, "none" if error.status is None else str(error.status))
        if isinstance(error, AnswerTooLarge) or error.status == HTTPStatus.GONE:
            self._version = -1
        words = str(error)
        if words != self._failure and (self._failures or isinstance(error, Forbidden)):
            logger.warning("%s cannot be watched; the operator sees no changes until they can: %s", self._what, words)
        if isinstance(error, Forbidden):
            self.settled.set()
        if not _is_refusal(error):
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = self._clock()
        # A watch that breaks once is nothing: it is opened again where it was.
        if self._failures or not self._listed or isinstance(error, Forbidden):
            self.state, self._failure = State.FAILING, words
        self._failures += 1
        await self._rest(self._failures - 1)

    def _went_well(self) -> None:
        if self._failure is not None:
            logger.info("%s can be watched again", self._what)
        elif self.state is State.ABSENT:
            logger.info("the API server now serves %s", self._what)
        self._listed, self._failures, self._failure, self._refused_since = True, 0, None, None
        self.state = State.WATCHING
        self.settled.set()


def _is_refusal(error: KubeError) -> bool:
    """Whether asking again at once would change nothing."""
    return not isinstance(error, Unavailable | Unreachable) and error.status is not None


def _is_object(body: Any) -> bool:
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str) and _version(metadata) >= 0


def _version(metadata: Mapping[str, Any]) -> int:
    text = metadata.get("resourceVersion")
    return int(text) if isinstance(text, str) and text.isdecimal() else -1


class ListWatches:
    """Several list-watches, run together.

    Args:
        watches: What to run.
    """

    def __init__(self, watches: list[ListWatch]) -> None:
        self._watches = watches

    @property
    def trouble(self) -> str | None:
        """What is not seen and why; None if everything is."""
        found = [said for one in self._watches if (said := one.trouble) is not None]
        return "; ".join(found[:3]) or None

    async def settled(self) -> None:
        """Wait until each of them knows what there is, see `ListWatch.settled`."""
        for one in self._watches:
            await one.settled.wait()

    async def run(self) -> None:
        """Run all of them until cancelled; a defect in one ends this with its error."""
        if not self._watches:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            for one in self._watches:
                group.create_task(one.run())
