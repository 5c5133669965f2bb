"""acme-dns, against a double as strict as the server's source, proved with the client of the server's author."""

from __future__ import annotations

import asyncio
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from certwright.dns import DnsError, InvalidCredential, ProviderRefused, ProviderUnreachable, TxtRecord, ZoneNotFound
from certwright.dns.credential import Credential
from certwright.dns.provider import ProviderContext
from certwright.dns.providers.acme_dns import HELD_SECONDS, AcmeDNSConfig
from certwright.http.message import Headers, Response
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.sdk import sdk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider, Zone

HOST = "https://auth.example.net"
ACCOUNT = "8e5700ea-a4bf-41c7-8a77-e990661dcc6a"
PLACE = f"{ACCOUNT}.auth.example.net"
OTHER = "b2b9c3a1-0c5c-4b6f-9c0e-2f4c8f2a6f11"
ONE, TWO, THREE = (letter * 43 for letter in "abc")


def an_account(subdomain: str = ACCOUNT, **changes: Any) -> dict[str, Any]:
    return {
        "username": f"user-of-{subdomain}",
        "password": SECRET,
        "fulldomain": f"{subdomain}.auth.example.net",
        "subdomain": subdomain,
        "allowfrom": [],
        **changes,
    }


def record(value: str = ONE, name: str = PLACE, domain: str = "example.com") -> TxtRecord:
    return TxtRecord(name, value, domain)


class AcmeDns:
    """The server: it keeps the last two values of each account, and removes none.

    Attributes:
        values: Of each account, the latest last.
        sent: The values in the order in which they came.
        answers: Status codes to give before any other.
        fields: The header fields of these.
        held: Nothing is answered until it is set.
    """

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {ACCOUNT: [], OTHER: []}
        self.sent: list[str] = []
        self.answers: list[int] = []
        self.fields: dict[str, str] = {}
        self.now = 1000.0
        self.held = asyncio.Event()
        self.held.set()

    def provider(self, accounts: Any = None, host: str = HOST) -> Provider:
        given = {"example.com": an_account(), "example.org": an_account(OTHER)} if accounts is None else accounts
        text = given if isinstance(given, str) else json.dumps(given)
        context = ProviderContext(_no_look_up, lambda: self, monotonic=lambda: self.now)
        return AcmeDNSConfig(host, Credential(text, "the entry accounts of Secret team/acme-dns")).build(context)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        await self.held.wait()
        if self.answers:
            return Response(self.answers.pop(0), Headers(self.fields), SECRET.encode(), url)
        found = self.answer(method, url, headers, content)
        assert len(found.body) <= max_bytes
        return Response(found.status, found.headers, found.body, url)

    def answer(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Response:
        given = {name.lower(): value for name, value in headers.items()}
        if (method, url) != ("POST", f"{HOST}/update"):
            return Response(HTTPStatus.NOT_FOUND, body=b"404 page not found\n")
        assert given["content-type"] == "application/json"
        body = json.loads(content or b"")
        assert body.keys() == {"subdomain", "txt"}, body
        known = self.values.get(body["subdomain"])
        if known is None or given.get("x-api-user") != f"user-of-{body['subdomain']}" or given["x-api-key"] != SECRET:
            return _said(HTTPStatus.UNAUTHORIZED, {"error": "forbidden"})
        if not re.fullmatch(r"[A-Za-z0-9_-]{43}", body["txt"]):
            return _said(HTTPStatus.BAD_REQUEST, {"error": "bad_txt"})
        self.sent.append(body["txt"])
        # What was written longest ago is overwritten, also by a value that is there already.
        known[:] = [*known, body["txt"]][-2:]
        return _said(HTTPStatus.OK, {"txt": body["txt"]})

    async def aclose(self) -> None:
        """Do nothing."""


def _said(status: int, body: dict[str, str]) -> Response:
    return Response(status, Headers({"Content-Type": "application/json"}), json.dumps(body).encode())


async def _no_look_up(name: str) -> Zone:
    raise AssertionError(f"{name}: accounts are no zones")


@pytest.fixture
def server() -> AcmeDns:
    return AcmeDns()


async def test_wildcard_and_apex_stand_together(server: AcmeDns) -> None:
    await server.provider().present([record(ONE), record(TWO)])
    assert sorted(server.values[ACCOUNT]) == [ONE, TWO]


async def test_a_second_value_that_comes_later_does_not_push_out_the_first(server: AcmeDns) -> None:
    provider = server.provider()
    await provider.present([record(ONE)])
    await provider.present([record(ONE)])
    await provider.present([record(TWO)])
    assert sorted(server.values[ACCOUNT]) == [ONE, TWO]
    await provider.present([record(ONE), record(TWO)])
    assert sorted(server.values[ACCOUNT]) == [ONE, TWO]


async def test_a_third_value_is_refused_before_it_pushes_one_out_and_goes_once_one_is_done(server: AcmeDns) -> None:
    provider = server.provider()
    await provider.present([record(ONE), record(TWO)])
    words = rf"{PLACE} keeps 2 values, and 3 are wanted .*www\.example\.com"
    with pytest.raises(ProviderRefused, match=words) as caught:
        await provider.present([record(THREE, domain="www.example.com")])
    assert caught.value.names == (PLACE,)
    assert sorted(server.values[ACCOUNT]) == [ONE, TWO]
    await provider.clean_up([record(ONE)])
    await provider.present([record(THREE)])
    assert sorted(server.values[ACCOUNT]) == [TWO, THREE]


async def test_a_value_that_nobody_removes_stands_in_the_way_for_an_hour(server: AcmeDns) -> None:
    provider = server.provider()
    await provider.present([record(ONE), record(TWO)])
    server.now += HELD_SECONDS + 1
    await provider.present([record(THREE)])
    assert server.values[ACCOUNT][-1] == THREE


async def test_three_certificates_at_once_get_two_values_and_one_refusal(server: AcmeDns) -> None:
    provider = server.provider()
    server.held.clear()
    tasks = [asyncio.create_task(provider.present([record(value)])) for value in (ONE, TWO, THREE)]
    await asyncio.sleep(0.01)
    server.held.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(isinstance(one, ProviderRefused) for one in outcomes) == [False, False, True]
    shown = [value for value, one in zip((ONE, TWO, THREE), outcomes, strict=True) if one is None]
    assert sorted(server.values[ACCOUNT]) == shown


async def test_clean_up_asks_nothing_and_can_be_repeated(server: AcmeDns) -> None:
    provider = server.provider()
    await provider.present([record(ONE)])
    for _ in range(2):
        await provider.clean_up([record(ONE), record(TWO)])
    assert server.sent == [ONE]


async def test_accounts_do_not_hold_each_other_up(server: AcmeDns) -> None:
    other = record(TWO, f"{OTHER}.auth.example.net", "example.org")
    strange = record(THREE, "_acme-challenge.example.net", "example.net")
    with pytest.raises(ZoneNotFound) as caught:
        await server.provider().present([record(ONE), other, strange])
    assert caught.value.names == ("_acme-challenge.example.net",)
    assert (server.values[ACCOUNT], server.values[OTHER]) == ([ONE], [TWO])


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("example.com", f"create the record _acme-challenge.example.com. CNAME {PLACE}."),
        ("deep.www.example.com", f"create the record _acme-challenge.deep.www.example.com. CNAME {PLACE}."),
        ("example.net", "there is no acme-dns account for example.net"),
    ],
)
async def test_a_missing_cname_is_told_as_the_record_to_create(server: AcmeDns, domain: str, words: str) -> None:
    with pytest.raises(ZoneNotFound) as caught:
        await server.provider().present([record(ONE, f"_acme-challenge.{domain}", domain)])
    assert words in str(caught.value)


async def test_the_accounts_may_be_saved_by_wildcards_and_names_of_challenges(server: AcmeDns) -> None:
    accounts = {"*.example.com": an_account(), "_acme-challenge.example.org": an_account(OTHER)}
    await server.provider(accounts, f"{HOST}/").present([record(ONE)])
    assert server.values[ACCOUNT] == [ONE]


@pytest.mark.parametrize(
    ("accounts", "words"),
    [
        ("", "are not a JSON object"),
        ("[" * 100_000, "are not a JSON object"),
        ([], "are not a JSON object"),
        ({}, "are not a JSON object"),
        ({"example.com": SECRET}, "lack fulldomain, subdomain, username or password for example.com"),
        ({"example.com": an_account(password="")}, "lack fulldomain, subdomain, username or password for example.com"),
        ({"example.com": an_account(password=f"{SECRET}\r\nX: y")}, "has a space, a line break"),
        ({"example.com": an_account(fulldomain="a..b")}, "fulldomain for example.com that is not a domain name"),
        ({"a..b": an_account()}, "something that is not a domain"),
    ],
)
def test_accounts_that_cannot_be_read_are_told_without_what_is_in_them(
    server: AcmeDns, accounts: Any, words: str
) -> None:
    with pytest.raises(InvalidCredential) as caught:
        server.provider(accounts)
    assert words in str(caught.value)
    assert "Secret team/acme-dns" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "another"}, r"HTTP 401, forbidden\): .*or its allowfrom does not have"),
        ({"username": "someone-else"}, r"HTTP 401, forbidden\)"),
    ],
)
async def test_an_account_that_the_server_does_not_accept_is_told(
    server: AcmeDns, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ProviderRefused, match=words):
        await server.provider({"example.com": an_account(**change)}).present([record()])


async def test_what_is_no_value_of_a_challenge_and_what_is_no_acme_dns_are_told(server: AcmeDns) -> None:
    with pytest.raises(ProviderRefused, match=r"HTTP 400, bad_txt\): the value is none of a challenge"):
        await server.provider().present([record("short")])
    with pytest.raises(ProviderRefused, match=r"HTTP 404\): it has no /update"):
        await server.provider(host=f"{HOST}/elsewhere").present([record()])


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
async def test_no_message_shows_the_password_or_what_was_answered(server: AcmeDns, status: int) -> None:
    server.answers.append(status)
    with pytest.raises(DnsError) as caught:
        await server.provider().present([record()])
    assert SECRET not in str(caught.value)
    assert isinstance(caught.value, ProviderUnreachable | ProviderRefused)


async def test_a_throttle_is_obeyed_by_all_accounts_of_the_server(server: AcmeDns) -> None:
    provider = server.provider()
    server.answers.append(429)
    server.fields = {"Retry-After": "30"}
    with pytest.raises(ProviderUnreachable, match="too many requests") as caught:
        await provider.present([record(ONE)])
    assert caught.value.retry_after == 30
    with pytest.raises(ProviderUnreachable):
        await provider.present([record(ONE, f"{OTHER}.auth.example.net", "example.org")])
    assert server.sent == []
    server.now += 31
    await provider.present([record(ONE)])
    assert server.values[ACCOUNT] == [ONE]


async def test_what_a_crash_left_is_presented_again_by_another_process(server: AcmeDns) -> None:
    await server.provider().present([record(ONE)])
    await server.provider().present([record(ONE), record(TWO)])
    assert sorted(server.values[ACCOUNT]) == [ONE, TWO]


async def test_whoever_is_cancelled_takes_nothing_from_the_others(server: AcmeDns) -> None:
    provider = server.provider()
    server.held.clear()
    first, second = (asyncio.create_task(provider.present([record(value)])) for value in (ONE, TWO))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    server.held.set()
    await second
    assert TWO in server.values[ACCOUNT]
    await provider.clean_up([record(ONE)])
    await provider.present([record(THREE)])
    assert sorted(server.values[ACCOUNT]) == [TWO, THREE]


async def test_a_failure_is_survived_by_trying_again(server: AcmeDns) -> None:
    provider = server.provider()
    server.answers.append(502)
    with pytest.raises(ProviderUnreachable):
        await provider.present([record(ONE), record(TWO)])
    await provider.present([record(ONE), record(TWO)])
    assert sorted(server.values[ACCOUNT]) == [ONE, TWO]


async def test_the_servers_own_client_works_on_the_double_and_sends_the_same(
    server: AcmeDns, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, requests = sdk("pyacmedns"), sdk("requests")
    sent: list[tuple[str, dict[str, str], Any]] = []

    def post(url: str, *, headers: dict[str, str], data: str) -> Any:
        sent.append((url, headers, json.loads(data)))
        found, response = server.answer("POST", url, headers, data.encode()), requests.Response()
        response.status_code, response._content = found.status, found.body
        return response

    monkeypatch.setattr(requests, "post", post)
    client.Client(HOST).update_txt_record(an_account(), ONE)
    with pytest.raises(sdk("pyacmedns.exceptions").AcmeDnsClientException):
        client.Client(HOST).update_txt_record(an_account(password="another"), ONE)
    double = server.answer

    def noted(method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Response:
        names = ("X-Api-User", "X-Api-Key", "Content-Type")
        sent.append((url, {name: headers[name] for name in names}, json.loads(content or b"")))
        return double(method, url, headers, content)

    monkeypatch.setattr(server, "answer", noted)
    await server.provider().present([record(ONE)])
    assert sent[-1] == sent[0]
