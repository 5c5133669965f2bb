"""The base of providers whose API takes one record in a request."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.dns.errors import DnsError, InvalidName, ProviderRefused
from certwright.dns.hosted.json_api import below
from certwright.dns.hosted.pace import Pace
from certwright.dns.hosted.provider import DEFAULT_TTL, TRIES, Outdated
from certwright.dns.hosted.queue import Change
from certwright.dns.hosted.record import FoundRecord, RecordProvider
from certwright.dns.hosted.text import plain
from certwright.dns.hosted.zones import HostedZone, ZoneList
from certwright.dns.outcomes import caught
from certwright.dns.records import TxtRecord, normalise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
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
    async def list_zones(self) -> Iterable[HostedZone]:
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


def found_among(
    items: Iterable[dict[str, Any]],
    names: Sequence[str],
    zone: HostedZone,
    *,
    name: str = "name",
    value: str,
    kind: str = "type",
    read: Callable[[str], str] = plain,
    place: Callable[[Any, HostedZone], str] = below,
) -> list[FoundRecord]:
    """Read the TXT records at some names from what an API lists; what it says besides is of no use and may change.

    Args:
        items: What the API lists.
        names: Those that are wanted: the names of others may be anything.
        zone: Their zone.
        name: The field that has the name.
        value: The field that has the value.
        kind: The field that has the type.
        read: Reads the value as the API writes it.
        place: Reads the name as the API writes it: `below` without the zone, or `absolute`.
    """
    return [
        FoundRecord(str(item["id"]), TxtRecord(its_name, read(str(item.get(value) or ""))))
        for item in items
        if item.get(kind) == "TXT" and (its_name := place(item.get(name), zone)) in names and item.get("id")
    ]


def zones_named(items: Iterable[dict[str, Any]], name: str, id_: str | None = None) -> list[HostedZone]:
    """Read the zones of a list; what has no name, or one that is none, is left out.

    Args:
        items: What the API lists.
        name: The field that has the name.
        id_: The field that has the ID; None if the name is the ID.
    """
    zones = []
    for item in items:
        try:
            its_name = normalise(str(item.get(name) or ""))
        except InvalidName:
            continue
        zone_id = its_name if id_ is None else str(item.get(id_) or "")
        if zone_id:
            zones.append(HostedZone(zone_id, its_name))
    return zones
