"""Which orders need which response: a response that two orders share is removed by the last of them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from certwright.concurrency import KeyedLock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Hashable, Iterable, Iterator


class Located(Protocol):
    """What can be held. Equal items count as one, and each has a location."""

    def __hash__(self) -> int:
        """Return the hash."""
        ...

    @property
    def location(self) -> str:
        """Where it is. Changes at one location are made one after the other."""
        ...


T = TypeVar("T", bound=Located)


class Holders(Generic[T]):
    """Holders of presented responses, by response.

    A CA may give two orders of one account the same pending authorization, and therefore the same TXT value or file.
    The holder that finishes first must not remove it, and a holder that presents it during a removal must wait.
    """

    def __init__(self) -> None:
        self._holders: dict[str, dict[T, set[Hashable]]] = {}
        self._held: dict[Hashable, set[T]] = {}
        self._locks: KeyedLock[str] = KeyedLock()

    def __iter__(self) -> Iterator[T]:
        """Iterate over everything that has at least one holder."""
        return (item for here in self._holders.values() for item in here)

    def at(self, location: str) -> tuple[T, ...]:
        """Return what is held at a location."""
        return tuple(self._holders.get(location, ()))

    def held_by(self, holders: Iterable[Hashable]) -> tuple[T, ...]:
        """Return what these holders hold, each once."""
        return tuple(dict.fromkeys(item for holder in holders for item in self._held.get(holder, ())))

    async def hold(self, holder: Hashable, items: Iterable[T]) -> None:
        """Register that a holder needs these items; return when no removal of them is in progress.

        Args:
            holder: The UID of a Certificate, or anything else that identifies an order.
            items: Its responses.
        """
        for location, here in _by_location(items):
            async with self._locks.at(location):
                for item in here:
                    self._holders.setdefault(location, {}).setdefault(item, set()).add(holder)
                    self._held.setdefault(holder, set()).add(item)

    @asynccontextmanager
    async def releasing(self, holder: Hashable, items: Iterable[T]) -> AsyncIterator[list[T]]:
        """Release these items, and yield those that no other holder needs, for removal inside the block.

        If the block fails, the holder keeps all of them.
        """
        async with self.releasing_all([holder], items) as removable:
            yield removable

    @asynccontextmanager
    async def releasing_all(self, holders: Collection[Hashable], items: Iterable[T]) -> AsyncIterator[list[T]]:
        """Release these items on behalf of several holders at once; see `releasing`."""
        grouped = _by_location(items)
        released = [item for _, here in grouped for item in here]
        async with AsyncExitStack() as locks:
            for location, _ in grouped:  # sorted by location: two releases cannot wait for each other
                await locks.enter_async_context(self._locks.at(location))
            yield [item for item in released if not self._holders_of(item).difference(holders)]
            for holder in holders:
                for item in released:
                    self._drop(holder, item)

    def forget(self, holder: Hashable) -> None:
        """Release everything that a holder holds, because it is gone or leaves its responses in place."""
        for item in self.held_by([holder]):
            self._drop(holder, item)

    def keep_only(self, holder: Hashable, items: Iterable[T]) -> None:
        """Release everything that a holder holds, except for these items."""
        kept = set(items)
        for item in self.held_by([holder]):
            if item not in kept:
                self._drop(holder, item)

    def _holders_of(self, item: T) -> set[Hashable]:
        return self._holders.get(item.location, {}).get(item, set())

    def _drop(self, holder: Hashable, item: T) -> None:
        if item not in self._held.get(holder, ()):
            return
        _discard(self._held, holder, item)
        here = self._holders[item.location]
        _discard(here, item, holder)
        if not here:
            del self._holders[item.location]


K = TypeVar("K")
V = TypeVar("V")


def _discard(sets: dict[K, set[V]], key: K, value: V) -> None:
    """Remove a value from a set, and the set itself when it becomes empty."""
    sets[key].discard(value)
    if not sets[key]:
        del sets[key]


def _by_location(items: Iterable[T]) -> list[tuple[str, list[T]]]:
    grouped: dict[str, list[T]] = {}
    for item in dict.fromkeys(items):
        grouped.setdefault(item.location, []).append(item)
    return sorted(grouped.items(), key=lambda entry: entry[0])
