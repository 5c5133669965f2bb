"""PowerDNS Authoritative Server, through its HTTP API.

Since 4.9.12 and 5.0.2, the server can add and remove single values (`EXTEND`, `PRUNE`), in one transaction per request.
Earlier versions replace the whole set, so it is read before and after. Source: the OpenAPI description in its
repository, docs/http-api.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, urlencode

from certwright.dns.cache import ExpiringCache
from certwright.dns.credential import Credential, credential
from certwright.dns.errors import ProviderRefused, ProviderUnreachable
from certwright.dns.hosted.answer import not_understood, refused, value_of
from certwright.dns.hosted.provider import DEFAULT_TTL, Outdated
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider, Swap
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.hosted.zones import HostedZone, ZoneList
from certwright.http.errors import ResponseTooLarge
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from certwright.dns.hosted.queue import Change
    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

MAX_LIST_BYTES: Final = 8 << 20
"""Of the list of zones, or of one zone, which have no pages: about 30,000 zones, or records."""
MAX_SETS: Final = 500
"""Sets in one request, which is one transaction."""
AT_ONCE: Final = 8
"""Requests at a time."""
VERSION_SECONDS: Final = 300.0
"""How long it is believed which version the server has."""

_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")
_RIGHTS: Final = (
    "the key has to be the api-key of pdns.conf, and webserver-allow-from has to have the address that Certwright "
    "connects from"
)
_UNPROCESSABLE: Final = "422"
"""The code of the error for HTTP 422: what is asked for does not fit what is there. The API has no codes of its own."""
_COPIES: Final = frozenset({"slave", "secondary", "consumer"})
"""Kinds of zones that another server has the content of."""
_NOTIFYING: Final = frozenset({"master", "primary", "producer"})


@dataclass(frozen=True)
class PowerdnsConfig:
    """The configuration of PowerDNS.

    Attributes:
        url: Of the server; `/api/v1` comes after it.
        server_id: As the API names the server; `localhost` unless a proxy stands for several.
        api_key: What `api-key` in pdns.conf says.
        ca_bundle: Certificates in PEM to trust in place of the public CAs.
    """

    knows_zones: ClassVar[bool] = True

    url: str
    api_key: Credential = field(metadata=credential("API key"))
    server_id: str = "localhost"
    ca_bundle: str | None = field(default=None, repr=False)

    @property
    def destination(self) -> str:
        """The server."""
        return f"{self.url.rstrip('/')}/{self.server_id}"

    def build(self, context: ProviderContext) -> PowerdnsProvider:
        """Create the provider.

        Raises:
            InvalidCredential: The key cannot be used.
        """
        return PowerdnsProvider(self, context, self.api_key.printable("API key"))


class PowerdnsProvider(RecordSetProvider):
    """A `Provider` for the zones of one server."""

    def __init__(self, config: PowerdnsConfig, context: ProviderContext, key: str) -> None:
        super().__init__()
        self.host = host_of(config.url)
        self._base = f"{config.url.rstrip('/')}/api/v1/servers/{quote(config.server_id, safe='')}"
        self._ca_bundle = config.ca_bundle
        self._context = context
        self._headers = {"X-API-Key": key, "Accept": "application/json"}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._kinds: dict[str, str] = {}
        self._extends: ExpiringCache[None, bool] = ExpiringCache(seconds=VERSION_SECONDS, clock=context.monotonic)
        self._zones = ZoneList(
            self._list_zones,
            whose=f"the PowerDNS server at {self.host}",
            hint="create it there",
            monotonic=context.monotonic,
        )

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        zone = await self._zones.find(name)
        if self._kinds.get(zone.id) in _COPIES:
            raise ProviderRefused(
                f"the zone {zone.name} of the PowerDNS server at {self.host} is a copy of another server's: "
                "name its primary",
                host=self.host,
            )
        return zone

    async def make(self, zone: HostedZone, change: Change) -> None:
        """Make a change: by the server, if it can add and remove values, else by reading and replacing sets."""
        if not await self._extends.get(None, self._can_extend):
            await super().make(zone, change)
        else:
            try:
                await self._patch(
                    zone,
                    [_single(one.name, one.value, one.ttl or DEFAULT_TTL, adding=True) for one in sorted(change.add)]
                    + [_single(one.name, one.value, DEFAULT_TTL, adding=False) for one in sorted(change.remove)],
                )
            except ProviderRefused as error:
                if error.code != _UNPROCESSABLE:
                    raise
                # All values of a set have one TTL, and somebody else's set may have another than ours: it is kept.
                await super().make(zone, change)
        await self._notify(zone)

    async def read(self, zone: HostedZone, names: Sequence[str]) -> Iterable[RecordSet]:
        """Read the sets of TXT records at some names."""
        if not await self._extends.get(None, self._can_extend):
            # Of one set, these versions show no records that are disabled, and replacing the set would remove them.
            with suppress(_TooLarge):
                return await self._read_sets(zone, names, {"rrsets": "true"})
        by_name = ({"rrsets": "true", "rrset_name": f"{name}.", "rrset_type": "TXT"} for name in names)
        found = await asyncio.gather(*(self._read_sets(zone, names, query) for query in by_name))
        return [one for sets in found for one in sets]

    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Swap sets: value by value where the server can, else as a whole, looking at what is there afterwards."""
        if await self._extends.get(None, self._can_extend):
            changes = [
                _single(swap.name, value, swap.ttl, adding=adding)
                for swap in swaps
                for values, adding in ((swap.add, True), (swap.remove, False))
                for value in sorted(values)
            ]
            await self._patch(zone, changes)
            return
        await self._patch(zone, [_whole(swap) for swap in swaps])
        there = {one.name: one.values for one in await self.read(zone, [swap.name for swap in swaps])}
        if any(there.get(swap.name, frozenset()) != frozenset(swap.values) for swap in swaps):
            raise Outdated

    async def _read_sets(self, zone: HostedZone, names: Sequence[str], query: Mapping[str, str]) -> list[RecordSet]:
        answer = await self._send("GET", f"{_path(zone)}?{urlencode(query)}", zone, max_bytes=MAX_LIST_BYTES)
        sets = answer.get("rrsets") if isinstance(answer, dict) else None
        wanted = {f"{name}.": name for name in names}
        return [
            _record_set(wanted[name], one)
            for one in (sets if isinstance(sets, list) else ())
            if isinstance(one, dict) and one.get("type") == "TXT" and (name := str(one.get("name")).lower()) in wanted
        ]

    async def _list_zones(self) -> list[HostedZone]:
        # Without the state of DNSSEC, which takes the server a look at each zone.
        try:
            answer = await self._send("GET", "/zones?dnssec=false", max_bytes=MAX_LIST_BYTES)
        except _TooLarge:
            raise ProviderRefused(
                f"the PowerDNS server at {self.host} has more zones than can be listed at once: use rfc2136",
                host=self.host,
            ) from None
        if not isinstance(answer, list):
            raise ProviderUnreachable(f"the PowerDNS server at {self.host} did not list its zones", host=self.host)
        zones = [
            one
            for one in answer
            if isinstance(one, dict) and isinstance(one.get("id"), str) and isinstance(one.get("name"), str)
        ]
        # `example.com..inside` is a variant of a zone, which only some clients are answered from (views, 5.0).
        public = [one for one in zones if ".." not in one["name"]]
        kinds = ((one["id"], str(one.get("kind")).lower()) for one in public)
        self._kinds = {zone_id: kind for zone_id, kind in kinds if kind in _COPIES | _NOTIFYING}
        return [HostedZone(one["id"], one["name"].rstrip(".").lower()) for one in public]

    async def _can_extend(self) -> bool:
        answer = await self._send("GET", "")
        found = _VERSION.match(str(answer.get("version"))) if isinstance(answer, dict) else None
        version = tuple(map(int, found.groups())) if found else (0, 0, 0)
        return (4, 9, 12) <= version < (5, 0, 0) or version >= (5, 0, 2)

    async def _patch(self, zone: HostedZone, sets: Sequence[Mapping[str, Any]]) -> None:
        for start in range(0, len(sets), MAX_SETS):
            await self._send("PATCH", _path(zone), zone, {"rrsets": sets[start : start + MAX_SETS]})

    async def _notify(self, zone: HostedZone) -> None:
        """Have secondaries told: by itself the server does so once a minute."""
        if self._kinds.get(zone.id) not in _NOTIFYING:
            return
        await self._send("PUT", f"{_path(zone)}/notify", zone)

    async def _send(
        self,
        method: str,
        path: str,
        zone: HostedZone | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        max_bytes: int = 1 << 20,
    ) -> Any:
        headers, content = self._headers, None
        if body is not None:
            headers, content = {**headers, "Content-Type": "application/json"}, json.dumps(body).encode()
        try:
            async with self._slots:
                response = await self._context.request(
                    method,
                    self._base + path,
                    headers=headers,
                    content=content,
                    max_bytes=max_bytes,
                    ca_bundle=self._ca_bundle,
                )
        except ProviderUnreachable as error:
            if isinstance(error.__cause__, ResponseTooLarge):
                raise _TooLarge(str(error), host=self.host) from error
            raise
        if response.status == HTTPStatus.NO_CONTENT:
            return None
        if response.status == HTTPStatus.OK:
            if (found := value_of(response)) is None:
                raise not_understood(response)
            return found
        raise self._refusal(response, zone)

    def _refusal(self, response: Response, zone: HostedZone | None) -> Exception:
        match response.status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                return refused(response, "", _RIGHTS)
            case HTTPStatus.NOT_FOUND if zone is not None:
                return refused(response, "", f"the zone {zone.name} is gone")
            case HTTPStatus.NOT_FOUND:
                return refused(response, "", "there is no such server: check url and serverID")
            case HTTPStatus.UNPROCESSABLE_ENTITY:
                why = f"the change{_of(zone)} is not one that it takes; its log says why"
                return ProviderRefused(
                    f"the DNS provider at {self.host} refused the request (HTTP 422): {why}",
                    host=self.host,
                    code=_UNPROCESSABLE,
                )
        if response.status < HTTPStatus.BAD_REQUEST:
            return not_understood(response)
        return refused(response, "", f"the request{_of(zone)} is not one that it takes")


class _TooLarge(ProviderUnreachable):
    """What the server has is more than is read of it."""


def _record_set(name: str, said: Mapping[str, Any]) -> RecordSet:
    listed = said.get("records")
    records = [
        one
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict) and isinstance(one.get("content"), str)
    ]
    shown = frozenset(unquoted(one["content"]) for one in records if one.get("disabled") is not True)
    ttl = said.get("ttl")
    return RecordSet(name, shown, ttl if isinstance(ttl, int) and ttl > 0 else None, version=records)


def _single(name: str, value: str, ttl: int, *, adding: bool) -> dict[str, Any]:
    return {
        "name": f"{name}.",
        "type": "TXT",
        "ttl": ttl,
        "changetype": "EXTEND" if adding else "PRUNE",
        "records": [{"content": quoted(value), "disabled": False}],
    }


def _whole(swap: Swap) -> dict[str, Any]:
    gone = swap.add | swap.remove
    kept = [
        {"content": one["content"], "disabled": one.get("disabled") is True}
        for one in swap.old.version or ()
        if unquoted(one["content"]) not in gone
    ]
    records = kept + [{"content": quoted(value), "disabled": False} for value in sorted(swap.add)]
    return {"name": f"{swap.name}.", "type": "TXT", "ttl": swap.ttl, "changetype": "REPLACE", "records": records}


def _path(zone: HostedZone) -> str:
    return f"/zones/{quote(zone.id, safe='=')}"


def _of(zone: HostedZone | None) -> str:
    return f" of {zone.name}" if zone is not None else ""
