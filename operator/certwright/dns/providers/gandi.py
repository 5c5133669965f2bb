"""Gandi: record sets through the LiveDNS API v5, one set per request."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import ProviderRefused
from certwright.dns.hosted.answer import objects_of
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, below, field_of, relative, segment
from certwright.dns.hosted.one_by_one import FEW_NAMES, ZoneFields, each
from certwright.dns.hosted.provider import Outdated
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider
from certwright.dns.hosted.zones import HostedZone, ZoneList
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.dns.hosted.record_set import Swap
    from certwright.dns.provider import ProviderContext

_PAGE: Final = ("per_page", 500)
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


class _Api(JsonApi):
    def code(self, answer: Any) -> object:
        return field_of(answer, "cause")

    async def turn(self, method: str) -> None:
        # What was read right before must not grow old meanwhile.
        if method not in ("PUT", "DELETE"):
            await super().turn(method)


@dataclass(frozen=True)
class GandiConfig(ServiceConfig):
    """The configuration of Gandi.

    Attributes:
        token: A personal access token.
        sharing_id: The ID of the organization whose domains are used; None for all that the token may see.
    """

    url = "https://api.gandi.net/v5/livedns"
    per_second = PER_SECOND
    at_once = AT_ONCE
    rights = _RIGHTS
    api = _Api
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=20)
    """So long it may take until a change is served."""

    token: Credential = field(metadata=credential("personal access token"))
    sharing_id: str | None = None

    def provider(self, context: ProviderContext, api: JsonApi) -> GandiProvider:
        """Return the provider."""
        return GandiProvider(context, api, self.sharing_id)


class GandiProvider(RecordSetProvider):
    """A `Provider` for the domains of one personal access token.

    The API creates a set only if there is none. One that is there is replaced as a whole, whatever it is by then: so it
    is read right before, and again afterwards.
    """

    host = host_of(GandiConfig.url)

    def __init__(self, context: ProviderContext, api: JsonApi, sharing_id: str | None) -> None:
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
            found = (_read(item, zone) for item in objects_of(answers))
            return [one for one in found if one is not None and one.name in names]
        return [
            one
            async for item in self._api.numbered(_records(zone), None, size=_PAGE, zone=zone)
            if (one := _read(item, zone)) is not None and one.name in names
        ]

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
        items = self._api.numbered("/domains", None, size=_PAGE, query=self._filter)
        return await ZoneFields("fqdn").listed(items)


def _records(zone: HostedZone) -> str:
    return f"/domains/{segment(zone.id)}/records"


def _set(zone: HostedZone, name: str) -> str:
    return f"{_records(zone)}/{segment(relative(name, zone, '@'))}/TXT"


def _written(swap: Swap) -> dict[str, Any]:
    return {"rrset_values": swap.texts, "rrset_ttl": min(max(swap.ttl, LEAST_TTL), LONGEST_TTL)}


def _read(item: Mapping[str, Any], zone: HostedZone) -> RecordSet | None:
    """Read a set, if it is one of TXT records."""
    if item.get("rrset_type") != "TXT":
        return None
    return RecordSet.of(below(item.get("rrset_name"), zone), item.get("rrset_values"), item.get("rrset_ttl"))
