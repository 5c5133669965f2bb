"""Leader election with a Lease, with the semantics of client-go's leader election.

Each candidate measures with its own clock how long it has seen the record unchanged; wall clocks are never compared.
The leader counts from the time before it *sent* a renewal, the others from the time after they *saw* it, so the
leader's time is always over first, by the difference of `Timing.lease` and `Timing.deadline`.

It is stricter than client-go in three ways, because certificates are rate-limited: a missing Lease is also waited out
(it may have been deleted while a leader was active); a process never takes an identity for its own after a restart (two
processes may have the same); and no edit of ``leaseDurationSeconds`` shortens a candidate's own waiting time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from certwright.kube.errors import Conflict, Forbidden, KubeError, NotFound
from certwright.kube.lease import LeaseRecord, Sighting, micro_time
from certwright.runtime.leadership import boot_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.kube.lease import Lease
    from certwright.runtime.leadership import Leadership

logger = logging.getLogger(__name__)

RELEASED: Final = 1
"""``leaseDurationSeconds`` of a lease that its holder gave back: the least that the API server takes."""
LONGEST_LEASE: Final = 600
"""A record that asks for more patience than this is a mistake, and must not keep all candidates idle for ever."""
SHORTEST_PAUSE: Final = 0.05


class LeadershipLost(Exception):
    """The lease could not be renewed in time, or another process has it."""


@dataclass(frozen=True)
class Timing:
    """Seconds of an election.

    Attributes:
        lease: How long a record that is not renewed is honoured.
        deadline: How long a leader acts after it sent the last renewal that went well. The rest of the lease is for
            ending what is under way, and for clocks that do not run alike.
        retry: Between two renewals, and between two looks of the others.
        hurry: Between tries after a renewal failed.
        request: For one request; a fraction of the deadline, so that a connection that died costs one try, not all.
    """

    lease: int = 9
    deadline: float = 6.0
    retry: float = 1.5
    hurry: float = 0.5
    request: float = 2.0


class Lock(Protocol):
    """What an election is held about; `certwright.kube.lease.LeaseLock` is the real one."""

    async def read(self) -> Lease | None:
        """Return the Lease, or None if there is none."""
        ...

    async def create(self, record: LeaseRecord) -> Lease:
        """Create it; `Conflict` if it already exists."""
        ...

    async def replace(self, lease: Lease, record: LeaseRecord) -> Lease:
        """Write over this version; `Conflict` if it has been written since, `NotFound` if it is gone."""
        ...


class Elector:
    """One candidate.

    Args:
        lock: The Lease.
        leadership: What is begun, extended and ended here.
        identity: This process, for users who look at the Lease.
        on_lost: Called at once, from the event loop itself and before any task runs on, when leadership is lost: it
            must end what acts.
        on_transitions: Told of ``leaseTransitions`` whenever the Lease was seen.
        timing: How long everything takes.
        clock: Seconds; the same clock that `leadership` has.
        stamp: The present time for ``renewTime``, a text that is never the same twice.
    """

    def __init__(
        self,
        lock: Lock,
        leadership: Leadership,
        *,
        identity: str,
        on_lost: Callable[[], None] = lambda: None,
        on_transitions: Callable[[int], None] = lambda _: None,
        timing: Timing | None = None,
        clock: Callable[[], float] = boot_clock,
        stamp: Callable[[], str] = micro_time,
    ) -> None:
        self._lock = lock
        self._leadership = leadership
        self._identity = identity
        self._on_lost = on_lost
        self._on_transitions = on_transitions
        self._timing = timing or Timing()
        self._clock = clock
        self._stamp = stamp
        self._held: Lease | None = None
        self._term = ""
        self._seen: Sighting | None = None
        self._answered_at: float | None = None
        self._failure = ""
        self._timer: asyncio.TimerHandle | None = None
        self.lost: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why this candidate could not take over now, or None if it leads or could do lately what it had to do."""
        if self._answered_at is not None and self._clock() - self._answered_at < self._timing.lease:
            return None
        return self._failure or f"{self._lock} has not been read yet"

    async def run(self, stop: asyncio.Event) -> None:
        """Stand for election until told to stop, then give the lease back.

        Args:
            stop: Set it once nothing acts any more.

        Raises:
            LeadershipLost: After having led, and before being told to stop.
        """
        logger.info("standing for election as %s at %s", self._identity, self._lock)
        try:
            while not stop.is_set():
                pause = await self.attempt()
                self._arm()
                if self.lost is not None and not stop.is_set():
                    raise LeadershipLost(self.lost)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await stop.wait()
            await self.release()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def attempt(self) -> float:
        """Try once to get or to keep the lease; return seconds until the next try. See `lost` afterwards."""
        led = self._leadership.begun.is_set()
        pause = self._timing.retry
        try:
            await (self._renew() if led else self._campaign())
        except KubeError as error:
            self._failed(error)
            pause = self._timing.hurry if led else pause
        if led and not self._leadership.holds():
            self._lose(self._too_late())
        # Replicas that started together do not ask together.
        pause *= random.uniform(0.9, 1.1)  # noqa: S311 - jitter, no secret
        if led or self._seen is None or self._failure:
            return pause
        return min(pause, max(self._free_at() - self._clock(), SHORTEST_PAUSE))

    async def release(self) -> None:
        """Give the lease back if it is held, so that the next takes over at once; a failure costs no more than time."""
        self._leadership.end()
        held, self._held = self._held, None
        try:
            if held is None and self._term:
                # An answer that never came may have been a yes.
                found = await self._lock.read()
                held = found if found is not None and self._is_ours(found.record) else None
            if held is None:
                return
            now = self._stamp()
            await self._lock.replace(
                held,
                LeaseRecord(duration=RELEASED, acquired=now, renewed=now, transitions=held.record.transitions),
            )
        except KubeError as error:
            logger.warning("%s was not released; it expires within %d s: %s", self._lock, self._timing.lease, error)
        else:
            logger.info("%s is released", self._lock)

    async def _campaign(self) -> None:
        found = await self._lock.read()
        self._observe(found)
        if found is None:
            # A record without a holder, to be seen unchanged for as long as a leader might still believe in its own.
            with suppress(Conflict):
                found = await self._lock.create(self._record("", acquired=self._stamp(), transitions=0))
                self._observe(found)
            self._answered(found)
            return
        if not self._is_ours(found.record):
            if self._clock() < self._free_at():
                self._answered(found)
                return
            self._term = self._stamp()
        sent = self._clock()
        transitions = found.record.transitions + (not self._is_ours(found.record))
        try:
            self._held = await self._lock.replace(
                found, self._record(self._identity, acquired=self._term, transitions=transitions)
            )
        except (Conflict, NotFound):
            logger.debug("%s: another replica was faster", self._lock)
            self._answered(found)
            return
        self._answered(self._held)
        if self._leadership.extend(sent + self._timing.deadline):
            logger.info("%s: %s leads (transition %d)", self._lock, self._identity, transitions)

    async def _renew(self) -> None:
        if not self._leadership.holds():
            return  # another process may take it now
        held = self._held
        if held is None:
            raise AssertionError("a lease is renewed that was never held")
        sent = self._clock()
        try:
            self._held = await self._replace_ours(held)
        except (Conflict, NotFound):
            found = await self._lock.read()
            if not self._leadership.holds():
                return  # likewise
            sent = self._clock()
            if found is None:
                logger.warning("%s was deleted; it is created again", self._lock)
                record = self._record(self._identity, acquired=self._term, transitions=held.record.transitions)
                self._held = await self._lock.create(record)
            elif self._is_ours(found.record) or not found.record.holder:
                self._held = await self._replace_ours(found)
            else:
                self._observe(found)
                self._lose(f"{found.record.holder} holds it")
                return
        self._answered(self._held)
        self._leadership.extend(sent + self._timing.deadline)

    async def _replace_ours(self, lease: Lease) -> Lease:
        transitions = max(lease.record.transitions, self._held.record.transitions if self._held else 0)
        return await self._lock.replace(
            lease, self._record(self._identity, acquired=self._term, transitions=transitions)
        )

    def _too_late(self) -> str:
        return f"it could not be renewed within {self._timing.deadline:g} s ({self._failure or 'no answer'})"

    def _observe(self, found: Lease | None) -> None:
        record, seen = found.record if found is not None else LeaseRecord(), self._seen
        if found is not None and (seen is None or record.holder != seen.record.holder):
            self._tell_holder(record)
        self._seen = Sighting(record, self._clock()) if seen is None else seen.then(record, self._clock())

    def _tell_holder(self, record: LeaseRecord) -> None:
        if not record.holder:
            logger.info("%s: no replica leads", self._lock)
        elif record.holder == self._identity and not self._is_ours(record):
            logger.warning(
                "%s is held by an earlier process with the same identity, %s, or by another one that uses it; waiting "
                "until it expires",
                self._lock,
                self._identity,
            )
        else:
            logger.info("%s: %s leads; %s follows", self._lock, record.holder, self._identity)

    def _free_at(self) -> float:
        """When the record seen last may be taken over."""
        if self._seen is None:
            return 0.0
        record = self._seen.record
        if not record.holder and record.duration <= RELEASED:
            return self._seen.since
        return self._seen.over_at(least=self._timing.lease, most=LONGEST_LEASE)

    def _is_ours(self, record: LeaseRecord) -> bool:
        return bool(self._term) and (record.holder, record.acquired) == (self._identity, self._term)

    def _record(self, holder: str, *, acquired: str, transitions: int) -> LeaseRecord:
        return LeaseRecord(holder, self._timing.lease, acquired, self._stamp(), transitions)

    def _answered(self, lease: Lease | None) -> None:
        """Note that what was to be done now could be done: one that may read and not write could not take over."""
        if self._failure:
            logger.info("%s is accessible again", self._lock)
        self._failure = ""
        self._answered_at = self._clock()
        if lease is not None:
            self._on_transitions(lease.record.transitions)

    def _failed(self, error: KubeError) -> None:
        if str(error) != self._failure:
            advice = ""
            if isinstance(error, Forbidden):
                advice = ". The service account needs get, create and update for leases (coordination.k8s.io) there"
            logger.warning("%s%s", error, advice)
        self._failure = str(error)

    def _arm(self) -> None:
        """Have the end of leadership noticed when it comes, whatever request is waited for then."""
        if self._timer is not None:
            self._timer.cancel()
        if self._leadership.holds():
            self._timer = asyncio.get_running_loop().call_later(self._leadership.left, self._check_deadline)

    def _check_deadline(self) -> None:
        if self._leadership.holds():
            self._arm()  # extended meanwhile
        elif self.lost is None:
            self._lose(self._too_late())

    def _lose(self, why: str) -> None:
        self._leadership.end()
        if self.lost is None:
            self.lost = f"the lease is lost: {why}"
            self._on_lost()
