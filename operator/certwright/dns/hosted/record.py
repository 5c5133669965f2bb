"""The base of providers whose API has records with IDs, one for each value."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.dns.hosted.provider import HostedProvider, until_nobody_is_quicker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns.hosted.queue import Change
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.records import TxtRecord


@dataclass(frozen=True)
class FoundRecord:
    """A record that is there.

    Attributes:
        id: As the API names it.
        record: Its name and value.
    """

    id: str
    record: TxtRecord


class RecordProvider(HostedProvider):
    """Looks which records are there, creates those that are missing, and deletes exactly those to be removed."""

    host: str
    """For messages."""

    @abstractmethod
    async def find(self, zone: HostedZone, names: Sequence[str]) -> Sequence[FoundRecord]:
        """Find the TXT records at some names, on every page; others do no harm. Raises `DnsError`."""

    @abstractmethod
    async def write(self, zone: HostedZone, create: Sequence[TxtRecord], delete: Sequence[FoundRecord]) -> None:
        """Create and delete records.

        Raises:
            Outdated: One to be created exists, or one to be deleted does not.
            DnsError: The API refused, or does not answer.
        """

    async def make(self, zone: HostedZone, change: Change) -> None:
        """Make a change, and look again if somebody else was quicker."""

        async def attempt() -> None:
            found = await self.find(zone, change.names)
            create = sorted(change.add - {one.record for one in found})
            # Each once: a list that changes while it is read may have a record on two of its pages.
            delete = list(dict.fromkeys(one for one in found if one.record in change.remove))
            if create or delete:
                await self.write(zone, create, delete)

        await until_nobody_is_quicker(self.host, zone, attempt)
