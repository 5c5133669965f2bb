"""The workers: idle until this process leads, then processing the queue until a stop or a loss of leadership."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from certwright.handlers.errors import OperatorFailed
from certwright.runtime.aside import LOOK, Look
from certwright.runtime.result import Result
from certwright.runtime.turns import TENANT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from certwright.kube.events import EventRecorder
    from certwright.metrics import Metrics
    from certwright.runtime.clock_watch import ClockWatch
    from certwright.runtime.key import Key
    from certwright.runtime.leadership import Leadership
    from certwright.runtime.queue import WorkQueue
    from certwright.runtime.scheduler import Scheduler

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 10.0
LONGEST_LOOK_SECONDS: Final = 300.0
"""The last resort: reconcilers have their own deadlines, and report in a condition what took so long."""
LONGEST_REST_SECONDS: Final = 24 * 3600.0
"""Everything is reconciled at least once a day, whatever its next time is."""
DRAIN_SECONDS: Final = 20.0


class Workers:
    """Take keys from the queue, reconcile each, and schedule its next reconciliation.

    Args:
        number: How many objects are reconciled at the same time.
        look: Reconciles an object; returns when to do so again.
        queue: The source of keys. It fills while another process leads, so it contains everything at a takeover.
        scheduler: Where keys wait for their time.
        recorder: Its poster runs while the workers do.
        metrics: Counts reconciliations.
        leadership: Whether this process may act.
        seconds_until: Returns how long to wait after a reconciliation; by default as long as its result says.
        clock: Detects steps of the wall clock while the workers run.
    """

    def __init__(
        self,
        number: int,
        look: Callable[[Key], Awaitable[Result]],
        *,
        queue: WorkQueue[Key],
        scheduler: Scheduler[Key],
        recorder: EventRecorder,
        metrics: Metrics,
        leadership: Leadership,
        seconds_until: Callable[[Key, Result], float | None] | None = None,
        clock: ClockWatch | None = None,
    ) -> None:
        self._clock = clock
        self._number = number
        self._look = look
        self._queue = queue
        self._scheduler = scheduler
        self._recorder = recorder
        self._metrics = metrics
        self._leadership = leadership
        self._seconds_until = seconds_until or (lambda _key, result: result.seconds)
        self._workers: set[asyncio.Task[None]] = set()
        self._helpers: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        self._ended = asyncio.Event()
        self._aborted = False

    async def run(self, stop: asyncio.Event) -> None:
        """Wait until this process leads; then work until `stop` is set, and bring current work to a safe point.

        Args:
            stop: Set this to stop.

        Raises:
            OperatorFailed: A worker, the scheduler or the Event poster ended unexpectedly. It is a defect, after which
                some objects would never be reconciled again.
        """
        told = asyncio.create_task(stop.wait(), name="stop")
        begun = asyncio.create_task(self._leadership.begun.wait(), name="begun")
        try:
            await asyncio.wait([told, begun], return_when=asyncio.FIRST_COMPLETED)
            if not (stop.is_set() or self._aborted):
                await self._work_until(told)
        finally:
            await _cancel([told, begun, *self._workers, *self._helpers])
            if not self._aborted:
                await self._recorder.drain()

    def abort(self) -> None:
        """Cancel everything immediately, without draining. Called from the loop itself, so that no task continues."""
        self._aborted = True
        for task in (*self._workers, *self._helpers):
            task.cancel()

    async def _work_until(self, told: asyncio.Task[Any]) -> None:
        if self._leadership.is_limited:
            logger.info("starting work: checking %d objects", len(self._queue))
        for _ in range(self._number):
            self._begin_worker()
        self._queue.serve()
        self._begin(self._helpers, self._scheduler.run(), "scheduler")
        self._begin(self._helpers, self._recorder.run(), "events")
        if self._clock is not None:
            self._begin(self._helpers, self._clock.run(), "clock")
        ended = asyncio.create_task(self._ended.wait(), name="ended")
        try:
            await asyncio.wait([told, ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if self._aborted or not self._leadership.holds():
            # Code that checks the leadership before it acts may notice the end first.
            return
        for task in (*self._workers, *self._helpers):
            if task.done():
                raise OperatorFailed(f"{task.get_name()} ended unexpectedly") from _error_of(task)
        logger.info("stopping: %d objects in progress", self._queue.held + self._queue.aside)
        self._queue.close()
        _, late = await asyncio.wait({*self._workers}, timeout=DRAIN_SECONDS)
        if late:
            logger.warning(
                "%d objects took longer than %g s; they continue at the next start",
                len(late),
                DRAIN_SECONDS,
            )

    def _begin(self, among: set[asyncio.Task[None]], work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        among.add(task)
        task.add_done_callback(lambda done: self._ended.set() if done in among else None)

    def _begin_worker(self) -> None:
        self._begin(self._workers, self._work(), f"worker-{next(self._numbers)}")

    def _step_aside(self, key: Key) -> bool:
        """Start a new worker to replace the one of this key, which ends after its reconciliation."""
        if self._aborted or not self._queue.step_aside(key):
            return False
        self._begin_worker()
        return True

    async def _work(self) -> None:
        while (key := await self._queue.take()) is not None:
            started = time.perf_counter()
            TENANT.set(key.namespace)
            LOOK.set(look := Look(partial(self._step_aside, key)))
            try:
                self._leadership.check()
                result = await self._look_in_time(key)
            finally:
                self._queue.done(key)
            self._metrics.reconciled(key.kind, time.perf_counter() - started)
            if (seconds := self._seconds_until(key, result)) is None:
                self._scheduler.forget(key)
            else:
                self._scheduler.at(key, min(seconds, LONGEST_REST_SECONDS))
            if look.is_aside and (own := asyncio.current_task()) is not None:
                self._workers.discard(own)
                return

    async def _look_in_time(self, key: Key) -> Result:
        try:
            async with asyncio.timeout(LONGEST_LOOK_SECONDS) as deadline:
                return await self._look(key)
        except Exception:
            # Reconcilers classify expected exceptions; any other is a defect, and must not end the worker.
            if deadline.expired():
                logger.error("%s: interrupted after %g s; retrying", key, LONGEST_LOOK_SECONDS)  # noqa: TRY400 - no defect
            else:
                logger.exception("%s: unexpected error; retrying in %g s", key, RETRY_SECONDS)
            return Result.again_in(RETRY_SECONDS)


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _error_of(task: asyncio.Task[Any]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
