"""The base of all providers with an API over HTTPS: zones, queues, and one error for all that failed."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from certwright.dns.errors import DnsError, ProviderRefused, ZoneNotFound
from certwright.dns.hosted.queue import Change, ZoneQueue
from certwright.dns.outcomes import about, caught, joined

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.records import TxtRecord

DEFAULT_TTL: Final = 60
"""Seconds for which resolvers may cache a record, unless it says otherwise."""
TRIES: Final = 5
"""How often a change is made again because somebody else changed the same names in between."""


class Outdated(DnsError):
    """What a change was decided on has changed meanwhile: read and decide again.

    An API may say so where nothing was decided, such as in place of its zones; then this is all there is to tell.
    """

    def __init__(self) -> None:
        super().__init__("the DNS provider answered that what it was asked about had changed meanwhile")


async def until_nobody_is_quicker(host: str, zone: HostedZone, attempt: Callable[[], Awaitable[None]]) -> None:
    """Read, decide and write, and all of it again if somebody else changed the same names in between.

    Args:
        host: Of the API, for the message.
        zone: What is changed.
        attempt: One try; raises `Outdated` if it has to be made again.

    Raises:
        ProviderRefused: Somebody else was quicker each time.
        DnsError: What an attempt raises.
    """
    for _ in range(TRIES):
        try:
            return await attempt()
        except Outdated:
            continue
    raise ProviderRefused(
        f"the DNS provider at {host} refused a change of the zone {zone.name or zone.id} {TRIES} times, because its "
        "records had changed meanwhile each time",
        host=host,
    )


class HostedProvider(ABC):
    """A `Provider` whose API has zones."""

    zone_word: str = "public"
    """Which kind of zones it has, for messages."""

    def __init__(self) -> None:
        self._queues: dict[str, ZoneQueue] = {}

    async def present(self, records: Sequence[TxtRecord]) -> None:
        """Add the records, those of one zone together; other values at the same names are kept.

        Raises:
            ZoneNotFound: The account has no zone for a record.
            ProviderRefused: The API does not accept the credential or the change.
            ProviderUnreachable: The API does not answer, or receives too many requests.
            UpdatesFailed: Several of these.
        """
        await self._change(records, adding=True)

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """Remove exactly these values; those that are not there are fine.

        Raises:
            DnsError: As for `present`.
        """
        await self._change(records, adding=False)

    @abstractmethod
    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name. Raises `DnsError`."""

    @abstractmethod
    async def make(self, zone: HostedZone, change: Change) -> None:
        """Make a change of one zone; called for one change of it at a time. Raises `DnsError`."""

    async def _change(self, records: Sequence[TxtRecord], *, adding: bool) -> None:
        wanted = list(dict.fromkeys(records))
        zones = await asyncio.gather(*(caught(self.zone_of(record)) for record in wanted))
        failures: list[DnsError] = []
        by_zone: defaultdict[HostedZone, list[TxtRecord]] = defaultdict(list)
        for record, zone in zip(wanted, zones, strict=True):
            if isinstance(zone, DnsError):
                failures.append(about([record], zone))
            else:
                by_zone[zone].append(record)
        outcomes = await asyncio.gather(*(self._put(zone, part, adding=adding) for zone, part in by_zone.items()))
        failures += [outcome for outcome in outcomes if outcome is not None]
        if failures:
            raise joined(failures)

    async def zone_of(self, record: TxtRecord) -> HostedZone:
        """Find the zone in which a record is created: the one that it names, or the one that contains it.

        Raises:
            ZoneNotFound: The account does not have it.
            DnsError: What the API refuses.
        """
        if record.zone is None:
            return await self.find_zone(record.name)
        zone = await self.find_zone(record.zone)
        if zone.name and zone.name != record.zone:
            raise ZoneNotFound(f"the account has no {self.zone_word} zone {record.zone}, which the solver names")
        return zone

    async def _put(self, zone: HostedZone, records: Sequence[TxtRecord], *, adding: bool) -> DnsError | None:
        change = Change(add=frozenset(records)) if adding else Change(remove=frozenset(records))
        outcome = await caught(self._queue(zone).put(change))
        if not isinstance(outcome, DnsError):
            return None
        # It may have been made in part: only what was not is told.
        undone = [record for record in records if record.name in outcome.names]
        return about(undone or records, outcome)

    def _queue(self, zone: HostedZone) -> ZoneQueue:
        queue = self._queues.get(zone.id)
        if queue is None:
            for idle in [key for key, known in self._queues.items() if known.is_idle]:
                del self._queues[idle]
            queue = self._queues[zone.id] = ZoneQueue(lambda change: self.make(zone, change))
        return queue
