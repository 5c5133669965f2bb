"""The work queue: each key once, one worker a key, and turns between buckets so that none starves another."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")


class WorkQueue(Generic[K]):
    """Keys that wait to be looked at.

    A key that is added again while it waits is still looked at once. A key that is added while a worker holds it is
    looked at once more afterwards. Buckets (say, one per issuer and namespace) take turns, and one bucket never
    holds more than its share of the workers: a thousand Certificates behind a DNS server that does not answer leave
    room for all others.

    Args:
        bucket_of: Tells which bucket a key belongs to; asked when the key is added.
        bucket_limit: How many keys of one bucket may be held by workers at once.
    """

    def __init__(self, bucket_of: Callable[[K], Hashable], *, bucket_limit: int) -> None:
        self._bucket_of = bucket_of
        self._bucket_limit = bucket_limit
        self._waiting: OrderedDict[Hashable, deque[K]] = OrderedDict()
        self._queued: set[K] = set()
        self._held: dict[K, Hashable] = {}
        self._again: set[K] = set()
        self._held_by_bucket: dict[Hashable, int] = {}
        self._changed = asyncio.Condition()
        self._closed = False

    def __len__(self) -> int:
        """How many keys wait, those to be looked at again included."""
        return len(self._queued) + len(self._again)

    @property
    def held(self) -> int:
        """How many keys workers hold now."""
        return len(self._held)

    async def add(self, key: K) -> None:
        """Ask for a look at this key."""
        async with self._changed:
            if self._closed or key in self._queued:
                return
            if key in self._held:
                self._again.add(key)
                return
            self._enqueue(key)
            self._changed.notify()

    async def take(self) -> K | None:
        """Wait for a key and hold it until `done`; None once the queue is closed."""
        async with self._changed:
            while True:
                if self._closed:
                    return None
                key = self._next()
                if key is not None:
                    return key
                await self._changed.wait()

    async def done(self, key: K) -> None:
        """Let go of a key that `take` returned."""
        async with self._changed:
            bucket = self._held.pop(key)
            left = self._held_by_bucket[bucket] - 1
            if left:
                self._held_by_bucket[bucket] = left
            else:
                del self._held_by_bucket[bucket]
            if key in self._again:
                self._again.remove(key)
                self._enqueue(key)
            # A place in this bucket came free: a worker that found the bucket full may go on now.
            self._changed.notify()

    async def close(self) -> None:
        """Wake every waiting worker with None; what waits is dropped (it is level-triggered: a start finds it)."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _enqueue(self, key: K) -> None:
        self._queued.add(key)
        self._waiting.setdefault(self._bucket_of(key), deque()).append(key)

    def _next(self) -> K | None:
        for bucket in self._waiting:
            held = self._held_by_bucket.get(bucket, 0)
            if held >= self._bucket_limit:
                continue
            keys = self._waiting.pop(bucket)
            key = keys.popleft()
            if keys:
                self._waiting[bucket] = keys  # at the end: the others come first now
            self._queued.remove(key)
            self._held[key] = bucket
            self._held_by_bucket[bucket] = held + 1
            return key
        return None
