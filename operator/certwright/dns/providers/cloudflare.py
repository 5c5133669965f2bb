"""Cloudflare: records through API v4, all changes of a zone in one batch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, urlencode

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import InvalidCredential
from certwright.dns.hosted.answer import code_of, json_of, not_understood, refused
from certwright.dns.hosted.json_api import is_full
from certwright.dns.hosted.listing import Listing, Page, every_item
from certwright.dns.hosted.pace import Pace
from certwright.dns.hosted.provider import DEFAULT_TTL, Outdated
from certwright.dns.hosted.record import FoundRecord, RecordProvider
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.hosted.zones import HostedZone, ZoneList, label_of
from certwright.dns.records import TxtRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

HOST: Final = "api.cloudflare.com"
URL: Final = f"https://{HOST}/client/v4"
BATCH: Final = 200
"""Changes in one request: the limit of the free plan."""
ZONES_A_PAGE: Final = 50
"""The API's maximum."""
RECORDS_A_PAGE: Final = 250
"""Far more would pass the bound on one answer."""
PER_SECOND: Final = 4.0
"""1200 requests in five minutes, for all that one user does."""
FEW_NAMES: Final = 4
"""So many are asked for one by one; for more all TXT records of the zone are read."""

_RIGHTS: Final = (
    "the API token needs the permissions Zone / DNS / Edit and Zone / Zone / Read, with the zone in its Zone Resources"
)
_NOT_ALLOWED: Final = frozenset({"6003", "6111", "9106", "9109", "10000"})
"""Of errors that come with HTTP 400."""
_EXISTS: Final = frozenset({"81057", "81058"})
_GONE: Final = frozenset({"81044"})


@dataclass(frozen=True)
class CloudflareConfig:
    """The configuration of Cloudflare: an API token, or the account's email address and its global API key.

    Attributes:
        email: The email address of the account; only with `api_key`.
        api_key: The global API key.
        api_token: An API token.
    """

    knows_zones: ClassVar[bool] = True

    email: str | None = None
    api_key: Credential | None = field(default=None, metadata=credential("API key"))
    api_token: Credential | None = field(default=None, metadata=credential("API token"))

    @property
    def destination(self) -> str:
        """The service: all accounts share one set of zones."""
        return HOST

    def build(self, context: ProviderContext) -> CloudflareProvider:
        """Create the provider.

        Raises:
            InvalidCredential: The token or the key cannot be used.
        """
        return CloudflareProvider(context, self._headers())

    def _headers(self) -> dict[str, str]:
        if self.api_token is not None:
            return {"Authorization": f"Bearer {self.api_token.printable('API token')}"}
        if self.api_key is None or not self.email:
            raise InvalidCredential("Cloudflare needs an API token, or an email address and an API key")
        email = Credential(self.email, "email").printable("email address")
        return {"X-Auth-Email": email, "X-Auth-Key": self.api_key.printable("API key")}


class CloudflareProvider(RecordProvider):
    """A `Provider` for the zones of one token."""

    host = HOST

    def __init__(self, context: ProviderContext, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._context = context
        self._headers = {**headers, "Accept": "application/json"}
        self._pace = Pace(PER_SECOND, at_once=20, monotonic=context.monotonic, sleep=context.sleep)
        self._zones = ZoneList(
            self._list_zones,
            whose="the Cloudflare account",
            hint=f"it has to be active there, and {_RIGHTS}",
            monotonic=context.monotonic,
        )

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        return await self._zones.find(name)

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names."""
        path = f"/zones/{_segment(zone.id)}/dns_records"
        filters: list[dict[str, str]] = [{"name.exact": name} for name in names] if len(names) <= FEW_NAMES else [{}]
        return [
            FoundRecord(str(item["id"]), TxtRecord(name, unquoted(str(item.get("content") or ""))))
            for one in filters
            async for item in self._pages(path, {"type": "TXT", **one}, RECORDS_A_PAGE, zone)
            # The names of others may be anything.
            if item.get("type") == "TXT" and (name := str(item.get("name")).lower()) in names and item.get("id")
        ]

    async def write(self, zone: HostedZone, create: Sequence[TxtRecord], delete: Sequence[FoundRecord]) -> None:
        """Create and delete records, 200 in a request; each request is made as a whole or not at all."""
        posts = [
            {"type": "TXT", "name": record.name, "content": quoted(record.value), "ttl": record.ttl or DEFAULT_TTL}
            for record in create
        ]
        steps = [("deletes", {"id": one.id}) for one in delete] + [("posts", post) for post in posts]
        for start in range(0, len(steps), BATCH):
            part = steps[start : start + BATCH]
            body = {kind: [item for key, item in part if key == kind] for kind in dict(part)}
            await self._send("POST", f"/zones/{_segment(zone.id)}/dns_records/batch", zone, body)

    async def _list_zones(self) -> list[HostedZone]:
        # A zone that is pending is not delegated to Cloudflare yet, and an internal one is in no public DNS.
        return [
            HostedZone(str(item["id"]), str(item["name"]).rstrip(".").lower())
            async for item in self._pages("/zones", {"status": "active"}, ZONES_A_PAGE)
            if isinstance(item.get("id"), str) and isinstance(item.get("name"), str) and item.get("type") != "internal"
        ]

    async def _pages(
        self, path: str, query: Mapping[str, str], size: int, zone: HostedZone | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        async def fetch(page: str) -> Page:
            number = int(page or "1")
            asked = urlencode({**query, "page": number, "per_page": size})
            response, answer = await self._send("GET", f"{path}?{asked}", zone)
            items, info = answer.get("result"), answer.get("result_info")
            last = info.get("total_pages") if isinstance(info, dict) else None
            # A full page may be followed by another one, should the count vanish from the answers.
            more = items and (number < last if isinstance(last, int) else is_full(items, size))
            return Page(response, items, str(number + 1) if more else "")

        async for item in every_item(fetch, Listing(label_of(zone), monotonic=self._context.monotonic)):
            if isinstance(item, dict):
                yield item

    async def _send(
        self, method: str, path: str, zone: HostedZone | None, body: Mapping[str, Any] | None = None
    ) -> tuple[Response, dict[str, Any]]:
        await self._pace.turn()
        headers, content = self._headers, None
        if body is not None:
            headers, content = {**headers, "Content-Type": "application/json"}, json.dumps(body).encode()
        response = await self._context.request(method, f"{URL}{path}", headers=headers, content=content)
        answer = json_of(response)
        if response.status == HTTPStatus.OK and answer.get("success") is True:
            return response, answer
        raise self._refusal(response, answer, zone)

    def _refusal(self, response: Response, answer: Mapping[str, Any], zone: HostedZone | None) -> Exception:
        errors = answer.get("errors")
        codes = (
            [code_of(one.get("code")) for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
        )
        code = next(iter(codes), "")
        if zone is not None and {*codes} & (_EXISTS | _GONE):
            return Outdated()
        if response.status < HTTPStatus.BAD_REQUEST:
            return not_understood(response)
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or code in _NOT_ALLOWED:
            return refused(response, code, f"{_RIGHTS}{_for(zone)}")
        if response.status == HTTPStatus.NOT_FOUND and zone is not None:
            return refused(response, code, f"the zone {zone.name} is gone, or the API token may not see it")
        return refused(response, code, f"the request{_for(zone)} is not one that it takes")


def _for(zone: HostedZone | None) -> str:
    return f", for {zone.name}" if zone is not None else ""


def _segment(text: str) -> str:
    return quote(text, safe="")
