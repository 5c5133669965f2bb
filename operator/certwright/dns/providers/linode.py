"""Linode (Akamai Cloud): records through API v4, one per request."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, relative, segment
from certwright.dns.hosted.one_by_one import OneByOneProvider, RecordFields, ZoneFields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns.hosted.record import FoundRecord
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord

PER_SECOND: Final = 3.0
"""200 requests a minute for lists, 1600 for all else."""
_PAGE: Final = ("page_size", 500)
"""Items of a page: the API's maximum."""
_ZONES: Final = ZoneFields(
    "domain", "id", accepts=lambda item: item.get("type") != "slave" and item.get("status") != "disabled"
)
_RECORDS: Final = RecordFields("target")
_RIGHTS: Final = "the personal access token needs Read/Write access to Domains, as its user does"


@dataclass(frozen=True)
class LinodeConfig(ServiceConfig):
    """The configuration of Linode.

    Attributes:
        token: A personal access token.
    """

    url = "https://api.linode.com/v4"
    per_second = PER_SECOND
    at_once = 20
    rights = _RIGHTS
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=20)
    """Its name servers take changes over every quarter of an hour."""

    token: Credential = field(metadata=credential("personal access token"))

    def provider(self, context: ProviderContext, api: JsonApi) -> LinodeProvider:
        """Return the provider."""
        return LinodeProvider(context, api)


class LinodeProvider(OneByOneProvider):
    """A `Provider` for the domains that the user of one token sees."""

    whose = "the Linode account"
    rights = _RIGHTS
    least_ttl = 30

    async def list_zones(self) -> list[HostedZone]:
        """List the domains; one that is secondary or disabled is not written here."""
        return await _ZONES.listed(self.api.numbered("/domains", "data", size=_PAGE))

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names: the API has no filter for them."""
        items = self.api.numbered(_records(zone), "data", size=_PAGE, zone=zone)
        return await _RECORDS.listed(items, names, zone)

    async def create(self, zone: HostedZone, record: TxtRecord) -> None:
        """Create a record; the API rounds its TTL up to one that it has."""
        body = {
            "type": "TXT",
            "name": relative(record.name, zone),
            "target": record.value,
            "ttl_sec": self.ttl_of(record),
        }
        await self.api.call("POST", _records(zone), zone=zone, body=body)

    async def delete(self, zone: HostedZone, found: FoundRecord) -> None:
        """Delete a record."""
        await self.api.call("DELETE", f"{_records(zone)}/{segment(found.id)}", zone=zone)


def _records(zone: HostedZone) -> str:
    return f"/domains/{segment(zone.id)}/records"
