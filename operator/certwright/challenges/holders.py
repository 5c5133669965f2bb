"""Who needs which response: one that two orders share is removed by the last of them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from certwright.concurrency import KeyedLock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Hashable, Iterable, Iterator


class Located(Protocol):
    """What can be held: equal ones are one, and each stands somewhere."""

    def __hash__(self) -> int:
        """Return the hash."""
        ...

    @property
    def location(self) -> str:
        """Where it stands. What is at one location is changed one after the other."""
        ...


T = TypeVar("T", bound=Located)


class Holders(Generic[T]):
    """Holders of presented responses, by response.

    A CA may hand the same pending authorization, and so the same TXT value or file, to two orders of one account. The
    holder that is done first must leave it alone, and a holder that presents it while it is being removed must wait
    for that.
    """

    def __init__(self) -> None:
        self._holders: dict[str, dict[T, set[Hashable]]] = {}
        self._held: dict[Hashable, set[T]] = {}
        self._locks: KeyedLock[str] = KeyedLock()

    def __iter__(self) -> Iterator[T]:
        """Return all that is held by at least one holder."""
        return (item for here in self._holders.values() for item in here)

    def at(self, location: str) -> tuple[T, ...]:
        """Return what is held at a location."""
        return tuple(self._holders.get(location, ()))

    def held_by(self, holders: Iterable[Hashable]) -> tuple[T, ...]:
        """Return what these holders hold, each once."""
        return tuple(dict.fromkeys(item for holder in holders for item in self._held.get(holder, ())))

    async def hold(self, holder: Hashable, items: Iterable[T]) -> None:
        """Note that a holder needs these; return when no removal of them is under way.

        Args:
            holder: The UID of a Certificate, or whatever else stands for an order.
            items: Its responses.
        """
        for location, here in _by_location(items):
            async with self._locks.at(location):
                for item in here:
                    self._holders.setdefault(location, {}).setdefault(item, set()).add(holder)
                    self._held.setdefault(holder, set()).add(item)

    @asynccontextmanager
    async def releasing(self, holder: Hashable, items: Iterable[T]) -> AsyncIterator[list[T]]:
        """Give these up, and yield those that no other holder needs and that are to be removed inside the block.

        If the block fails the holder keeps them all.
        """
        async with self.releasing_all([holder], items) as removable:
            yield removable

    @asynccontextmanager
    async def releasing_all(self, holders: Collection[Hashable], items: Iterable[T]) -> AsyncIterator[list[T]]:
        """Give these up on behalf of several holders at once; see `releasing`."""
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
        """Give up whatever a holder holds: it is gone, or its responses are left where they are."""
        for item in self.held_by([holder]):
            self._drop(holder, item)

    def keep_only(self, holder: Hashable, items: Iterable[T]) -> None:
        """Give up whatever a holder holds but for these."""
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
    """Take a value out of one of the sets, and the set away with its last one."""
    sets[key].discard(value)
    if not sets[key]:
        del sets[key]


def _by_location(items: Iterable[T]) -> list[tuple[str, list[T]]]:
    grouped: dict[str, list[T]] = {}
    for item in dict.fromkeys(items):
        grouped.setdefault(item.location, []).append(item)
    return sorted(grouped.items(), key=lambda entry: entry[0])
