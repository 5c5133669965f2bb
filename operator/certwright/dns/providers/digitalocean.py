"""DigitalOcean: records by its API v2, one in a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.hosted.json_api import JsonApi, bearer, every_page, relative, segment
from certwright.dns.hosted.one_by_one import FEW_NAMES, OneByOneProvider, found_among, pace_of, zones_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.dns.hosted.json_api import Page
    from certwright.dns.hosted.record import FoundRecord
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord

HOST: Final = "api.digitalocean.com"
PAGE: Final = 200
"""Items of a page: the API's maximum."""
PER_SECOND: Final = 3.8
AT_ONCE: Final = 20
"""Both together: at most 250 requests in a minute, as the API allows; it allows 5000 in an hour."""
_RIGHTS: Final = "the token needs the scopes domain:read, domain:create and domain:delete, in the team of the domain"


@dataclass(frozen=True)
class DigitalOceanConfig:
    """The configuration of DigitalOcean.

    Attributes:
        token: A personal access token.
    """

    knows_zones: ClassVar[bool] = True

    token: Credential = field(metadata=credential("API token"))

    @property
    def destination(self) -> str:
        """The service: all accounts share one set of zones."""
        return HOST

    def build(self, context: ProviderContext) -> DigitalOceanProvider:
        """Create the provider.

        Raises:
            InvalidCredential: The token cannot be used.
        """
        headers = bearer(self.token.printable("API token"))
        pace = pace_of(context, PER_SECOND, at_once=AT_ONCE)
        return DigitalOceanProvider(context, _Api(context, f"https://{HOST}/v2", headers, pace=pace, rights=_RIGHTS))


class _Api(JsonApi):
    def code(self, answer: Any) -> object:
        return answer.get("id") if isinstance(answer, dict) else None


class DigitalOceanProvider(OneByOneProvider):
    """A `Provider` for the domains of one team."""

    whose = "the DigitalOcean team"
    rights = _RIGHTS
    least_ttl = 30

    async def list_zones(self) -> list[HostedZone]:
        """List the domains."""
        return zones_named(await self._list("/domains", "domains", {}), "name")

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names."""
        filters: list[dict[str, str]] = [{"name": name} for name in names] if len(names) <= FEW_NAMES else [{}]
        items = [
            item
            for one in filters
            for item in await self._list(_records(zone), "domain_records", {"type": "TXT", **one}, zone)
        ]
        return found_among(items, names, zone, value="data")

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

    async def _list(
        self, path: str, key: str, query: Mapping[str, str], zone: HostedZone | None = None
    ) -> list[dict[str, Any]]:
        async def fetch(page: str) -> Page:
            asked = {**query, "page": page or "1", "per_page": str(PAGE)}
            answer = await self.api.call("GET", path, zone=zone, query=asked)
            items = answer.get(key) if isinstance(answer, dict) else None
            return items, str(int(page or "1") + 1) if _goes_on(answer, items) else ""

        return await every_page(fetch)


def _goes_on(answer: Any, items: Any) -> bool:
    links = answer.get("links") if isinstance(answer, dict) else None
    pages = links.get("pages") if isinstance(links, dict) else None
    # A full page may be followed by another one, whatever has become of the links.
    return (isinstance(pages, dict) and bool(pages.get("next"))) or (isinstance(items, list) and len(items) >= PAGE)


def _records(zone: HostedZone) -> str:
    return f"/domains/{segment(zone.name)}/records"
