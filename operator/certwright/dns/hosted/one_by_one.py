"""The base of providers whose API accepts one record per request."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.dns.errors import DnsError, InvalidName, ProviderRefused
from certwright.dns.hosted.json_api import below
from certwright.dns.hosted.listing import ListTooLong
from certwright.dns.hosted.pace import Pace
from certwright.dns.hosted.provider import DEFAULT_TTL, TRIES, Outdated
from certwright.dns.hosted.queue import Change
from certwright.dns.hosted.record import FoundRecord, RecordProvider
from certwright.dns.hosted.text import plain
from certwright.dns.hosted.zones import HostedZone, ZoneList
from certwright.dns.outcomes import caught
from certwright.dns.records import TxtRecord, normalise

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
    from typing import Any

    from certwright.dns.hosted.json_api import JsonApi
    from certwright.dns.provider import ProviderContext

TOGETHER: Final = 4
"""Requests of one zone at a time."""
FEW_NAMES: Final = 4
"""So many are asked for one by one, where the API can; for more all TXT records of the zone are read."""


class OneByOneRecords(RecordProvider):
    """Creates and deletes records one by one, a few at a time; a subclass finds their zones.

    A failure in the middle ends it; the error names those that were not made, and the next attempt goes on from there.
    APIs of this kind have no code for a record that is there already: after a refusal it is looked whether it is.
    """

    least_ttl: ClassVar[int] = DEFAULT_TTL
    """Seconds; the API takes none that is shorter."""

    def __init__(self, api: JsonApi) -> None:
        super().__init__()
        self.api = api
        self.host = api.host

    @abstractmethod
    async def create(self, zone: HostedZone, record: TxtRecord) -> None:
        """Create a record. Raises `Outdated` or `DnsError`."""

    @abstractmethod
    async def delete(self, zone: HostedZone, found: FoundRecord) -> None:
        """Delete a record; one that is gone is fine. Raises `Outdated` or `DnsError`."""

    def ttl_of(self, record: TxtRecord) -> int:
        """Return for how many seconds resolvers may cache a record, not less than the API takes."""
        return max(record.ttl or DEFAULT_TTL, self.least_ttl)

    async def make(self, zone: HostedZone, change: Change) -> None:
        """Make a change; what was refused and is there nonetheless, or is gone, is made."""
        for attempt in range(TRIES):
            try:
                return await super().make(zone, change)
            except ListTooLong:
                raise
            except ProviderRefused as error:
                left = change if error.for_all else await self._left(zone, change)
                if not left:
                    return None
                error.names = tuple(left.names)
                if len(left) == len(change) or attempt == TRIES - 1:
                    raise
                change = left
        return None

    async def _left(self, zone: HostedZone, change: Change) -> Change:
        """Return the part of a change that is not made; all of it if that cannot be seen."""
        found = await caught(self.find(zone, change.names))
        if isinstance(found, DnsError):
            return change
        there = {one.record for one in found}
        return Change(change.add - there, change.remove & there)

    async def write(self, zone: HostedZone, create: Sequence[TxtRecord], delete: Sequence[FoundRecord]) -> None:
        """Create and delete records."""
        steps = [(one.record.name, partial(self.delete, zone, one)) for one in delete]
        steps += [(record.name, partial(self.create, zone, record)) for record in create]
        await each(steps)


class OneByOneProvider(OneByOneRecords):
    """Creates and deletes records one by one, in zones that the API lists."""

    whose: ClassVar[str]
    """Whose zones they are, for messages: `the DigitalOcean account`."""
    rights: ClassVar[str]
    """What the credential needs, in the provider's own words: `the API token needs...`."""

    def __init__(self, context: ProviderContext, api: JsonApi) -> None:
        super().__init__(api)
        self._zones = ZoneList(self.list_zones, whose=self.whose, hint=self.rights, monotonic=context.monotonic)

    @abstractmethod
    async def list_zones(self) -> Sequence[HostedZone]:
        """List the public zones, of every page. Raises `DnsError`."""

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        return await self._zones.find(name)


async def each(steps: Sequence[tuple[str, Callable[[], Awaitable[None]]]]) -> None:
    """Take steps, a few at a time; after a failure no more is begun, and its error names all that were not taken."""
    failures: list[DnsError] = []
    undone: set[str] = set()
    outdated = False
    todo = iter(steps)

    async def work() -> None:
        nonlocal outdated
        for name, act in todo:
            if failures:
                undone.add(name)
                continue
            try:
                await act()
            except Outdated:
                outdated = True
            except DnsError as error:
                failures.append(error)
                undone.add(name)

    await asyncio.gather(*(work() for _ in range(min(TOGETHER, len(steps)))))
    if failures:
        failures[0].names = tuple(sorted(undone))
        raise failures[0]
    if outdated:
        raise Outdated


def pace_of(context: ProviderContext, per_second: float, at_once: int = 1) -> Pace:
    """Return a pace by the clock of a context."""
    return Pace(per_second, at_once, monotonic=context.monotonic, sleep=context.sleep)


@dataclass(frozen=True)
class RecordFields:
    """Which fields of what an API lists say what a record is; what it says besides is of no use and may change.

    Attributes:
        value: The field that has the value.
        name: The field that has the name.
        kind: The field that has the type.
        read: Reads the value as the API writes it.
        place: Reads the name as the API writes it: `below` without the zone, or `absolute`.
    """

    value: str
    name: str = "name"
    kind: str = "type"
    read: Callable[[str], str] = plain
    place: Callable[[Any, HostedZone], str] = below

    def found(self, item: dict[str, Any], names: Sequence[str], zone: HostedZone) -> FoundRecord | None:
        """Read a record of a zone, if it is a TXT record at one of some names: the names of others may be anything."""
        if item.get(self.kind) != "TXT" or not item.get("id"):
            return None
        name = self.place(item.get(self.name), zone)
        if name not in names:
            return None
        return FoundRecord(str(item["id"]), TxtRecord(name, self.read(str(item.get(self.value) or ""))))

    def among(self, items: Iterable[dict[str, Any]], names: Sequence[str], zone: HostedZone) -> list[FoundRecord]:
        """Read the TXT records at some names from what an API lists."""
        return [one for item in items if (one := self.found(item, names, zone)) is not None]

    async def listed(
        self, items: AsyncIterable[dict[str, Any]], names: Sequence[str], zone: HostedZone
    ) -> list[FoundRecord]:
        """Read the TXT records at some names from what an API lists in pages, and keep nothing of the others."""
        return [one async for item in items if (one := self.found(item, names, zone)) is not None]


@dataclass(frozen=True)
class ZoneFields:
    """Which fields of what an API lists say what a zone is.

    Attributes:
        name: The field that has the name.
        id: The field that has the ID; None if the name is the ID.
        accepts: Whether a zone is one that can be used.
    """

    name: str
    id: str | None = None
    accepts: Callable[[dict[str, Any]], bool] = bool

    def zone(self, item: dict[str, Any]) -> HostedZone | None:
        """Read a zone; what has no name, or one that is none, is not one."""
        if not self.accepts(item):
            return None
        try:
            name = normalise(str(item.get(self.name) or ""))
        except InvalidName:
            return None
        zone_id = name if self.id is None else str(item.get(self.id) or "")
        return HostedZone(zone_id, name) if zone_id else None

    def among(self, items: Iterable[dict[str, Any]]) -> list[HostedZone]:
        """Read the zones of what an API lists."""
        return [zone for item in items if (zone := self.zone(item)) is not None]

    async def listed(self, items: AsyncIterable[dict[str, Any]]) -> list[HostedZone]:
        """Read the zones of what an API lists in pages."""
        return [zone async for item in items if (zone := self.zone(item)) is not None]
