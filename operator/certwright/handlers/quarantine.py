"""Quarantine: an object that blocked the process is left alone, so that no object can cost it the lease.

All input is bounded before it is read; this is for cases that nobody foresaw. If reconciling an object takes seconds of
CPU time without a pause, its Ready condition is marked, by a write that does not require leadership, because the lease
may be lost meanwhile. The next leader finds the mark, and works on all other objects.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.client import MERGE
from certwright.kube.errors import KubeError
from certwright.kube.events import subject_of
from certwright.kube.paths import object_path
from certwright.resources import GROUP, READY, Metadata
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.kube.client import KubeClient
    from certwright.kube.events import EventRecorder
    from certwright.kube.resource import Resource
    from certwright.metrics import Metrics
    from certwright.reasons import Reason
    from certwright.runtime.key import Key
    from certwright.runtime.labour import Spent

logger = logging.getLogger(__name__)

REASON: Final[Reason] = "Quarantined"
STEP_SECONDS: Final = 2.0
"""Of CPU, without a pause. The longest that is known takes a tenth of a second; a lease is lost after twelve."""
PAUSE: Final = dt.timedelta(hours=1)
CLOCK_SKEW: Final = dt.timedelta(minutes=5)
MAX_TRIES: Final = 3
FLUSH_SECONDS: Final = 0.4
"""For the marks that are on their way when the process ends."""


@dataclass(frozen=True)
class _Held:
    """An object that is left alone.

    Attributes:
        until: Until then.
        generation: Of the spec that held everything up; None while the mark is being written.
        since: The time in the mark.
    """

    until: dt.datetime
    generation: int | None = None
    since: str = ""


class Quarantine:
    """Objects that are left alone.

    Args:
        client: Writes the marks, whoever leads.
        recorder: For Events.
        metrics: Counts them, and shows how many there are.
        clock: The present time.
    """

    def __init__(
        self, client: KubeClient, *, recorder: EventRecorder, metrics: Metrics, clock: Callable[[], dt.datetime]
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._held: dict[Key, _Held] = {}
        self._released: dict[Key, str] = {}
        self._telling: set[asyncio.Task[None]] = set()
        metrics.watch_quarantine(lambda: len(self._held))

    def meter(self, resource: Resource, key: Key) -> Spent:
        """Return what is to be told of each step of a look at an object, and of its jobs in threads."""
        loop = asyncio.get_running_loop()

        def spent(seconds: float) -> None:
            if seconds >= STEP_SECONDS:
                # From a thread, maybe. A call of the loop's is made before the process ends for the loss of its lease.
                loop.call_soon_threadsafe(self._hold, resource, key, seconds)

        return spent

    def until(self, key: Key, generation: int) -> dt.datetime | None:
        """Return until when an object is left alone, or None if it is not."""
        held = self._held.get(key)
        if held is None:
            return None
        if self._clock() >= held.until or held.generation not in {None, generation}:
            self.release(key)
            return None
        return held.until

    def release(self, key: Key) -> None:
        """Leave an object alone no more: something about it has changed."""
        held = self._held.pop(key, None)
        if held is not None:
            self._released[key] = held.since

    def forget(self, key: Key) -> None:
        """Forget an object that is gone."""
        self._held.pop(key, None)
        self._released.pop(key, None)

    def see(self, key: Key, body: Mapping[str, Any]) -> None:
        """Take in an object as the watch brings it: another process may have marked it.

        A mark holds for an hour, whatever time somebody wrote into it.
        """
        mark = _ready(body)
        if mark.get("reason") != REASON or mark.get("observedGeneration") != body["metadata"].get("generation"):
            return
        since = str(mark.get("lastTransitionTime"))
        if self._released.get(key) == since or key in self._held:
            return
        try:
            begun = dt.datetime.fromisoformat(since)
        except ValueError:
            return
        now = self._clock()
        if begun.tzinfo is not None and begun <= now + CLOCK_SKEW and now < begun + PAUSE:
            self._held[key] = _Held(min(begun, now) + PAUSE, body["metadata"].get("generation"), since)

    async def flush(self) -> None:
        """Let the marks that are on their way be written; for the end of the process."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=FLUSH_SECONDS)
        for task in self._telling:
            task.cancel()

    def _hold(self, resource: Resource, key: Key, seconds: float) -> None:
        logger.error("%s took %.1f s of CPU without a pause; it is left alone for %s", key, seconds, PAUSE)
        self._metrics.quarantined(key.kind)
        self._held[key] = _Held(self._clock() + PAUSE)
        task = asyncio.get_running_loop().create_task(self._tell(resource, key, seconds))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, resource: Resource, key: Key, seconds: float) -> None:
        """Mark the object, so that the next process leaves it alone as well, and say so to its owner."""
        if resource.group != GROUP:
            return  # Secrets have no conditions, and those of Ingresses and Gateways are others' to write
        root = f"/apis/{resource.group}/{resource.version}"
        path = object_path(root, resource.plural, key.namespace or None, key.name)
        for _ in range(MAX_TRIES):
            try:
                body = await self._client.request("GET", path, action=f"read {key}")
                await self._mark(path, key, body, seconds)
            except KubeError as error:
                logger.warning("%s cannot be marked: %s", key, error)
            else:
                return

    async def _mark(self, path: str, key: Key, body: Mapping[str, Any], seconds: float) -> None:
        now, metadata = self._clock(), body["metadata"]
        held = _Held(now + PAUSE, metadata["generation"], rfc3339(now))
        message = (
            f"Reconciling it took {seconds:.1f} s of CPU without a pause, which blocked everything else. Certwright "
            f"skips it until {rfc3339(held.until)}, or until its spec or its Secret changes. This is a bug in "
            "Certwright: please report it. The last good certificate is kept."
        )
        conditions = [one for one in (body.get("status") or {}).get("conditions") or () if one.get("type") != READY]
        conditions.append(
            {
                "type": READY,
                "status": "False",
                "reason": REASON,
                "message": message,
                "observedGeneration": metadata["generation"],
                "lastTransitionTime": held.since,
            }
        )
        await self._client.request(
            "PATCH",
            f"{path}/status",
            action=f"mark {key}",
            body={
                # Whoever leads by now may have written: then it is read again.
                "metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
                "status": {"conditions": conditions},
            },
            content_type=MERGE,
        )
        self._held[key] = held
        self._recorder.record(subject_of(key.kind, Metadata.model_validate(metadata)), "Warning", REASON, message)


def _ready(body: Mapping[str, Any]) -> Mapping[str, Any]:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == READY), {})
