"""Infomaniak: records through API v2, one per request.

Source: https://developer.infomaniak.com/docs/api
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import ProviderRefused
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, below, field_of, relative, segment
from certwright.dns.hosted.one_by_one import FEW_NAMES, OneByOneRecords, RecordFields
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.hosted.zones import ZoneLookup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns.hosted.record import FoundRecord
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord
    from certwright.http.message import Response

_PAGE: Final = ("per_page", 100)
PER_SECOND: Final = 0.75
AT_ONCE: Final = 10
"""Both together: at most 55 requests in a minute. The API allows 60."""
_APEX: Final = "."
"""How the API writes the name of the zone itself."""
_ABSENT: Final = frozenset({"object_not_found", "zone_does_not_exists"})
"""Codes that mean that there is no such zone, or none of this account."""
_RIGHTS: Final = "the API token needs the scopes dns:read and dns:write, and its user access to the domain"


class _Api(JsonApi):
    def code(self, answer: Any) -> object:
        return field_of(answer, "error", "code")

    def failed(self, response: Response, answer: Any) -> bool:
        # Some errors come with HTTP 200.
        return super().failed(response, answer) or field_of(answer, "result") == "error"

    def lacks_rights(self, response: Response, code: str) -> bool:
        return super().lacks_rights(response, code) or code == "not_authorized"


@dataclass(frozen=True)
class InfomaniakConfig(ServiceConfig):
    """The configuration of Infomaniak.

    Attributes:
        token: An API token.
    """

    url = "https://api.infomaniak.com/2"
    per_second = PER_SECOND
    at_once = AT_ONCE
    rights = _RIGHTS
    api = _Api
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=5)
    """Its name servers take more than a minute."""

    token: Credential = field(metadata=credential("API token"))

    def provider(self, context: ProviderContext, api: JsonApi) -> InfomaniakProvider:
        """Return the provider."""
        return InfomaniakProvider(context, api)


class InfomaniakProvider(OneByOneRecords):
    """A `Provider` for the zones of one account."""

    def __init__(self, context: ProviderContext, api: JsonApi) -> None:
        super().__init__(api)
        self._zones = ZoneLookup(
            self._exists, whose="the Infomaniak account", hint=_RIGHTS, monotonic=context.monotonic
        )

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name. The API lists domains only, for which a token needs one more scope."""
        return await self._zones.find(name)

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names."""
        filters: list[dict[str, str]] = [{}]
        if len(names) <= FEW_NAMES:
            filters = [{"filter[source]": relative(name, zone, _APEX)} for name in names]
        items = (
            item
            for one in filters
            async for item in self.api.numbered(
                _records(zone), "data", size=_PAGE, query={"filter[types][]": "TXT", **one}, zone=zone
            )
        )
        return await _RECORDS.listed(items, names, zone)

    async def create(self, zone: HostedZone, record: TxtRecord) -> None:
        """Create a record."""
        body = {
            "type": "TXT",
            "source": relative(record.name, zone, _APEX),
            "target": quoted(record.value),
            "ttl": self.ttl_of(record),
        }
        await self.api.call("POST", _records(zone), zone=zone, body=body)

    async def delete(self, zone: HostedZone, found: FoundRecord) -> None:
        """Delete a record."""
        await self.api.call("DELETE", f"{_records(zone)}/{segment(found.id)}", zone=zone)

    async def _exists(self, name: str) -> bool:
        try:
            answer = await self.api.call("GET", f"/zones/{segment(name)}/exists", may_be_gone=True)
        except ProviderRefused as error:
            if error.code in _ABSENT:
                return False
            raise
        return field_of(answer, "data") is True


def _place(name: Any, zone: HostedZone) -> str:
    return below(str(name or "").strip(_APEX), zone)


_RECORDS: Final = RecordFields("target", name="source", read=unquoted, place=_place)


def _records(zone: HostedZone) -> str:
    return f"/zones/{segment(zone.name)}/records"
