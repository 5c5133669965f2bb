"""Akamai Edge DNS: record sets through the zone management API v2, one set per request."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import DnsError, InvalidServer, ProviderRefused
from certwright.dns.hosted.edgegrid import EdgeGrid
from certwright.dns.hosted.json_api import JsonApi, field_of, segment
from certwright.dns.hosted.listing import Page
from certwright.dns.hosted.one_by_one import ZoneFields, pace_of
from certwright.dns.hosted.provider import Outdated
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider, Swap
from certwright.dns.hosted.zones import HostedZone, ZoneList

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from certwright.dns.hosted.pace import Pace
    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

PER_SECOND: Final = 4.0
PAGE: Final = 100
"""Items of a page; the API may give fewer."""
FEW_NAMES: Final = 4
"""So many are asked for one by one; for more all TXT record sets of the zone are read."""
LEAST_TTL: Final = 30
"""Seconds."""

_RIGHTS: Final = (
    "the API client needs the API service DNS-Zone Record Management with READ-WRITE access, and the group of the "
    "zone; and the clock of this machine has to be right"
)
_ZONES: Final = ZoneFields("zone", accepts=lambda item: str(item.get("type")).upper() == "PRIMARY")
"""A secondary zone is written elsewhere, and an alias has no records of its own."""
_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,4}akamaiapis\.net")


@dataclass(frozen=True)
class AkamaiConfig:
    """The configuration of Akamai Edge DNS.

    Attributes:
        service_consumer_domain: The host of the API client, at akamaiapis.net.
        client_token: The client token.
        client_secret: The client secret.
        access_token: The access token.
    """

    knows_zones: ClassVar[bool] = True
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=10)
    """Three minutes are usual."""

    service_consumer_domain: str
    client_token: Credential = field(metadata=credential("client token"))
    client_secret: Credential = field(metadata=credential("client secret"))
    access_token: Credential = field(metadata=credential("access token"))

    @property
    def destination(self) -> str:
        """The service: all API clients share one set of zones."""
        return "akamaiapis.net"

    def build(self, context: ProviderContext) -> AkamaiProvider:
        """Create the provider.

        Raises:
            InvalidServer: The host is not one of Akamai's.
            InvalidCredential: A credential cannot be used.
        """
        host = self.service_consumer_domain.lower()
        if len(host) > 253 or not _DOMAIN.fullmatch(host):  # noqa: PLR2004 - RFC 1035
            raise InvalidServer("serviceConsumerDomain is not a host below akamaiapis.net")
        signer = EdgeGrid(
            self.client_token.printable("client token"),
            self.client_secret.printable("client secret"),
            self.access_token.printable("access token"),
        )
        return AkamaiProvider(context, _Api(context, f"https://{host}/config-dns/v2", signer))


class _Conflict(ProviderRefused):
    """A set that was to be created exists, or somebody else is writing it."""


class _Api(JsonApi):
    def __init__(self, context: ProviderContext, url: str, signer: EdgeGrid) -> None:
        pace: Pace = pace_of(context, PER_SECOND, at_once=10)
        super().__init__(context, url, {}, pace=pace, rights=_RIGHTS)
        self._signer = signer

    def code(self, answer: Any) -> object:
        # RFC 9457: a URL of the problem.
        return str(field_of(answer, "type") or "").rpartition("/")[2]

    async def headers(self, method: str, url: str, content: bytes | None) -> Mapping[str, str]:
        return {"Authorization": self._signer.authorization(method, url, content)}

    def _refusal(self, response: Response, code: str, zone: HostedZone | None) -> Exception:
        found = super()._refusal(response, code, zone)
        if response.status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
            return _Conflict(str(found), host=self.host, code=code)
        return found


class AkamaiProvider(RecordSetProvider):
    """A `Provider` for the primary zones of one API client.

    A new set is created only if there is none. A set that is there is replaced as a whole, whatever it is by then: so
    it is read right before, and again afterwards.
    """

    def __init__(self, context: ProviderContext, api: _Api) -> None:
        super().__init__()
        self.host = api.host
        self._api = api
        self._zones = ZoneList(
            self._list_zones, whose="the Akamai API client", hint=_RIGHTS, monotonic=context.monotonic
        )

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        return await self._zones.find(name)

    async def read(self, zone: HostedZone, names: Sequence[str]) -> Iterable[RecordSet]:
        """Read the sets of TXT records at some names."""
        if len(names) <= FEW_NAMES:
            return [await self._read_one(zone, name) for name in names]
        path = f"/zones/{segment(zone.id)}/recordsets"
        return [
            found
            async for item in self._every(path, "recordsets", {"types": "TXT", "sortBy": "name"}, zone)
            if item.get("type") == "TXT" and (found := _record_set(item)).name in names
        ]

    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Write sets one after the other, as Akamai's own client does, and look whether they are there.

        Raises:
            Outdated: A set was not as it was read, or is not as it was written.
            DnsError: The API refused, or does not answer; it names the records that were not written.
        """
        for number, swap in enumerate(swaps):
            try:
                await self._write(zone, swap, read_long_ago=number >= FEW_NAMES)
            except _Conflict:
                raise Outdated from None
            except DnsError as error:
                error.names = tuple(left.name for left in swaps[number:])
                raise
        if not await self.is_as_written(zone, swaps):
            raise Outdated

    async def _write(self, zone: HostedZone, swap: Swap, *, read_long_ago: bool) -> None:
        path = _path(zone, swap.name)
        if swap.old.texts and read_long_ago and not await self.is_as_read(zone, [swap]):
            raise Outdated
        if not swap.values:
            await self._api.call("DELETE", path, zone=zone)
            return
        body = {"name": swap.name, "type": "TXT", "ttl": max(swap.ttl, LEAST_TTL), "rdata": swap.texts}
        if not swap.old.texts:
            await self._api.call("POST", path, zone=zone, body=body)
        elif await self._api.call("PUT", path, zone=zone, body=body, may_be_gone=True) is None:
            raise Outdated

    async def _read_one(self, zone: HostedZone, name: str) -> RecordSet:
        found = await self._api.call("GET", _path(zone, name), zone=zone, may_be_gone=True)
        return _record_set(found) if isinstance(found, dict) else RecordSet(name)

    async def _list_zones(self) -> list[HostedZone]:
        return await _ZONES.listed(self._every("/zones", "zones", {"types": "PRIMARY", "sortBy": "zone"}))

    def _every(
        self, path: str, key: str, query: Mapping[str, str], zone: HostedZone | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        count = 0

        async def fetch(page: str) -> Page:
            nonlocal count
            number = int(page or "1")
            asked = {**query, "page": str(number), "pageSize": str(PAGE)}
            response, answer = await self._api.exchange("GET", path, zone=zone, query=asked)
            items, whole = field_of(answer, key), field_of(answer, "metadata", "totalElements")
            count += len(items) if isinstance(items, list) else 0
            more = items and (count < whole if isinstance(whole, int) else count >= number * PAGE)
            return Page(response, items, str(number + 1) if more else "")

        return self._api.every(fetch, zone)


def _path(zone: HostedZone, name: str) -> str:
    return f"/zones/{segment(zone.id)}/names/{segment(name)}/types/TXT"


def _record_set(item: Mapping[str, Any]) -> RecordSet:
    return RecordSet.of(str(item.get("name")).rstrip(".").lower(), item.get("rdata"), item.get("ttl"))
