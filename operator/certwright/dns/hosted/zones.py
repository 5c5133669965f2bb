"""The zones that a provider's account has, as its API lists them."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from certwright.dns.cache import ExpiringCache
from certwright.dns.errors import DnsError, ProviderRefused, ZoneNotFound
from certwright.dns.hosted.listing import MAX_ITEMS, ListTooLong
from certwright.dns.outcomes import caught, of_ones_own
from certwright.dns.records import self_and_parents

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

KEPT_SECONDS: Final = 300.0
"""How long a list of zones is believed."""
ABSENT_SECONDS: Final = 60.0
"""How long it is believed that a zone is not there: someone may be creating it."""
FAILED_SECONDS: Final = 10.0
"""How long after a failure the list is not asked for again: a hundred Certificates would each ask."""
MAX_REMEMBERED: Final = MAX_ITEMS
"""Zones of all lists of this process together, some ten megabytes. Beyond that, those lists that were read first are
forgotten, and read again when they are needed."""


MAX_NAME: Final = 253
"""Characters of a name (RFC 1035 section 2.3.4)."""
_ID: Final = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
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


def label_of(zone: HostedZone | None) -> str:
    """Return what a zone is called in messages: its name, or its ID if only that is known; nothing for no zone."""
    return "" if zone is None else zone.name or zone.id


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
        fetch: Callable[[], Awaitable[Sequence[HostedZone]]],
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
        self._fetching: asyncio.Task[DnsError | dict[str, list[HostedZone]]] | None = None
        self._zones: dict[str, list[HostedZone]] = {}
        self._fetched_at: float | None = None
        self._failed: tuple[float, DnsError] | None = None
        self.count = 0
        """How many zones are remembered."""

    @property
    def read_at(self) -> float:
        """When the zones were read that are remembered, by the list's clock."""
        return self._fetched_at or 0.0

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
        if isinstance(outcome, DnsError):
            raise of_ones_own(outcome)
        return outcome

    async def _list(self) -> DnsError | dict[str, list[HostedZone]]:
        try:
            listed = await self._fetch()
            if len(listed) > MAX_ITEMS:
                raise ListTooLong(
                    f"{self._whose} has more than {MAX_ITEMS} {self._word} zones, and no more are remembered"
                )
        except DnsError as error:
            self._failed = (self._monotonic() + FAILED_SECONDS, error)
            return error
        finally:
            self._fetching = None
        # Each once: a list that changes while it is read may have a zone on two of its pages.
        by_id = {zone.id: zone for zone in listed if _ID.fullmatch(zone.id) and len(zone.name) <= MAX_NAME}
        zones: dict[str, list[HostedZone]] = {}
        for zone in by_id.values():
            zones.setdefault(zone.name, []).append(zone)
        self._zones, self._fetched_at, self._failed, self.count = zones, self._monotonic(), None, len(by_id)
        _forget_others(self)
        return zones

    def forget(self) -> None:
        """Remember no zones."""
        self._zones, self._fetched_at, self.count = {}, None, 0


_LISTS: Final[WeakSet[ZoneList]] = WeakSet()
"""All that have read a list."""


def _forget_others(last: ZoneList) -> None:
    """Have the lists that were read first forget their zones, as long as there are too many; never the last one."""
    _LISTS.add(last)
    remembered = sum(one.count for one in _LISTS)
    for one in sorted(_LISTS, key=lambda one: one.read_at):
        if remembered <= MAX_REMEMBERED:
            return
        if one is not last:
            remembered -= one.count
            one.forget()


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
