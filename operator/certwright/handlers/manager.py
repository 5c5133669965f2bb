"""The manager: receives the events of all registered kinds, and enqueues the affected keys for the workers."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any, Final

from certwright.handlers.invalid import InvalidObject
from certwright.handlers.kinds import Kinds
from certwright.handlers.quarantine import REASON
from certwright.handlers.workers import RETRY_SECONDS, Workers
from certwright.kube.errors import KubeError
from certwright.resources import InvalidResource
from certwright.runtime.clock_watch import ClockWatch
from certwright.runtime.labour import in_thread, metered
from certwright.runtime.loop_guard import LoopGuard
from certwright.runtime.queue import WorkQueue
from certwright.runtime.result import Result
from certwright.runtime.scheduler import Scheduler

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterable, Mapping

    from certwright.handlers.kinds import WatchedKind
    from certwright.handlers.other_releases import OtherReleases
    from certwright.handlers.quarantine import Quarantine
    from certwright.kube.events import EventRecorder
    from certwright.kube.resource import Resource
    from certwright.metrics import Metrics
    from certwright.runtime.key import Key
    from certwright.runtime.leadership import Leadership
    from certwright.runtime.queue import Place

logger = logging.getLogger(__name__)

DELETED: Final = "DELETED"
WORKERS: Final = 32
STARVED_SECONDS: Final = 60.0
"""A namespace without a worker for this long is starved, and the operator is not ready."""
TOLD_SECONDS: Final = 10.0
"""The wait in the queue from which on it is reported."""


class Manager:
    """Everything between the watches and the reconcilers of the registered kinds.

    Args:
        workers: How many objects are reconciled at the same time.
        recorder: Posts Events while the workers run.
        metrics: Counts reconciliations, and shows the queue.
        leadership: Whether this process may act.
        quarantine: The objects to leave alone.

    Attributes:
        kinds: The watched kinds. Register all of them before the watches start.
        queue: The keys to reconcile now.
        scheduler: The keys to reconcile later.
        on_rewind: Called when the API server's versions went backwards.
    """

    def __init__(
        self,
        *,
        workers: int,
        recorder: EventRecorder,
        metrics: Metrics,
        leadership: Leadership,
        quarantine: Quarantine,
    ) -> None:
        self.kinds = Kinds()
        self.on_rewind: Callable[[], None] = lambda: None
        self.quarantine = quarantine
        self.queue: WorkQueue[Key] = WorkQueue(self._place, workers=workers)
        self.scheduler: Scheduler[Key] = Scheduler(self.queue.add)
        self._guard: LoopGuard[Key] = LoopGuard(lambda key: metrics.paused_loop(key.kind))
        self._workers = Workers(
            workers,
            self._look,
            queue=self.queue,
            scheduler=self.scheduler,
            recorder=recorder,
            metrics=metrics,
            leadership=leadership,
            seconds_until=self._seconds_until,
            clock=ClockWatch(self.wake_all),
        )
        metrics.watch_queue(self.queue, self.scheduler)
        self.other_releases: OtherReleases | None = None
        """Keeps this one from what they serve; None if there are none, whatever happens."""

    @property
    def trouble(self) -> str | None:
        """A message about what blocks the workers, or None.

        The backlog of a namespace is not a problem, because namespaces take turns. A namespace that gets no turn in a
        minute shows that all workers are stuck, or that there are too few.
        """
        starved = self.queue.starved_wait
        if starved < STARVED_SECONDS:
            return None
        return (
            f"no worker was free for a namespace in {starved:.0f} s: all are busy with slow objects ("
            f"{self.queue.held}, the longest for {self.queue.longest_hold:.0f} s)"
        )

    @property
    def notice(self) -> str | None:
        """A message about a long queue that is not a problem, or None."""
        oldest = self.queue.oldest_wait
        if oldest < TOLD_SECONDS:
            return None
        return f"{len(self.queue)} objects wait for a worker, the oldest for {oldest:.0f} s"

    async def run(self, stop: asyncio.Event) -> None:
        """Work while this process leads, until told to stop. See `Workers.run`.

        Raises:
            OperatorFailed: A part ended unexpectedly.
        """
        try:
            await self._workers.run(stop)
        finally:
            await self.quarantine.flush()

    def abort(self) -> None:
        """End the work at once."""
        self._workers.abort()

    def wake(self, *keys: Key) -> None:
        """Queue keys."""
        for key in keys:
            self.queue.add(key)

    def wake_in_turn(self, turns: Iterable[tuple[Key, float]]) -> None:
        """Schedule keys after the given seconds each, unless they are already scheduled earlier."""
        for key, seconds in turns:
            self.scheduler.no_later(key, seconds)

    def wake_all(self) -> None:
        """Enqueue all known objects, so that their times are computed again."""
        for kind in self.kinds:
            if kind.reconcile is not None:
                self.wake(*kind.keys())

    def wants(self, resource: Resource, body: Mapping[str, Any]) -> bool:
        """Whether an object is relevant."""
        return self.kinds[resource.key_kind].wants(body)

    async def take_event(self, resource: Resource, event: str | None, body: Mapping[str, Any]) -> None:
        """Process an event about an object.

        Args:
            resource: The resource of the object.
            event: ``ADDED``, ``MODIFIED``, ``DELETED``, or None for an object that existed when the watch started.
            body: The object.
        """
        kind, metadata = self.kinds[resource.key_kind], body["metadata"]
        key = resource.key(metadata)
        if event == DELETED or not resource.selects(metadata):
            if kind.knows(key) or not kind.is_foreign:
                self._gone(kind, metadata)
            return
        if not kind.keeps(key):
            kind.store.drop(key.namespace, key.name)
            return
        if self.other_releases is not None and kind.reconcile is not None and not kind.is_foreign:
            self.other_releases.take(key, body)
        if kind.reconcile is not None and not kind.is_foreign:
            self.quarantine.see(key, body)
        try:
            parsed = await self._parse(kind, key, body)
        except InvalidResource as error:
            # The previous form stays, so that the object keeps its claims.
            if kind.invalid.put(metadata, InvalidObject.of(body, error)):
                self._wake_for_news(key)
            return
        before = kind.store.get(key.namespace, key.name)
        if kind.invalid.get(key.namespace, key.name) is not None:
            kind.invalid.remove(metadata)
        if kind.store.put(metadata, parsed):
            if kind.reconcile is None:
                for woken in kind.wakes(key, before, parsed):
                    self.quarantine.release(woken)
            self._wake_for_news(*kind.wakes(key, before, parsed))

    async def take_list(self, resource: Resource, namespace: str | None, uids: Collection[str], version: int) -> None:
        """Process a complete list: known objects that are not in it were deleted while they were not watched.

        kopf lists again after its watch has expired, and reports only existing objects.

        Args:
            resource: What is listed.
            namespace: Of the list; None for the whole cluster.
            uids: What is in it.
            version: Its resourceVersion.
        """
        kind = self.kinds[resource.key_kind]
        for metadata in kind.unlisted(namespace, uids, version):
            logger.info("%s was deleted while it was not watched", resource.key(metadata))
            self._gone(kind, metadata)

    def latest(self, resource: Resource, namespace: str | None) -> int:
        """Return the newest version that is known of a resource in a namespace, or everywhere if that is None."""
        kind = self.kinds[resource.key_kind]
        return max(kind.store.latest(namespace), kind.invalid.latest(namespace))

    def take_rewind(self, resource: Resource, namespace: str | None) -> None:
        """Handle that the API server's versions went backwards: what is listed now replaces what is known."""
        kind = self.kinds[resource.key_kind]
        kind.store.rewind(namespace)
        kind.invalid.rewind(namespace)
        self.on_rewind()

    def _gone(self, kind: WatchedKind[Any], metadata: Mapping[str, Any]) -> None:
        key = kind.resource.key(metadata)
        before = kind.store.get(key.namespace, key.name)
        kind.store.remove(metadata)
        kind.invalid.remove(metadata)
        kind.on_gone(key, metadata.get("uid", ""))
        if not kind.knows(key):  # another one of its name may be there already
            self.scheduler.forget(key)
            self._guard.forget(key)
            self.quarantine.forget(key)
        self._wake_for_news(*kind.wakes(key, before, None))

    async def _reconcile(self, key: Key) -> Result:
        kind = self.kinds[key.kind]
        invalid = kind.invalid.get(key.namespace, key.name)
        try:
            if await self._is_kept_out(kind, key):
                return Result.ON_EVENT
            if invalid is not None:
                if kind.on_invalid is not None:
                    await kind.on_invalid(key, invalid)
                return Result.ON_EVENT
            return Result.ON_EVENT if kind.reconcile is None else await kind.reconcile(key)
        except InvalidResource as error:
            # Read directly; the watch will also deliver it.
            logger.warning("%s", error)
            return Result.ON_EVENT
        except KubeError as error:
            logger.warning("%s: %s", key, error)
            return Result.again_in(RETRY_SECONDS)

    async def _is_kept_out(self, kind: WatchedKind[Any], key: Key) -> bool:
        if self.other_releases is None or kind.reconcile is None:
            return False
        if kind.is_foreign:
            return await self.other_releases.serves(key)
        invalid, known = kind.invalid.get(key.namespace, key.name), kind.store.get(key.namespace, key.name)
        if invalid is not None:
            metadata = invalid.body["metadata"]
        elif known is not None:
            metadata = known.metadata.identity
        else:
            self.other_releases.forget(key)
            return False
        return await self.other_releases.keep_out(kind.resource, key, metadata)

    async def _parse(self, kind: WatchedKind[Any], key: Key, body: Mapping[str, Any]) -> Any:
        if not kind.parses_in_thread:
            return kind.parse(body)
        return await metered(in_thread(kind.parse, body), self.quarantine.meter(kind.resource, key))

    async def _look(self, key: Key) -> Result:
        """Reconcile an object, unless it is in quarantine."""
        kind = self.kinds[key.kind]
        until = self.quarantine.until(key, kind.generation(key))
        if until is not None:
            return Result.again_at(until, dt.datetime.now(dt.UTC)).saying(REASON)
        return await metered(self._reconcile(key), self.quarantine.meter(kind.resource, key))

    def _wake_for_news(self, *keys: Key) -> None:
        """Enqueue keys because of an event, which also resets the loop guard."""
        for key in keys:
            self._guard.happened(key)
            self.queue.add(key)

    def _seconds_until(self, key: Key, result: Result) -> float | None:
        return self._guard.seconds(key, result, self.kinds[key.kind].progress)

    def _place(self, key: Key) -> Place:
        return self.kinds[key.kind].place(key)
