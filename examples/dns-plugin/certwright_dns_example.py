"""A DNS provider for Certwright: an API that has one list of values for each name.

GET {url}/zones                  ["example.com", ...]
GET {url}/txt/{name}             {"values": [...], "version": 7}
PUT {url}/txt/{name}             {"values": [...], "version": 7, "ttl": 60}; 409 if the version has changed
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from certwright.dns import DnsError, InvalidCredential, ProviderRefused, TxtRecord, UpdatesFailed, ZoneNotFound
from certwright.dns.plugin import PluginSettings
from certwright.dns.provider import ProviderContext

TRIES = 5
TTL = 60


class ExampleProvider:
    """What the entry point names."""

    def __init__(self, settings: PluginSettings, context: ProviderContext) -> None:
        url, token = settings.config.get("url"), settings.secrets.get("token")
        if not isinstance(url, str) or not url.startswith("https://"):
            raise ProviderRefused("config.url of the plugin example has to be an https:// URL")
        if token is None:
            raise InvalidCredential("the plugin example needs a token in secretRefs")
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token.printable('token')}"}
        self._context = context

    async def present(self, records: Sequence[TxtRecord]) -> None:
        """Add the records; other values at the same names stay."""
        await self._change(records, adding=True)

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """Remove exactly these values."""
        await self._change(records, adding=False)

    async def _change(self, records: Sequence[TxtRecord], *, adding: bool) -> None:
        by_name = defaultdict(list)
        for record in records:
            by_name[record.name].append(record)
        failures: list[DnsError] = []
        for name, those in by_name.items():
            try:
                await self._change_name(name, those, adding=adding)
            except DnsError as error:
                # A failure for one name must not affect the others.
                error.names = (name,)
                failures.append(error)
        if failures:
            raise failures[0] if len(failures) == 1 else UpdatesFailed(failures)

    async def _change_name(self, name: str, records: Iterable[TxtRecord], *, adding: bool) -> None:
        await self._check_zone(name)
        ours = {record.value for record in records}
        ttl = next((record.ttl for record in records if record.ttl), TTL)
        for _ in range(TRIES):
            _, found = await self._send("GET", f"/txt/{quote(name)}")
            before = set(found["values"])
            after = before | ours if adding else before - ours
            if after == before:
                return
            body = {"values": sorted(after), "version": found["version"], "ttl": ttl}
            status, _ = await self._send("PUT", f"/txt/{quote(name)}", body)
            if status != HTTPStatus.CONFLICT:  # something else was faster: read again
                return
        raise ProviderRefused(f"the values at {name} changed {TRIES} times meanwhile")

    async def _check_zone(self, name: str) -> None:
        _, zones = await self._send("GET", "/zones")
        if not any(name == zone or name.endswith(f".{zone}") for zone in zones):
            raise ZoneNotFound(f"the account has no zone that contains {name}")

    async def _send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        content = None if body is None else json.dumps(body).encode()
        response = await self._context.request(method, self._url + path, headers=self._headers, content=content)
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise InvalidCredential("the API does not accept the token")
        if response.status not in (HTTPStatus.OK, HTTPStatus.CONFLICT):
            raise ProviderRefused(f"the API answered with HTTP {response.status}")
        return response.status, json.loads(response.body)
