"""A server that speaks lego's protocol, against a double as strict as that, on which lego's own client works too."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from certwright.dns import DnsError, InvalidCredential, ProviderRefused, ProviderUnreachable, TxtRecord, ZoneNotFound
from certwright.dns.credential import Credential
from certwright.dns.provider import ProviderContext
from certwright.dns.providers.http_request import HttpRequestConfig, Mode
from certwright.dns.zone import Zone
from certwright.http.message import Headers, Response
from certwright.http.transport import HttpxTransport
from tests.dns.providers.conformance.double import SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from certwright.dns import Provider

URL = "https://dns.example.net/acme"
PLACE: Final = urlsplit(URL).path
FIELDS: Final = ("content-type", "accept", "authorization")
"""The header fields that the protocol has."""
NAME = "_acme-challenge.example.com"
WILD = [TxtRecord(NAME, "value-of-the-apex"), TxtRecord(NAME, "value-of-the-wildcard")]


class HttpReqServer:
    """A server as https://go-acme.github.io/lego/dns/httpreq/ wants it; it reads values, changes and writes them back.

    Attributes:
        values: The values at each name.
        answers: Status codes to give before any other.
        fields: Header fields of all answers.
        requests: What was sent and let in: method, path, the header fields that the protocol has, body.
        held: Zones whose calls are not answered until the event is set.
        waits: Set once such a call has come.
        raw: Whether it speaks the mode RAW, in which it is told the key authorization and makes the record itself.
    """

    def __init__(self, *, authenticated: bool = True, raw: bool = False) -> None:
        self.raw = raw
        self.requests: list[tuple[str, str, dict[str, str | None], dict[str, Any]]] = []
        self.values: dict[str, list[str]] = {}
        self.answers: list[int] = []
        self.fields: dict[str, str] = {}
        self.waits = asyncio.Event()
        self.now = 1000.0
        self.held: dict[str, asyncio.Event] = {}
        self.at_work: Counter[str] = Counter()
        self.most_at_work = 0
        pair = base64.b64encode(f"acme:{SECRET}".encode()).decode()
        self.authorization = f"Basic {pair}" if authenticated else None
        self.broken_look_up = False

    def provider(self) -> Provider:
        return self.config(f"{URL}/").build(self.context())

    def config(self, url: str) -> HttpRequestConfig:
        mode: Mode = "RAW" if self.raw else "Default"
        if self.authorization is None:
            return HttpRequestConfig(url, mode=mode)
        return HttpRequestConfig(url, Credential("acme\n"), Credential(SECRET), mode=mode)

    def context(self) -> ProviderContext:
        return ProviderContext(self._find_zone, lambda: self, monotonic=lambda: self.now)

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
        return Response(status, Headers(self.fields), SECRET.encode(), url)

    async def answer(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> int:
        given = {name.lower(): value for name, value in headers.items()}
        if self.answers:
            return self.answers.pop(0)
        if given.get("authorization") != self.authorization:
            return 401
        assert method == "POST"
        assert path in ("/present", "/cleanup"), path
        assert given["content-type"] == "application/json"
        assert given["accept"] == "application/json"
        body: dict[str, Any] = json.loads(content)
        fqdn, value = _of_key_authorization(body) if self.raw else _of_record(body)
        self.requests.append((method, path, {name: given.get(name) for name in FIELDS}, body))
        await self._change(path, fqdn.removesuffix("."), value)
        return 200

    async def _change(self, path: str, name: str, value: str) -> None:
        zone = ".".join(name.split(".")[-2:])
        self.at_work[zone] += 1
        self.most_at_work = max(self.most_at_work, self.at_work[zone])
        read = list(self.values.get(name, []))
        if zone in self.held:
            self.waits.set()
            await self.held[zone].wait()
        await asyncio.sleep(0)
        if path == "/present":
            self.values[name] = sorted({*read, value})
        else:
            self.values[name] = [one for one in read if one != value]
        self.at_work[zone] -= 1

    async def aclose(self) -> None: ...


def _of_record(body: dict[str, Any]) -> tuple[str, str]:
    assert body.keys() == {"fqdn", "value"}, body
    assert body["fqdn"].endswith("."), "absolute"
    return body["fqdn"], body["value"]


def _of_key_authorization(body: dict[str, Any]) -> tuple[str, str]:
    assert body.keys() == {"domain", "token", "keyAuth"}, body
    assert body["keyAuth"].startswith(f"{body['token']}."), "RFC 8555 section 8.1"
    digest = hashlib.sha256(body["keyAuth"].encode()).digest()
    return f"_acme-challenge.{body['domain']}.", base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@asynccontextmanager
async def served(api: HttpReqServer) -> AsyncIterator[str]:
    """Serve a double over real HTTP; yields the URL that `/present` and `/cleanup` come after."""
    from aiohttp import web  # noqa: PLC0415 - loading it takes long

    wrong: list[AssertionError] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        try:
            path = request.path.removeprefix(PLACE)
            status = await api.answer(request.method, path, dict(request.headers), await request.read())
        except AssertionError as error:
            wrong.append(error)
            status = 500
        return web.Response(status=status)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{PLACE}/"
    finally:
        await runner.cleanup()
    assert wrong == []


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


async def test_200_names_in_5_zones(api: HttpReqServer) -> None:
    records = [TxtRecord(f"_acme-challenge.w{number}.zone{number % 5}.example", f"v{number}") for number in range(200)]
    provider = api.provider()
    await asyncio.gather(*(provider.present([record]) for record in records))
    assert all(api.values[record.name] == [record.value] for record in records)
    await asyncio.gather(*(provider.clean_up([record]) for record in records))
    assert not any(api.values.values())
    assert api.most_at_work == 1


async def test_what_a_crash_left_is_presented_again_and_removed_by_another_process(api: HttpReqServer) -> None:
    await api.provider().present(WILD[:1])
    await api.provider().present(WILD)
    await api.provider().clean_up(WILD)
    assert api.values[NAME] == []


async def test_a_throttle_is_obeyed_for_all_zones(api: HttpReqServer) -> None:
    provider = api.provider()
    api.answers, api.fields = [429], {"Retry-After": "30"}
    with pytest.raises(ProviderUnreachable, match="too many requests") as caught:
        await provider.present(WILD)
    assert (caught.value.retry_after, caught.value.names) == (30, (NAME,))
    with pytest.raises(ProviderUnreachable):
        await provider.present([TxtRecord("_acme-challenge.other.example", "value")])
    assert api.requests == []
    api.now += 31
    await provider.present(WILD)
    assert len(api.values[NAME]) == 2


async def test_whoever_is_cancelled_goes_on_where_it_was_and_takes_nothing_from_the_others(api: HttpReqServer) -> None:
    provider = api.provider()
    await provider.present(WILD[:1])
    zone = "example.com"
    api.held[zone] = asyncio.Event()
    first = asyncio.create_task(provider.present(WILD))
    other = asyncio.create_task(provider.present([TxtRecord("_acme-challenge.other.test", "value")]))
    await other
    await api.waits.wait()
    first.cancel()
    await asyncio.wait([first])
    api.held.pop(zone).set()
    api.at_work[zone] = 0
    await provider.present(WILD)
    assert len(api.values[NAME]) == 2


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
    assert api.requests == []


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


APEX: Final = ("example.com", "token-of-the-apex", "token-of-the-apex.thumbprint")
WILDCARD: Final = ("example.com", "token-of-the-wildcard", "token-of-the-wildcard.thumbprint")
"""Domain, token and key authorization, as lego is given them by an order: that of a wildcard without its `*.`."""


async def lego_makes(lego: Path, url: str, *groups: tuple[str, ...], mode: str = "", password: str = SECRET) -> str:
    """Have lego make changes; returns what it says of a failure, or nothing."""
    process = await asyncio.create_subprocess_exec(
        lego,
        *(argument for group in groups for argument in group),
        env={
            "HTTPREQ_ENDPOINT": url,
            "HTTPREQ_MODE": mode,
            "HTTPREQ_USERNAME": "acme" if password else "",
            "HTTPREQ_PASSWORD": password,
            # The name is what it is about, not a CNAME that the DNS of this machine may have there.
            "LEGO_DISABLE_CNAME_SUPPORT": "true",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert (process.returncode == 0) == (said == b"")
    return said.decode()


def records_of(*challenges: tuple[str, str, str]) -> list[TxtRecord]:
    found = []
    for domain, token, key_authorization in challenges:
        name, value = _of_key_authorization({"domain": domain, "token": token, "keyAuth": key_authorization})
        found.append(TxtRecord(name, value, domain, key_authorization=key_authorization))
    return found


async def ours_makes(api: HttpReqServer, url: str) -> None:
    async with HttpxTransport(allow_insecure=True, trust_env=False) as transport:
        context = ProviderContext(api._find_zone, lambda: transport)
        provider = api.config(url).build(context)
        await provider.present(records_of(APEX, WILDCARD))
        await provider.clean_up(records_of(APEX))


@pytest.mark.parametrize("authenticated", [True, False], ids=["authenticated", "open"])
async def test_our_requests_are_those_of_legos_own_client(lego: Path, *, authenticated: bool) -> None:
    theirs, ours = (HttpReqServer(authenticated=authenticated) for _ in range(2))
    foreign = {NAME: ["foreign"]}
    theirs.values, ours.values = dict(foreign), dict(foreign)
    changes = (("present", *APEX), ("present", *WILDCARD), ("cleanup", *APEX))
    async with served(theirs) as url:
        assert await lego_makes(lego, url, *changes, password=SECRET if authenticated else "") == ""
    async with served(ours) as url:
        await ours_makes(ours, url)
    assert [path for _, path, _, _ in theirs.requests] == ["/present", "/present", "/cleanup"]
    assert ours.requests == theirs.requests
    assert ours.values == theirs.values == {NAME: sorted(["foreign", records_of(WILDCARD)[0].value])}


async def test_our_requests_in_raw_mode_are_those_of_legos_own_client(lego: Path, api: HttpReqServer) -> None:
    theirs, ours = HttpReqServer(raw=True), HttpReqServer(raw=True)
    changes = (("present", *APEX), ("present", *WILDCARD), ("cleanup", *APEX))
    async with served(theirs) as url:
        assert await lego_makes(lego, url, *changes, mode="RAW") == ""
    async with served(ours) as url:
        await ours_makes(ours, url)
    async with served(api) as url:
        await ours_makes(api, url)
    assert len(theirs.requests) == 3
    assert ours.requests == theirs.requests
    assert theirs.values == ours.values == api.values == {NAME: [records_of(WILDCARD)[0].value]}


@pytest.mark.parametrize(
    "record",
    [
        TxtRecord(NAME, "value"),
        TxtRecord(NAME, "value", "example.com"),
        TxtRecord(NAME, "value", key_authorization="a.b"),
    ],
)
async def test_in_raw_mode_no_other_record_can_be_asked_for(record: TxtRecord) -> None:
    api = HttpReqServer(raw=True)
    for act in (api.provider().present, api.provider().clean_up):
        with pytest.raises(ProviderRefused, match=r"dns\.example\.net is called in the mode RAW.*is none, or"):
            await act([record])
    assert api.requests == []


def test_a_mode_that_lego_does_not_have_is_refused() -> None:
    config = HttpRequestConfig(URL, mode="raw")  # type: ignore[arg-type]  # as a program may write it
    with pytest.raises(InvalidCredential, match="it is Default or RAW"):
        config.build(HttpReqServer().context())


async def test_lego_and_we_fail_alike(lego: Path, api: HttpReqServer) -> None:
    async with served(api) as url:
        assert "401" in await lego_makes(lego, url, ("present", *APEX), password="wrong")
        for status in (404, 400):
            api.answers = [status] * 3
            assert str(status) in await lego_makes(lego, url, ("present", *APEX))
            with pytest.raises(ProviderRefused, match=str(status)):
                await ours_makes(api, url)
    assert (api.requests, api.values) == ([], {})
