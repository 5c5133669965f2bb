"""The base of providers whose server adds and removes single values of a set: nothing need be read before."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from certwright.dns.hosted.provider import TRIES, HostedProvider, Outdated, outrun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns.hosted.queue import Change
    from certwright.dns.hosted.zones import HostedZone


class ValueProvider(HostedProvider):
    """Has values added and removed by the server, which does both to what is there then."""

    host: str
    """For messages."""

    @abstractmethod
    async def write(self, zone: HostedZone, changes: Mapping[str, Change]) -> None:
        """Add and remove values.

        Args:
            zone: Their zone.
            changes: What is to change at each name.

        Raises:
            Outdated: Somebody else changed a set at the same time.
            DnsError: The API refused, or does not answer.
        """

    async def make(self, zone: HostedZone, change: Change) -> None:
        """Make a change, again if somebody else was quicker."""
        for _ in range(TRIES):
            try:
                await self.write(zone, change.by_name())
            except Outdated:
                continue
            return
        raise outrun(self.host, zone)
