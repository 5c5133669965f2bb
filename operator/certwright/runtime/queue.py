"""The work queue: each key once and one worker per key, with turns by namespace, then by issuer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

MAX_ASIDE: Final = 512
"""The maximum number of reconciliations without a worker, because each takes some memory."""
MAX_ASIDE_OF_NAMESPACE: Final = 256
KEPT_ASIDE: Final = 128
"""The part of `MAX_ASIDE` reserved for namespaces that have few, so that two tenants cannot use all."""
FEW_ASIDE: Final = 4

K = TypeVar("K", bound="Hashable")
H = TypeVar("H", bound="Hashable")


class Place(NamedTuple):
    """Whose turn a key uses.

    Attributes:
        namespace: The tenant.
        issuer: The issuer in it; a tenant's issuers take turns with each other.
        authority: The CA that the reconciliation may have to wait for; None if unknown.
    """

    namespace: str
    issuer: Hashable = None
    authority: Hashable = None


class _Waiting(NamedTuple, Generic[K]):
    key: K
    place: Place
    since: float


class WorkQueue(Generic[K]):
    """Keys that wait to be reconciled.

    A key that is added again while it waits is reconciled once. A key that is added while a worker holds it is
    reconciled once more afterwards.

    Namespaces take turns, then the issuers of a namespace, and the keys of an issuer keep the order in which they were
    added. Turns alone do not help against slow reconciliations, so workers are reserved:

    - The last quarter of the workers is for namespaces that hold none.
    - The eighth before that is for issuers that hold none.
    - At most three quarters of the workers may wait for the same CA, across all namespaces.
    - A reconciliation that waits long for an external system steps aside: it keeps its key, but no worker. The number
      of these is limited, and the last quarter of it is for namespaces that have few.

    Args:
        place_of: Returns whose turn a key uses; called when the key is added.
        workers: How many keys may be held at once.
        now: The clock, in seconds.
    """

    def __init__(
        self, place_of: Callable[[K], Place], *, workers: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._place_of = place_of
        self._workers = workers
        self._for_namespaces = max(1, workers // 4) if workers > 1 else 0
        self._for_issuers = workers // 8
        self._now = now
        self._waiting: OrderedDict[str, OrderedDict[Hashable, deque[_Waiting[K]]]] = OrderedDict()
        self._queued: set[K] = set()
        self._held: dict[K, tuple[Place, float]] = {}
        self._aside: dict[K, Place] = {}
        self._again: set[K] = set()
        self._of_namespace: Counter[str] = Counter()
        self._aside_of_namespace: Counter[str] = Counter()
        self._of_issuer: Counter[tuple[str, Hashable]] = Counter()
        self._of_authority: Counter[Hashable] = Counter()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._served_since: float | None = None
        self._closed = False

    def __len__(self) -> int:
        """The number of waiting keys, including those to be reconciled again."""
        return len(self._queued) + len(self._again)

    @property
    def held(self) -> int:
        """How many keys workers hold now."""
        return len(self._held)

    @property
    def aside(self) -> int:
        """How many keys are being reconciled without a worker."""
        return len(self._aside)

    @property
    def oldest_wait(self) -> float:
        """How many seconds the oldest key has waited while workers were available; 0 if none waits."""
        return self._longest_wait(self._waiting)

    @property
    def starved_wait(self) -> float:
        """The same for namespaces that hold no worker, whose wait is not explained by their own backlog."""
        return self._longest_wait(namespace for namespace in self._waiting if not self._of_namespace[namespace])

    @property
    def longest_hold(self) -> float:
        """For how many seconds the longest-held key has been held; 0 if none is held."""
        now = self._now()
        return max((now - since for _, since in self._held.values()), default=0.0)

    def serve(self) -> None:
        """Start to count waits, because workers are available from now on."""
        self._served_since = self._now()

    def add(self, key: K) -> None:
        """Enqueue a key."""
        if self._closed or key in self._queued:
            return
        if key in self._held or key in self._aside:
            self._again.add(key)
        elif self._may_take(self._enqueue(key)):
            self._wake_worker()

    async def take(self) -> K | None:
        """Wait for a key and hold it until `done`; None once the queue is closed."""
        while not self._closed:
            key = self._next()
            if key is not None:
                return key
            turn = asyncio.get_running_loop().create_future()
            self._idle.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake_worker()  # what this one was woken for is another one's
                raise
        return None

    def done(self, key: K) -> None:
        """Release a key that `take` returned."""
        place = self._aside.pop(key, None)
        if place is None:
            self._let_go_of_worker(key)
        else:
            _let_go(self._aside_of_namespace, place.namespace)
        if key in self._again:
            self._again.remove(key)
            if not self._closed:
                self._enqueue(key)
        # A share has room again, so a worker that found nothing it may take can continue.
        self._wake_worker()

    def step_aside(self, key: K) -> bool:
        """Give up the worker of a key that `take` returned; return whether that is possible now.

        The key is still held until `done`. A new worker must replace the one that continues with it.
        """
        namespace = self._held[key][0].namespace
        left, having = MAX_ASIDE - len(self._aside), self._aside_of_namespace[namespace]
        if left <= (KEPT_ASIDE if having >= FEW_ASIDE else 0) or having >= MAX_ASIDE_OF_NAMESPACE:
            return False
        self._aside[key] = self._let_go_of_worker(key)
        self._aside_of_namespace[namespace] += 1
        self._wake_worker()
        return True

    def _let_go_of_worker(self, key: K) -> Place:
        place, _ = self._held.pop(key)
        _let_go(self._of_namespace, place.namespace)
        _let_go(self._of_issuer, (place.namespace, place.issuer))
        _let_go(self._of_authority, place.authority)
        return place

    def close(self) -> None:
        """Wake every waiting worker with None. Waiting keys are dropped; after a restart they are enqueued again."""
        self._closed = True
        while self._idle:
            self._wake_worker()

    def _enqueue(self, key: K) -> Place:
        place = self._place_of(key)
        issuers = self._waiting.setdefault(place.namespace, OrderedDict())
        issuers.setdefault(place.issuer, deque()).append(_Waiting(key, place, self._now()))
        self._queued.add(key)
        return place

    def _may_take(self, place: Place) -> bool:
        left = self._workers - len(self._held)
        if place.authority is not None and self._of_authority[place.authority] >= self._workers - self._for_namespaces:
            return False
        if not self._of_namespace[place.namespace]:
            return True
        if not self._of_issuer[place.namespace, place.issuer]:
            return left > self._for_namespaces
        return left > self._for_namespaces + self._for_issuers

    def _next(self) -> K | None:
        for namespace, issuers in self._waiting.items():
            for issuer, keys in issuers.items():
                if not self._may_take(keys[0].place):
                    continue
                taken = keys.popleft()
                # Move to the end, so that the other issuers of the namespace and the other namespaces come first.
                issuers.move_to_end(issuer)
                self._waiting.move_to_end(namespace)
                if not keys:
                    del issuers[issuer]
                if not issuers:
                    del self._waiting[namespace]
                self._hold(taken)
                return taken.key
        return None

    def _hold(self, taken: _Waiting[K]) -> None:
        self._queued.remove(taken.key)
        self._held[taken.key] = (taken.place, self._now())
        self._of_namespace[taken.place.namespace] += 1
        self._of_issuer[taken.place.namespace, taken.place.issuer] += 1
        self._of_authority[taken.place.authority] += 1

    def _wake_worker(self) -> None:
        while self._idle:
            turn = self._idle.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _longest_wait(self, namespaces: Iterable[str]) -> float:
        since = self._served_since
        if since is None:
            return 0.0
        heads = (keys[0].since for namespace in namespaces for keys in self._waiting[namespace].values())
        oldest = min(heads, default=None)
        return 0.0 if oldest is None else self._now() - max(oldest, since)


def _let_go(counter: Counter[H], of: H) -> None:
    counter[of] -= 1
    if not counter[of]:
        del counter[of]
