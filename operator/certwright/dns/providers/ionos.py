"""IONOS: records through the Developer DNS API, all new ones of a zone in one request, deletions one by one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.hosted.answer import objects_of
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, absolute, field_of, segment
from certwright.dns.hosted.one_by_one import OneByOneProvider, RecordFields, ZoneFields
from certwright.dns.hosted.text import unquoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns.hosted.record import FoundRecord
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord

PER_SECOND: Final = 2.0
"""The API throttles; how soon is not documented."""
MOST: Final = 100
"""Records of one request: a body stays short."""
_ZONES: Final = ZoneFields("name", "id", accepts=lambda item: item.get("type") != "SLAVE")
_RECORDS: Final = RecordFields("content", read=unquoted, place=absolute)
_RIGHTS: Final = (
    "the API key has to be written as <public prefix>.<secret>, and to belong to the contract of the domain"
)


class _Api(JsonApi):
    def code(self, answer: Any) -> object:
        # A list of errors, each with a code and a sentence.
        return next((one.get("code") for one in objects_of(answer)), None)


@dataclass(frozen=True)
class IonosConfig(ServiceConfig):
    """The configuration of IONOS.

    Attributes:
        api_key: The public prefix, a dot and the secret.
    """

    url = "https://api.hosting.ionos.com/dns/v1"
    per_second = PER_SECOND
    at_once = 10
    rights = _RIGHTS
    api = _Api
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=15)
    """It publishes changes within a quarter of an hour."""

    api_key: Credential = field(metadata=credential("API key"))

    def headers(self) -> dict[str, str]:
        """Return the header field of the key. Raises `InvalidCredential`."""
        return {"X-API-Key": self.api_key.printable("API key")}

    def provider(self, context: ProviderContext, api: JsonApi) -> IonosProvider:
        """Return the provider."""
        return IonosProvider(context, api)


class IonosProvider(OneByOneProvider):
    """A `Provider` for the zones of one contract."""

    whose = "the IONOS contract"
    rights = _RIGHTS

    async def list_zones(self) -> list[HostedZone]:
        """List the zones; IONOS serves those that are native."""
        return _ZONES.among(objects_of(await self.api.call("GET", "/zones")))

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names."""
        query = {"recordType": "TXT", **({"recordName": names[0]} if len(names) == 1 else {})}
        answer = await self.api.call("GET", f"/zones/{segment(zone.id)}", zone=zone, query=query)
        return _RECORDS.among(objects_of(field_of(answer, "records")), names, zone)

    async def write(self, zone: HostedZone, create: Sequence[TxtRecord], delete: Sequence[FoundRecord]) -> None:
        """Delete records, then create the others together."""
        await super().write(zone, (), delete)
        for start in range(0, len(create), MOST):
            part = create[start : start + MOST]
            await self.api.call("POST", _records(zone), zone=zone, body=[self._written(record) for record in part])

    async def create(self, zone: HostedZone, record: TxtRecord) -> None:
        """Create a record."""
        await self.write(zone, [record], ())

    async def delete(self, zone: HostedZone, found: FoundRecord) -> None:
        """Delete a record."""
        await self.api.call("DELETE", f"{_records(zone)}/{segment(found.id)}", zone=zone)

    def _written(self, record: TxtRecord) -> dict[str, Any]:
        return {
            "name": record.name,
            "type": "TXT",
            "content": record.value,
            "ttl": self.ttl_of(record),
            "prio": 0,
            "disabled": False,
        }


def _records(zone: HostedZone) -> str:
    return f"/zones/{segment(zone.id)}/records"
