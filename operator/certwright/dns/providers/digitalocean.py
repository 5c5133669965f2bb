"""DigitalOcean: records through API v2, one per request."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, field_of, relative, segment
from certwright.dns.hosted.one_by_one import FEW_NAMES, OneByOneProvider, RecordFields, ZoneFields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns.hosted.record import FoundRecord
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord

_PAGE: Final = ("per_page", 200)
"""Items of a page: the API's maximum."""
PER_SECOND: Final = 3.8
AT_ONCE: Final = 20
"""Both together: at most 250 requests in a minute, as the API allows; it allows 5000 in an hour."""
_RIGHTS: Final = "the token needs the scopes domain:read, domain:create and domain:delete, in the team of the domain"


class _Api(JsonApi):
    def code(self, answer: Any) -> object:
        return field_of(answer, "id")


@dataclass(frozen=True)
class DigitalOceanConfig(ServiceConfig):
    """The configuration of DigitalOcean.

    Attributes:
        token: A personal access token.
    """

    url = "https://api.digitalocean.com/v2"
    per_second = PER_SECOND
    at_once = AT_ONCE
    rights = _RIGHTS
    api = _Api
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=5)
    """Its name servers may take two minutes."""

    token: Credential = field(metadata=credential("API token"))

    def provider(self, context: ProviderContext, api: JsonApi) -> DigitalOceanProvider:
        """Return the provider."""
        return DigitalOceanProvider(context, api)


class DigitalOceanProvider(OneByOneProvider):
    """A `Provider` for the domains of one team."""

    whose = "the DigitalOcean team"
    rights = _RIGHTS
    least_ttl = 30

    async def list_zones(self) -> list[HostedZone]:
        """List the domains."""
        return await ZoneFields("name").listed(self.api.numbered("/domains", "domains", size=_PAGE))

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names."""
        filters: list[dict[str, str]] = [{"name": name} for name in names] if len(names) <= FEW_NAMES else [{}]
        items = (
            item
            for one in filters
            async for item in self.api.numbered(
                _records(zone), "domain_records", size=_PAGE, query={"type": "TXT", **one}, zone=zone
            )
        )
        return await RecordFields("data").listed(items, names, zone)

    async def create(self, zone: HostedZone, record: TxtRecord) -> None:
        """Create a record."""
        body = {
            "type": "TXT",
            "name": relative(record.name, zone, apex="@"),
            "data": record.value,
            "ttl": self.ttl_of(record),
        }
        await self.api.call("POST", _records(zone), zone=zone, body=body)

    async def delete(self, zone: HostedZone, found: FoundRecord) -> None:
        """Delete a record."""
        await self.api.call("DELETE", f"{_records(zone)}/{segment(found.id)}", zone=zone)


def _records(zone: HostedZone) -> str:
    return f"/domains/{segment(zone.name)}/records"
