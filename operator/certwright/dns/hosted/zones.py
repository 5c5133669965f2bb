"""The zones that a provider's account has, as its API lists them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.dns.cache import ExpiringCache
from certwright.dns.errors import DnsError, ProviderRefused, ZoneNotFound
from certwright.dns.outcomes import caught, of_ones_own
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
        raise _none(self._whose, self._word, name, self._hint)

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


class ZoneLookup:
    """Finds the zone that contains a name where the API lists no zones, but tells whether there is one.

    It is asked for the name and for each of its parents, the shortest first, because many names share it.

    Args:
        exists: Asks the API whether there is a zone of a name; raises `DnsError`.
        whose: Whose zones they are, for messages: `the Infomaniak account`.
        hint: What to check if a zone is missing.
        word: Which kind of zones they are, for messages.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        exists: Callable[[str], Awaitable[bool]],
        *,
        whose: str,
        hint: str,
        word: str = "public",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exists = exists
        self._whose = whose
        self._hint = hint
        self._word = word
        self._monotonic = monotonic
        self._zones: ExpiringCache[str, HostedZone] = ExpiringCache(seconds=KEPT_SECONDS, clock=monotonic)
        self._known: ExpiringCache[str, bool] = ExpiringCache(seconds=ABSENT_SECONDS, clock=monotonic)
        self._refused: tuple[float, ProviderRefused] | None = None

    async def find(self, name: str) -> HostedZone:
        """Return the zone with the longest name that contains a name.

        Raises:
            ZoneNotFound: There is none.
            DnsError: The API could not be asked.
        """
        found = await caught(self._zones.get(name, lambda: self._look_up(name)))
        if isinstance(found, DnsError):
            raise of_ones_own(found)
        return found

    async def _look_up(self, name: str) -> HostedZone:
        # Top-level domains are nobody's zones.
        candidates = [one for one in self_and_parents(name) if "." in one]
        zones = [one for one in reversed(candidates) if await self._is_zone(one)]
        if not zones:
            raise _none(self._whose, self._word, name, self._hint)
        return HostedZone(zones[-1], zones[-1])

    async def _is_zone(self, name: str) -> bool:
        if self._refused is not None and self._monotonic() < self._refused[0]:
            raise of_ones_own(self._refused[1])
        try:
            return await self._known.get(name, lambda: self._exists(name))
        except ProviderRefused as error:
            if error.for_all:
                self._refused = (self._monotonic() + FAILED_SECONDS, error)
            raise


def _none(whose: str, word: str, name: str, hint: str) -> ZoneNotFound:
    error = ZoneNotFound(f"{whose} has no {word} zone that contains {name}: {hint}")
    error.names = (name,)
    return error
