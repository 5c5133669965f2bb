"""The zones that a provider's account has, as its API lists them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.dns.errors import DnsError, ZoneNotFound
from certwright.dns.outcomes import of_ones_own
from certwright.dns.records import self_and_parents

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

KEPT_SECONDS: Final = 300.0
"""How long a list of zones is believed."""
ABSENT_SECONDS: Final = 60.0
"""How long it is believed that a zone is not there: someone may be creating it."""
FAILED_SECONDS: Final = 10.0
"""How long after a failure the list is not asked for again: a hundred Certificates would each ask."""


@dataclass(frozen=True)
class HostedZone:
    """A zone.

    Attributes:
        id: As the API names it.
        name: Without the trailing dot; empty if the user gave its ID, and the API alone knows the name.
        size: How many record sets or records it has, if the API says so.
    """

    id: str
    name: str
    size: int | None = None


class ZoneList:
    """Finds the zone that contains a name.

    Args:
        fetch: Lists the zones of that kind, of every page; raises `DnsError`.
        whose: Whose zones they are, for messages: `the Cloudflare account`.
        hint: What to check if a zone is missing.
        word: Which kind of zones they are, for messages.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Iterable[HostedZone]]],
        *,
        whose: str,
        hint: str,
        word: str = "public",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._whose = whose
        self._hint = hint
        self._word = word
        self._monotonic = monotonic
        self._fetching: asyncio.Task[DnsError | None] | None = None
        self._zones: dict[str, list[HostedZone]] = {}
        self._fetched_at: float | None = None
        self._failed: tuple[float, DnsError] | None = None

    async def find(self, name: str) -> HostedZone:
        """Return the zone with the longest name that contains a name.

        Raises:
            ZoneNotFound: There is none, or several of the same name.
            DnsError: The zones could not be listed.
        """
        for seconds in (KEPT_SECONDS, ABSENT_SECONDS):
            zones = await self._known(seconds)
            found = next((zones[parent] for parent in self_and_parents(name) if parent in zones), None)
            if found is not None:
                return self._only(found)
        error = ZoneNotFound(f"{self._whose} has no {self._word} zone that contains {name}: {self._hint}")
        error.names = (name,)
        raise error

    def _only(self, zones: list[HostedZone]) -> HostedZone:
        if len(zones) > 1:
            # One of them is delegated to; a record in another one would never be seen.
            raise ZoneNotFound(f"{self._whose} has {len(zones)} {self._word} zones {zones[0].name}: {self._hint}")
        return zones[0]

    async def _known(self, seconds: float) -> dict[str, list[HostedZone]]:
        now = self._monotonic()
        if self._fetched_at is not None and now - self._fetched_at < seconds:
            return self._zones
        if self._failed is not None and now < self._failed[0]:
            raise of_ones_own(self._failed[1])
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._list())
        # Shielded: one impatient caller must not take the answer away from the others.
        outcome = await asyncio.shield(self._fetching)
        if outcome is not None:
            raise of_ones_own(outcome)
        return self._zones

    async def _list(self) -> DnsError | None:
        try:
            listed = await self._fetch()
        except DnsError as error:
            self._failed = (self._monotonic() + FAILED_SECONDS, error)
            return error
        finally:
            self._fetching = None
        self._zones = {}
        for zone in listed:
            self._zones.setdefault(zone.name, []).append(zone)
        self._fetched_at, self._failed = self._monotonic(), None
        return None
