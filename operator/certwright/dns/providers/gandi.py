"""Gandi: sets of records by its LiveDNS API v5, one set in a request."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import ProviderRefused
from certwright.dns.hosted.answer import objects_of
from certwright.dns.hosted.json_api import (
    JsonApi,
    bearer,
    below,
    every_page,
    field_of,
    next_page,
    relative,
    segment,
)
from certwright.dns.hosted.one_by_one import FEW_NAMES, each, pace_of, zones_named
from certwright.dns.hosted.provider import Outdated
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.hosted.zones import HostedZone, ZoneList

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.dns.hosted.json_api import Page
    from certwright.dns.hosted.record_set import Swap
    from certwright.dns.provider import ProviderContext

HOST: Final = "api.gandi.net"
PAGE: Final = 500
"""Items of a page; the API may give fewer."""
PER_SECOND: Final = 4.0
AT_ONCE: Final = 10
"""Both together: at most 250 requests in a minute, and as many that replace or remove what these have read. The API
allows 1000 from one address."""
LEAST_TTL: Final = 300
LONGEST_TTL: Final = 2592000
"""Seconds: the API's limits."""
_RIGHTS: Final = (
    "the personal access token needs the permission Manage domain name technical configurations, for the domain; and "
    "it may have expired"
)


@dataclass(frozen=True)
class GandiConfig:
    """The configuration of Gandi.

    Attributes:
        token: A personal access token.
        sharing_id: The ID of the organization whose domains are used; None for all that the token may see.
    """

    knows_zones: ClassVar[bool] = True
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=20)
    """So long it may take until a change is served."""

    token: Credential = field(metadata=credential("personal access token"))
    sharing_id: str | None = None

    @property
    def destination(self) -> str:
        """The service: all organizations share one set of zones."""
        return HOST

    def build(self, context: ProviderContext) -> GandiProvider:
        """Create the provider.

        Raises:
            InvalidCredential: The token cannot be used.
        """
        headers = bearer(self.token.printable("personal access token"))
        pace = pace_of(context, PER_SECOND, at_once=AT_ONCE)
        api = _Api(context, f"https://{HOST}/v5/livedns", headers, pace=pace, rights=_RIGHTS)
        return GandiProvider(context, api, self.sharing_id)


class _Api(JsonApi):
    def code(self, answer: Any) -> object:
        return field_of(answer, "cause")

    async def turn(self, method: str) -> None:
        # What was read right before must not grow old meanwhile.
        if method not in ("PUT", "DELETE"):
            await super().turn(method)

    async def every(self, path: str, query: Mapping[str, str], zone: HostedZone | None = None) -> list[dict[str, Any]]:
        """Return the objects of all pages. Raises `DnsError`."""

        async def fetch(page: str) -> Page:
            number = int(page or "1")
            asked = {**query, "page": str(number), "per_page": str(PAGE)}
            response, items = await self.exchange("GET", path, zone=zone, query=asked)
            full = isinstance(items, list) and len(items) >= PAGE
            return items, str(number + 1) if full or next_page(response) else ""

        return await every_page(fetch)


class GandiProvider(RecordSetProvider):
    """A `Provider` for the domains of one personal access token.

    The API creates a set only if there is none. One that is there is replaced as a whole, whatever it is by then: so it
    is read right before, and again afterwards.
    """

    host = HOST

    def __init__(self, context: ProviderContext, api: _Api, sharing_id: str | None) -> None:
        super().__init__()
        self._api = api
        self._filter = {} if sharing_id is None else {"sharing_id": sharing_id}
        self._zones = ZoneList(
            self._list_zones, whose="the Gandi organization", hint=_RIGHTS, monotonic=context.monotonic
        )

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        return await self._zones.find(name)

    async def read(self, zone: HostedZone, names: Sequence[str]) -> list[RecordSet]:
        """Read the sets at some names; of many names, all sets of the zone."""
        if len(names) <= FEW_NAMES:
            answers = [await self._api.call("GET", _set(zone, name), zone=zone, may_be_gone=True) for name in names]
            items = objects_of(answers)
        else:
            items = await self._api.every(_records(zone), {}, zone)
        found = [_read(item, zone) for item in items if item.get("rrset_type") == "TXT"]
        return [one for one in found if one.name in names]

    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Write sets, a few at a time, and look whether those that were replaced are as they were written.

        Raises:
            Outdated: A set was not as it was read, or is not as it was written.
            DnsError: The API refused, or does not answer; it names the records that were not written.
        """
        long_ago = len(swaps) > FEW_NAMES
        await each([(swap.name, partial(self._write, zone, swap, read_long_ago=long_ago)) for swap in swaps])
        replaced = [swap for swap in swaps if swap.old.values and swap.values]
        if replaced and not await self.is_as_written(zone, replaced):
            raise Outdated

    async def _write(self, zone: HostedZone, swap: Swap, *, read_long_ago: bool) -> None:
        if swap.old.values and read_long_ago and not await self.is_as_read(zone, [swap]):
            raise Outdated
        path = _set(zone, swap.name)
        try:
            if swap.values:
                method = "PUT" if swap.old.values else "POST"
                await self._api.call(method, path, zone=zone, body=_written(swap))
            else:
                await self._api.call("DELETE", path, zone=zone)
        except ProviderRefused as error:
            # A set that was to be created may be there by now: reading shows it.
            if not error.for_all and not await self.is_as_read(zone, [swap]):
                raise Outdated from None
            raise

    async def _list_zones(self) -> list[HostedZone]:
        return zones_named(await self._api.every("/domains", self._filter), "fqdn")


def _records(zone: HostedZone) -> str:
    return f"/domains/{segment(zone.id)}/records"


def _set(zone: HostedZone, name: str) -> str:
    return f"{_records(zone)}/{segment(relative(name, zone, '@'))}/TXT"


def _written(swap: Swap) -> dict[str, Any]:
    # Those of others stay as they are written.
    kept = swap.old.version or {}
    values = [kept.get(value) or quoted(value) for value in swap.values]
    return {"rrset_values": values, "rrset_ttl": min(max(swap.ttl, LEAST_TTL), LONGEST_TTL)}


def _read(item: Mapping[str, Any], zone: HostedZone) -> RecordSet:
    """Read a set. Its version is how each value is written."""
    found, ttl = item.get("rrset_values"), item.get("rrset_ttl")
    written = {unquoted(str(text)): str(text) for text in found} if isinstance(found, list) else {}
    name = below(item.get("rrset_name"), zone)
    return RecordSet(name, frozenset(written), ttl if isinstance(ttl, int) else None, written)
