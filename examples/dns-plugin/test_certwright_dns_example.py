"""The contract of Certwright's DNS providers, tested with a fake API. Run it with `python -m unittest` or pytest."""

import json
import unittest
from collections.abc import Mapping
from urllib.parse import urlsplit

from certwright_dns_example import ExampleProvider

from certwright.dns.credential import Credential
from certwright.dns.plugin import PluginSettings
from certwright.http.message import Headers, Response, Transport
from certwright.testing.dns_provider import DnsProviderContract


class FakeApi:
    """The API, in memory, as what sends requests."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[list[str], int]] = {}

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        status, body = self.answer(method, urlsplit(url).path, headers, json.loads(content or b"{}"))
        answer = json.dumps(body).encode()
        assert len(answer) <= max_bytes
        return Response(status, Headers({}), answer, url)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: dict[str, object]) -> tuple[int, object]:
        if headers.get("Authorization") != "Bearer t0ken":
            return 401, {}
        if path == "/zones":
            return 200, ["example.com"]
        name = path.removeprefix("/txt/")
        values, version = self.names.get(name, ([], 0))
        if method == "GET":
            return 200, {"values": values, "version": version}
        if body["version"] != version:
            return 409, {}
        self.names[name] = (list(body["values"]), version + 1)  # type: ignore[call-overload]  # from JSON
        return 200, {}

    async def aclose(self) -> None:
        pass


class TestExample(DnsProviderContract, unittest.IsolatedAsyncioTestCase):
    factory = ExampleProvider
    zone = "example.com"

    async def start(self) -> PluginSettings:
        return PluginSettings("example", {"url": "https://dns.example.net"}, {"token": Credential("t0ken")})

    def transport(self) -> Transport:
        self.api = FakeApi()
        return self.api

    async def values(self, name: str) -> list[str]:
        return self.api.names.get(name, ([], 0))[0]

    async def put(self, name: str, value: str) -> None:
        self.api.names[name] = ([value], 1)


if __name__ == "__main__":
    unittest.main()
