"""Vultr: records by its API v2, one in a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, field_of, relative, segment
from certwright.dns.hosted.listing import Page
from certwright.dns.hosted.one_by_one import OneByOneProvider, RecordFields, ZoneFields
from certwright.dns.hosted.text import quoted, unquoted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from certwright.dns.hosted.record import FoundRecord
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord

PAGE: Final = "500"
"""Items of a page: the API's maximum."""
PER_SECOND: Final = 10.0
"""The API allows 30, for all that is sent from one address."""
_RIGHTS: Final = (
    "the API key needs the permission Manage DNS, and its Access Control has to list the address that Certwright "
    "connects from"
)


@dataclass(frozen=True)
class VultrConfig(ServiceConfig):
    """The configuration of Vultr.

    Attributes:
        api_key: An API key.
    """

    url = "https://api.vultr.com/v2"
    per_second = PER_SECOND
    at_once = 20
    rights = _RIGHTS

    api_key: Credential = field(metadata=credential("API key"))

    def provider(self, context: ProviderContext, api: JsonApi) -> VultrProvider:
        """Return the provider."""
        return VultrProvider(context, api)


class VultrProvider(OneByOneProvider):
    """A `Provider` for the domains of one account."""

    whose = "the Vultr account"
    rights = _RIGHTS
    least_ttl = 120

    async def list_zones(self) -> list[HostedZone]:
        """List the domains."""
        return await ZoneFields("domain").listed(self._list("/domains", "domains"))

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names: the API has no filter for them."""
        items = self._list(_records(zone), "records", zone)
        return await RecordFields("data", read=unquoted).listed(items, names, zone)

    async def create(self, zone: HostedZone, record: TxtRecord) -> None:
        """Create a record; the API takes text in quotes only, and a priority with every type."""
        body = {
            "type": "TXT",
            "name": relative(record.name, zone),
            "data": quoted(record.value),
            "ttl": self.ttl_of(record),
            "priority": 0,
        }
        await self.api.call("POST", _records(zone), zone=zone, body=body)

    async def delete(self, zone: HostedZone, found: FoundRecord) -> None:
        """Delete a record."""
        await self.api.call("DELETE", f"{_records(zone)}/{segment(found.id)}", zone=zone)

    def _list(self, path: str, key: str, zone: HostedZone | None = None) -> AsyncIterator[dict[str, Any]]:
        async def fetch(cursor: str) -> Page:
            query = {"per_page": PAGE, **({"cursor": cursor} if cursor else {})}
            response, answer = await self.api.exchange("GET", path, zone=zone, query=query)
            return Page(response, field_of(answer, key), str(field_of(answer, "meta", "links", "next") or ""))

        return self.api.every(fetch, zone)


def _records(zone: HostedZone) -> str:
    return f"/domains/{segment(zone.name)}/records"
