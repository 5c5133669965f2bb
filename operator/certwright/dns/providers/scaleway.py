"""Scaleway: records through the Domains and DNS API v2beta1, all changes of a zone in one request.

Source: https://www.scaleway.com/en/developers/api/domains-and-dns/
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import DnsError
from certwright.dns.hosted.answer import objects_of
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, field_of, relative, segment
from certwright.dns.hosted.listing import Page
from certwright.dns.hosted.one_by_one import FEW_NAMES, OneByOneProvider, RecordFields, ZoneFields
from certwright.dns.hosted.record import FoundRecord
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.records import TxtRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

PAGE: Final = 100
"""Items of a page; the API's own default is 20."""
MOST: Final = 100
"""Records of one request: a body stays short."""
PER_SECOND: Final = 5.0
"""What the API allows is not documented."""
_RECORDS: Final = RecordFields("data", read=unquoted)
_RIGHTS: Final = (
    "the API key needs the permission set DomainsDNSFullAccess in the Project of the zone, which is the one that "
    "projectID names if it is set"
)


class _Api(JsonApi):
    def code(self, answer: Any) -> object:
        return field_of(answer, "type")

    def is_outdated(self, response: Response, code: str) -> bool:
        del response
        # Another change of the zone is being made.
        return code == "transient_state"


@dataclass(frozen=True)
class ScalewayConfig(ServiceConfig):
    """The configuration of Scaleway.

    Attributes:
        secret_key: The secret key of an API key.
        project_id: The Project whose zones are used; None for those of every Project that the key may see.
    """

    url = "https://api.scaleway.com/domain/v2beta1"
    per_second = PER_SECOND
    at_once = 10
    rights = _RIGHTS
    api = _Api
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=5)
    """Its name servers may take two minutes."""

    secret_key: Credential = field(metadata=credential("secret key"))
    project_id: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the header field of the secret key. Raises `InvalidCredential`."""
        return {"X-Auth-Token": self.secret_key.printable("secret key")}

    def provider(self, context: ProviderContext, api: JsonApi) -> ScalewayProvider:
        """Return the provider."""
        return ScalewayProvider(context, api, self.project_id)


class ScalewayProvider(OneByOneProvider):
    """A `Provider` for the zones of one Organization or of one of its Projects."""

    whose = "the Scaleway Organization"
    rights = _RIGHTS

    def __init__(self, context: ProviderContext, api: JsonApi, project_id: str | None) -> None:
        super().__init__(context, api)
        self._project_id = project_id

    async def list_zones(self) -> list[HostedZone]:
        """List the zones, those of subdomains as well."""
        query = {"project_id": self._project_id} if self._project_id else {}
        return await ZoneFields("name").listed(
            {"name": _zone_name(one)}
            async for one in self._list("/dns-zones", "dns_zones", query)
            # Whatever the API makes of the parameter.
            if self._project_id in (None, one.get("project_id"))
        )

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names; an empty name, which is the zone's own, is no filter for the API."""
        filters: list[dict[str, str]] = [{}]
        if len(names) <= FEW_NAMES and zone.name not in names:
            filters = [{"name": relative(name, zone)} for name in names]
        return [
            found
            for one in filters
            for found in await _RECORDS.listed(
                self._list(_records(zone), "records", {"type": "TXT", **one}, zone), names, zone
            )
        ]

    async def write(self, zone: HostedZone, create: Sequence[TxtRecord], delete: Sequence[FoundRecord]) -> None:
        """Delete and create records together; the error names those that were not."""
        steps: list[TxtRecord | FoundRecord] = [*delete, *create]
        for start in range(0, len(steps), MOST):
            part = steps[start : start + MOST]
            try:
                await self.api.call("PATCH", _records(zone), zone=zone, body=self._changes(zone, part))
            except DnsError as error:
                error.names = tuple(sorted({_name(step) for step in steps[start:]}))
                raise

    async def create(self, zone: HostedZone, record: TxtRecord) -> None:
        """Create a record."""
        await self.write(zone, [record], ())

    async def delete(self, zone: HostedZone, found: FoundRecord) -> None:
        """Delete a record."""
        await self.write(zone, (), [found])

    def _changes(self, zone: HostedZone, steps: Sequence[TxtRecord | FoundRecord]) -> dict[str, Any]:
        changes: list[dict[str, Any]] = [{"delete": {"id": one.id}} for one in steps if isinstance(one, FoundRecord)]
        added = [self._written(zone, one) for one in steps if isinstance(one, TxtRecord)]
        if added:
            changes.append({"add": {"records": added}})
        # A zone that somebody deleted meanwhile must not come back with our records alone.
        return {"changes": changes, "return_all_records": False, "disallow_new_zone_creation": True}

    def _written(self, zone: HostedZone, record: TxtRecord) -> dict[str, Any]:
        return {
            "name": relative(record.name, zone),
            "type": "TXT",
            "data": quoted(record.value),
            "ttl": self.ttl_of(record),
        }

    def _list(
        self, path: str, key: str, query: Mapping[str, str], zone: HostedZone | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        seen = 0

        async def fetch(page: str) -> Page:
            nonlocal seen
            asked = {**query, "page": page or "1", "page_size": str(PAGE)}
            response, answer = await self.api.exchange("GET", path, zone=zone, query=asked)
            items, total = objects_of(field_of(answer, key)), field_of(answer, "total_count")
            seen += len(items)
            more = items and (seen < total if isinstance(total, int) else len(items) >= PAGE)
            return Page(response, items, str(int(asked["page"]) + 1) if more else "")

        return self.api.every(fetch, zone)


def _zone_name(item: Mapping[str, Any]) -> str:
    """Return the name of a zone, which the API has in two parts; the first is empty for the domain itself."""
    return ".".join(str(part) for part in (item.get("subdomain"), item.get("domain")) if part)


def _name(step: TxtRecord | FoundRecord) -> str:
    return step.record.name if isinstance(step, FoundRecord) else step.name


def _records(zone: HostedZone) -> str:
    return f"/dns-zones/{segment(zone.name)}/records"
