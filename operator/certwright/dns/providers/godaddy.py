"""GoDaddy: record sets through API v1, new values of a zone in one request."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import InvalidCredential
from certwright.dns.hosted.answer import objects_of
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, bearer, below, field_of, is_full, relative, segment
from certwright.dns.hosted.listing import Page
from certwright.dns.hosted.one_by_one import ZoneFields
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider
from certwright.dns.hosted.text import plain
from certwright.dns.hosted.zones import HostedZone, ZoneList
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from certwright.dns.hosted.record_set import Swap
    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

ZONES_A_PAGE: Final = 1000
RECORDS_A_PAGE: Final = 500
"""The API's maximum of both."""
MOST: Final = 100
"""New values of one request: a body stays short."""
PER_SECOND: Final = 0.8
AT_ONCE: Final = 10
"""Both together: at most 60 requests in a minute, as the API allows."""
LEAST_TTL: Final = 600
_RIGHTS: Final = (
    "the credential needs the permission to change the DNS of the domain, and the account access to the API, which "
    "GoDaddy gives to those with ten domains or more, or with a Discount Domain Club plan"
)


class _Api(JsonApi):
    def is_outdated(self, response: Response, code: str) -> bool:
        # 409: another change of the domain is on its way.
        return code == "DUPLICATE_RECORD" or response.status == HTTPStatus.CONFLICT

    def lacks_rights(self, response: Response, code: str) -> bool:
        return super().lacks_rights(response, code) or code == "UNABLE_TO_AUTHENTICATE"


@dataclass(frozen=True)
class GodaddyConfig(ServiceConfig):
    """The configuration of GoDaddy: a personal access token, or an API key with its secret.

    Attributes:
        token: A personal access token.
        api_key: An API key.
        api_secret: Its secret.
    """

    url = "https://api.godaddy.com/v1"
    per_second = PER_SECOND
    at_once = AT_ONCE
    rights = _RIGHTS
    api = _Api
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=10)
    """Its name servers sometimes take minutes."""

    token: Credential | None = field(default=None, metadata=credential("personal access token"))
    api_key: Credential | None = field(default=None, metadata=credential("API key"))
    api_secret: Credential | None = field(default=None, metadata=credential("API secret"))

    def provider(self, context: ProviderContext, api: JsonApi) -> GodaddyProvider:
        """Return the provider."""
        return GodaddyProvider(context, api)

    def headers(self) -> Mapping[str, str]:
        """Return the header field of the token, or of the key and its secret. Raises `InvalidCredential`."""
        if self.token is not None:
            return bearer(self.token.printable("personal access token"))
        if self.api_key is None or self.api_secret is None:
            raise InvalidCredential("GoDaddy needs a personal access token, or an API key and an API secret")
        key, secret = self.api_key.printable("API key"), self.api_secret.printable("API secret")
        return {"Authorization": f"sso-key {key}:{secret}"}


class GodaddyProvider(RecordSetProvider):
    """A `Provider` for the domains of one account."""

    host = host_of(GodaddyConfig.url)

    def __init__(self, context: ProviderContext, api: JsonApi) -> None:
        super().__init__()
        self._api = api
        self._zones = ZoneList(self._list_zones, whose="the GoDaddy account", hint=_RIGHTS, monotonic=context.monotonic)

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        return await self._zones.find(name)

    async def read(self, zone: HostedZone, names: Sequence[str]) -> list[RecordSet]:
        """Read the sets at some names: one by itself, several from all TXT records of the zone."""
        found: dict[str, list[dict[str, Any]]] = {}

        def keep(item: dict[str, Any]) -> None:
            if item.get("type") == "TXT" and (name := below(item.get("name"), zone)) in names:
                found.setdefault(name, []).append(item)

        if len(names) == 1:
            for item in objects_of(await self._api.call("GET", _set(zone, names[0]), zone=zone, may_be_gone=True)):
                keep(item)
        else:
            async for item in self._all(zone):
                keep(item)
        return [_read(name, its) for name, its in found.items()]

    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Add values to sets, all together; write sets without the values to be removed, one by one."""
        new = [_written(relative(one.name, zone, "@"), value, one.ttl) for one in swaps for value in sorted(one.add)]
        for start in range(0, len(new), MOST):
            await self._api.call("PATCH", _records(zone), zone=zone, body=new[start : start + MOST])
        for one in swaps:
            if one.remove:
                await self._remove(zone, one)

    async def _remove(self, zone: HostedZone, swap: Swap) -> None:
        if not swap.values:
            # The API takes no empty set.
            await self._api.call("DELETE", _set(zone, swap.name), zone=zone)
            return
        kept = [_written(relative(swap.name, zone, "@"), value, swap.ttl) for value in swap.values]
        await self._api.call("PUT", _set(zone, swap.name), zone=zone, body=kept)

    def _all(self, zone: HostedZone) -> AsyncIterator[dict[str, Any]]:
        async def fetch(offset: str) -> Page:
            query = {"limit": str(RECORDS_A_PAGE), "offset": offset or "0"}
            response, items = await self._api.exchange("GET", f"{_records(zone)}/TXT", zone=zone, query=query)
            more = is_full(items, RECORDS_A_PAGE)
            return Page(response, items, str(int(offset or "0") + RECORDS_A_PAGE) if more else "")

        return self._api.every(fetch, zone)

    async def _list_zones(self) -> list[HostedZone]:
        async def fetch(marker: str) -> Page:
            query = {"statuses": "ACTIVE", "limit": str(ZONES_A_PAGE), **({"marker": marker} if marker else {})}
            response, items = await self._api.exchange("GET", "/domains", query=query)
            more = is_full(items, ZONES_A_PAGE)
            return Page(response, items, str(field_of(items[-1], "domain") or "") if more else "")

        return await ZoneFields("domain").listed(self._api.every(fetch))


def _read(name: str, items: Sequence[Mapping[str, Any]]) -> RecordSet:
    ttl = items[0].get("ttl")
    values = frozenset(plain(str(item.get("data") or "")) for item in items)
    return RecordSet(name, values, ttl if isinstance(ttl, int) else None)


def _written(name: str, value: str, ttl: int) -> dict[str, Any]:
    return {"type": "TXT", "name": name, "data": value, "ttl": max(ttl, LEAST_TTL)}


def _records(zone: HostedZone) -> str:
    return f"/domains/{segment(zone.name)}/records"


def _set(zone: HostedZone, name: str) -> str:
    return f"{_records(zone)}/TXT/{segment(relative(name, zone, '@'))}"
