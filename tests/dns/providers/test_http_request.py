"""A server that speaks lego's protocol, against a double as strict as the protocol; lego itself works on it as well."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from certwright.dns import DnsError, InvalidCredential, ProviderRefused, ProviderUnreachable, TxtRecord, ZoneNotFound
from certwright.dns.credential import Credential
from certwright.dns.provider import ProviderContext
from certwright.dns.providers.http_request import HttpRequestConfig
from certwright.dns.zone import Zone
from certwright.http.message import Headers, Response
from tests.dns.providers.conformance.double import SECRET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider

URL = "https://dns.example.net/acme"
NAME = "_acme-challenge.example.com"
WILD = [TxtRecord(NAME, "value-of-the-apex"), TxtRecord(NAME, "value-of-the-wildcard")]


class HttpReqServer:
    """A server as https://go-acme.github.io/lego/dns/httpreq/ wants it; it reads values, changes and writes them back.

    Attributes:
        values: The values at each name.
        bodies: The bodies as they came.
        answers: Status codes to give before any other.
        held: Zones whose calls are not answered until the event is set.
    """

    def __init__(self, *, authenticated: bool = True) -> None:
        self.values: dict[str, list[str]] = {}
        self.bodies: list[tuple[str, bytes]] = []
        self.answers: list[int] = []
        self.held: dict[str, asyncio.Event] = {}
        self.at_work: Counter[str] = Counter()
        self.most_at_work = 0
        pair = base64.b64encode(f"acme:{SECRET}".encode()).decode()
        self.authorization = f"Basic {pair}" if authenticated else None
        self.broken_look_up = False

    def provider(self) -> Provider:
        if self.authorization is None:
            return HttpRequestConfig(f"{URL}/").build(self.context())
        return HttpRequestConfig(f"{URL}/", Credential("acme\n"), Credential(SECRET)).build(self.context())

    def context(self) -> ProviderContext:
        return ProviderContext(self._find_zone, lambda: self)

    async def _find_zone(self, name: str) -> Zone:
        if self.broken_look_up:
            raise ZoneNotFound(f"{name} is in no zone")
        return Zone(".".join(name.split(".")[-2:]), ())

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int,
    ) -> Response:
        assert max_bytes
        status = await self.answer(method, url.removeprefix(URL), headers, content or b"")
        return Response(status, Headers({}), SECRET.encode(), url)

    async def answer(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> int:
        given = {name.lower(): value for name, value in headers.items()}
        if self.answers:
            return self.answers.pop(0)
        if given.get("authorization") != self.authorization:
            return 401
        assert method == "POST"
        assert path in ("/present", "/cleanup"), path
        assert given["content-type"] == "application/json"
        body: dict[str, Any] = json.loads(content)
        assert body.keys() == {"fqdn", "value"}, body
        assert body["fqdn"].endswith("."), "absolute"
        self.bodies.append((path, content))
        await self._change(path, body["fqdn"].rstrip("."), body["value"])
        return 200

    async def _change(self, path: str, name: str, value: str) -> None:
        zone = ".".join(name.split(".")[-2:])
        self.at_work[zone] += 1
        self.most_at_work = max(self.most_at_work, self.at_work[zone])
        read = list(self.values.get(name, []))
        if zone in self.held:
            await self.held[zone].wait()
        await asyncio.sleep(0)
        if path == "/present":
            self.values[name] = sorted({*read, value})
        else:
            self.values[name] = [one for one in read if one != value]
        self.at_work[zone] -= 1

    async def aclose(self) -> None: ...


@pytest.fixture
def api() -> HttpReqServer:
    return HttpReqServer()


async def test_values_at_one_name_come_and_go_one_by_one_and_repeatedly(api: HttpReqServer) -> None:
    provider = api.provider()
    api.values[NAME] = ["foreign"]
    for _ in range(2):
        await provider.present(WILD)
        assert api.values[NAME] == ["foreign", "value-of-the-apex", "value-of-the-wildcard"]
    await provider.clean_up(WILD[:1])
    assert api.values[NAME] == ["foreign", "value-of-the-wildcard"]
    for _ in range(2):
        await provider.clean_up(WILD)
        assert api.values[NAME] == ["foreign"]


async def test_calls_for_one_zone_come_one_after_the_other_and_lose_nothing(api: HttpReqServer) -> None:
    provider = api.provider()
    records = [TxtRecord(NAME, f"value-{number:02}") for number in range(20)]
    await asyncio.gather(*(provider.present([record]) for record in records))
    assert api.values[NAME] == [record.value for record in records]
    assert api.most_at_work == 1


async def test_a_zone_that_does_not_answer_does_not_hold_up_the_others(api: HttpReqServer) -> None:
    api.held["slow.example"] = asyncio.Event()
    provider = api.provider()
    slow = asyncio.create_task(provider.present([TxtRecord("_acme-challenge.slow.example", "late")]))
    async with asyncio.timeout(20):
        await provider.present(WILD)
    assert not slow.done()
    api.held["slow.example"].set()
    await slow


async def test_a_zone_that_cannot_be_found_in_the_dns_is_the_servers_business(api: HttpReqServer) -> None:
    api.broken_look_up = True
    await api.provider().present(WILD)
    assert len(api.values[NAME]) == 2


async def test_without_credentials_none_are_sent() -> None:
    api = HttpReqServer(authenticated=False)
    await api.provider().present(WILD)
    assert len(api.values[NAME]) == 2


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "HTTP 401.*check usernameSecretRef and passwordSecretRef"),
        (404, "HTTP 404.*has to be the one that /present and /cleanup come after"),
        (302, "HTTP 302.*redirects are not followed"),
        (400, r"HTTP 400.*dns\.example\.net did not change example\.com; its log should say why"),
    ],
)
async def test_what_it_refuses_is_told_without_what_it_said(api: HttpReqServer, status: int, said: str) -> None:
    api.answers = [status, status]
    with pytest.raises(ProviderRefused, match=said) as caught:
        await api.provider().present(WILD)
    assert caught.value.names == (NAME,)
    assert SECRET not in str(caught.value)


async def test_one_that_is_out_of_service_is_not_asked_for_each_value(api: HttpReqServer) -> None:
    api.answers = [503]
    with pytest.raises(ProviderUnreachable, match="out of service") as caught:
        await api.provider().present(WILD)
    assert caught.value.names == (NAME,)
    assert api.bodies == []


@pytest.mark.parametrize(
    ("username", "password", "said"),
    [
        ("a:b", "p", "has a colon"),
        ("a b", "p", "the user name"),
        ("a", "p w", "the password"),
        ("a", None, "needs a user name and a password"),
        (None, "p", "needs a user name and a password"),
    ],
)
def test_credentials_that_cannot_be_sent_are_refused(username: str | None, password: str | None, said: str) -> None:
    config = HttpRequestConfig(
        URL,
        None if username is None else Credential(username, "the entry user of Secret shop/dns"),
        None if password is None else Credential(password, "the entry password of Secret shop/dns"),
    )
    with pytest.raises(InvalidCredential, match=said) as caught:
        config.build(HttpReqServer().context())
    assert not password or " " not in password or password not in str(caught.value)


async def test_a_server_that_never_does_it_is_an_error_and_no_other(api: HttpReqServer) -> None:
    api.answers = [500]
    with pytest.raises(DnsError):
        await api.provider().clean_up(WILD)
