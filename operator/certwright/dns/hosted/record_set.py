"""The base of providers whose API has one set of values for each name: it is read, compared and swapped."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from certwright.dns.hosted.provider import DEFAULT_TTL, HostedProvider, until_nobody_is_quicker
from certwright.dns.hosted.text import quoted, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from certwright.dns.hosted.queue import Change
    from certwright.dns.hosted.zones import HostedZone


@dataclass(frozen=True)
class RecordSet:
    """The values at a name, as they were read.

    Attributes:
        name: The name.
        values: The values.
        ttl: Seconds for which resolvers may cache it; None if there is no set, or the API does not say it.
        version: What the API compares with what is there: an ETag, or the set as the API wrote it.
        texts: The values as the API writes them, if it is to be given back those of others unchanged. Two may mean the
            same value, in other character-strings.
    """

    name: str
    values: frozenset[str] = frozenset()
    ttl: int | None = None
    version: Any = None
    texts: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, texts: Any, ttl: Any, version: Any = None) -> Self:
        """Read a set whose values are character-strings in quotes.

        Args:
            name: The name.
            texts: What the API lists as the values; anything but a list has none.
            ttl: What the API says is the TTL.
            version: See above.
        """
        written = tuple(str(text) for text in texts) if isinstance(texts, list) else ()
        return cls(name, frozenset(map(unquoted, written)), ttl if isinstance(ttl, int) else None, version, written)


@dataclass(frozen=True)
class Swap:
    """A set and what is to take its place.

    Attributes:
        old: As it was read; without values if there is none.
        add: Values to add to it.
        remove: Values to take out of it.
        ttl: Seconds for which resolvers may cache the new set; somebody else's set keeps its own.
    """

    old: RecordSet
    add: frozenset[str]
    remove: frozenset[str]
    ttl: int

    @property
    def name(self) -> str:
        """The name of both sets."""
        return self.old.name

    @property
    def values(self) -> list[str]:
        """The values afterwards, in order; none if the set is to be removed."""
        return sorted((self.old.values | self.add) - self.remove)

    @property
    def texts(self) -> list[str]:
        """The values afterwards in quotes; those of others as they were written."""
        return [*(text for text in self.old.texts if unquoted(text) not in self.remove), *map(quoted, sorted(self.add))]


class RecordSetProvider(HostedProvider):
    """Reads the sets at the names of a change, and swaps those that differ; again if somebody else was quicker."""

    host: str
    """For messages."""

    @abstractmethod
    async def read(self, zone: HostedZone, names: Sequence[str]) -> Iterable[RecordSet]:
        """Read the sets of TXT records at some names; names without one may be left out.

        Raises:
            Outdated: They changed while they were read.
            DnsError: The API refused, or does not answer.
        """

    @abstractmethod
    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Swap sets.

        Raises:
            Outdated: One is not as it was read.
            DnsError: The API refused, or does not answer.
        """

    async def make(self, zone: HostedZone, change: Change) -> None:
        """Make a change, and look again if somebody else was quicker."""
        parts = change.by_name()

        async def attempt() -> None:
            found = {one.name: one for one in await self.read(zone, change.names)}
            wanted = (_swap(found.get(name) or RecordSet(name), part) for name, part in parts.items())
            if swaps := [swap for swap in wanted if swap is not None]:
                await self.swap(zone, swaps)

        await until_nobody_is_quicker(self.host, zone, attempt)

    async def is_as_read(self, zone: HostedZone, swaps: Sequence[Swap]) -> bool:
        """Return whether the sets are still what they were when they were read. Raises `DnsError`."""
        there = {one.name: one.values for one in await self.read(zone, [swap.name for swap in swaps])}
        return all(there.get(swap.name, frozenset()) == swap.old.values for swap in swaps)

    async def is_as_written(self, zone: HostedZone, swaps: Sequence[Swap]) -> bool:
        """Return whether what was added is there, and what was removed is not. Raises `DnsError`."""
        there = {one.name: one.values for one in await self.read(zone, [swap.name for swap in swaps])}
        values = ((swap, there.get(swap.name, frozenset())) for swap in swaps)
        return all(swap.add <= found and not swap.remove & found for swap, found in values)


def _swap(old: RecordSet, change: Change) -> Swap | None:
    add = frozenset(record.value for record in change.add) - old.values
    remove = frozenset(record.value for record in change.remove) & old.values
    ttl = old.ttl or min((record.ttl for record in change.add if record.ttl), default=DEFAULT_TTL)
    return Swap(old, add, remove, ttl) if add or remove else None
