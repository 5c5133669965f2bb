"""Akamai Edge DNS, against a double that is as strict as its API v2, with signatures that Akamai's library checks."""

from __future__ import annotations

import datetime as dt
import json
import re
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.dns import InvalidCredential, InvalidServer, ProviderRefused, ProviderUnreachable, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.hosted.edgegrid import MAX_BODY, EdgeGrid
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.akamai import AkamaiConfig
from certwright.http.message import Headers, Response
from tests.dns.providers.conformance.double import SECRET, Double
from tests.dns.providers.conformance.sdk import sdk, session_to
from tests.dns.providers.conformance.suite import NAME, OURS, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider

HOST = "akab-abc123-def456.luna.akamaiapis.net"
PREFIX = "/config-dns/v2"
CLIENT_TOKEN, ACCESS_TOKEN = "akab-client", "akab-access"
AUTHORIZATION = re.compile(
    r"(EG1-HMAC-SHA256 client_token=([^;]+);access_token=([^;]+);timestamp=([^;]+);nonce=([^;]+);)signature=(\S+)"
)
ZONES_A_PAGE = 40
SETS_A_PAGE = 60


def signature(method: str, url: str, content: bytes | None, unsigned: str, timestamp: str) -> str:
    """Sign as Akamai's own library does."""
    headers = sdk("akamai.edgegrid.edgegrid").EdgeGridAuthHeaders(CLIENT_TOKEN, SECRET, ACCESS_TOKEN)
    request = SimpleNamespace(method=method, url=url, headers={}, body=content)
    return str(headers.sign_request(request, timestamp, unsigned))


class AkamaiDouble(Double):
    """The zone management API v2: single record sets. It gives pages that are smaller than those asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.zones: dict[str, str] = {}
        self.sets: dict[str, dict[str, dict[str, Any]]] = {}
        self.nonces: set[str] = set()
        self.calls: list[tuple[str, str, Any]] = []

    def provider(self) -> Provider:
        return self.config().build(self.context())

    def config(self, **fields: Any) -> AkamaiConfig:
        given = {
            "service_consumer_domain": HOST,
            "client_token": Credential(CLIENT_TOKEN),
            "client_secret": Credential(f"{SECRET}\n"),
            "access_token": Credential(ACCESS_TOKEN),
        }
        return AkamaiConfig(**{**given, **fields})

    def add_zone(self, name: str, *, private: bool = False) -> None:
        # All zones are public; a secondary one takes no records.
        self.zones[name] = "SECONDARY" if private else "PRIMARY"
        self.sets[name] = {}

    def put(self, name: str, value: str) -> None:
        sets = self.sets[self._longest(name)]
        old = sets.get(name, {"name": name, "type": "TXT", "ttl": 600, "rdata": []})
        sets[name] = {**old, "rdata": [*old["rdata"], quoted(value)]}

    def drop(self, name: str, value: str) -> None:
        sets = self.sets[self._longest(name)]
        left = [one for one in sets[name]["rdata"] if unquoted(one) != value]
        if left:
            sets[name] = {**sets[name], "rdata": left}
        else:
            del sets[name]

    def values(self, name: str, zone: str | None = None) -> list[str]:
        return sorted(map(unquoted, self.sets[zone or self._longest(name)].get(name, {}).get("rdata", ())))

    def ttl(self, name: str) -> int:
        return int(self.sets[self._longest(name)][name]["ttl"])

    def zone_of(self, path: str) -> str:
        parts = path.removeprefix(f"{PREFIX}/").split("/")
        return parts[1] if len(parts) > 1 and parts[1] in self.zones else ""

    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        assert url.startswith(f"https://{HOST}{PREFIX}/"), url
        fields = {name.lower(): value for name, value in headers.items()}
        assert ("content-type" in fields) == (content is not None), "a body has a type"
        said = AUTHORIZATION.fullmatch(fields["authorization"])
        assert said is not None, fields["authorization"]
        unsigned, client, access, timestamp, nonce, signed = said.groups()
        assert nonce not in self.nonces, "a nonce is used once"
        self.nonces.add(nonce)
        at = dt.datetime.strptime(timestamp, "%Y%m%dT%H:%M:%S%z")
        assert abs((dt.datetime.now(dt.UTC) - at).total_seconds()) < 30
        assert (client, access) == (CLIENT_TOKEN, ACCESS_TOKEN)
        return signed == signature(method, url, content, unsigned, timestamp)

    def denial(self) -> Response:
        return problem(HTTPStatus.FORBIDDEN, "-/pep-authz/deny")

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        body = json.loads(content) if content is not None else None
        self.calls.append((method, path, body))
        match [unquote(part) for part in path.removeprefix(f"{PREFIX}/").split("/")]:
            case ["zones"] if method == "GET":
                assert query.keys() == {"types", "sortBy", "page", "pageSize"}, query
                assert query["types"] == "PRIMARY"
                found = [{"zone": name, "type": kind} for name, kind in self.zones.items() if kind == "PRIMARY"]
                return page("zones", found, query, ZONES_A_PAGE)
            case ["zones", zone, "recordsets"] if method == "GET":
                assert query.keys() == {"types", "sortBy", "page", "pageSize"}, query
                if zone not in self.zones:
                    return problem(HTTPStatus.NOT_FOUND, "config-dns/zone-not-found")
                return page("recordsets", list(self.sets[zone].values()), query, SETS_A_PAGE)
            case ["zones", zone, "names", name, "types", "TXT"]:
                assert not query
                return self._one(method, zone, name, body)
        raise AssertionError(f"no such call: {method} {path}")

    def _one(self, method: str, zone: str, name: str, body: Any) -> Response:
        if method != "GET":
            self.written()
        if zone not in self.zones:
            return problem(HTTPStatus.NOT_FOUND, "config-dns/zone-not-found")
        assert name == zone or name.endswith(f".{zone}")
        sets = self.sets[zone]
        if method in ("POST", "PUT"):
            self._check(name, body)
        if method == "POST":
            if name in sets:
                return problem(HTTPStatus.CONFLICT, "config-dns/recordset-exists")
            sets[name] = body
            return answered(body, HTTPStatus.CREATED)
        assert body is None or method == "PUT"
        if name not in sets:
            return problem(HTTPStatus.NOT_FOUND, "config-dns/recordset-not-found")
        if method == "PUT":
            sets[name] = body
        elif method == "DELETE":
            del sets[name]
            return Response(HTTPStatus.NO_CONTENT)
        return answered(sets[name])

    def _check(self, name: str, body: Any) -> None:
        assert body.keys() == {"name", "type", "ttl", "rdata"}, body
        assert (body["name"], body["type"]) == (name, "TXT")
        assert 30 <= body["ttl"] <= 2**31 - 1
        assert body["rdata"]
        assert len(set(body["rdata"])) == len(body["rdata"])
        for text in body["rdata"]:
            assert re.fullmatch(r'"(?:[^"\\]|\\.)*"(?: "(?:[^"\\]|\\.)*")*', text), (
                "without quotes it is several strings"
            )
            assert all(len(part.replace("\\", "")) <= 255 for part in text[1:-1].split('" "'))

    def _longest(self, name: str) -> str:
        fitting = [zone for zone, kind in self.zones.items() if f".{name}".endswith(f".{zone}") and kind == "PRIMARY"]
        return max(fitting, key=len)


def page(key: str, found: list[Any], query: Mapping[str, str], most: int) -> Response:
    number, size = int(query["page"]), min(int(query["pageSize"]), most)
    metadata = {"page": number, "pageSize": size, "showAll": False, "totalElements": len(found)}
    return answered({"metadata": metadata, key: found[(number - 1) * size : number * size]})


def answered(body: Any, status: int = 200) -> Response:
    return Response(status, Headers({"Content-Type": "application/json"}), json.dumps(body).encode())


def problem(status: int, kind: str) -> Response:
    body = {"type": f"https://problems.luna.akamaiapis.net/{kind}", "title": SECRET, "detail": SECRET, "status": status}
    return Response(status, Headers({"Content-Type": "application/problem+json"}), json.dumps(body).encode())


class TestAkamai(Conformance):
    requests_for_100 = 110
    zones_a_page = ZONES_A_PAGE
    records_a_page = SETS_A_PAGE
    right = "DNS-Zone Record Management"

    def make_double(self) -> AkamaiDouble:
        return AkamaiDouble()

    async def test_one_name_takes_four_requests_and_its_removal_three(self, api: AkamaiDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        assert [method for method, *_ in api.calls] == ["GET", "GET", "POST", "GET"], "zones, set, write, look"
        await provider.clean_up(WILD)
        assert [method for method, *_ in api.calls[4:]] == ["GET", "DELETE", "GET"]

    async def test_a_value_that_somebody_overwrote_is_written_again(self, api: AkamaiDouble) -> None:
        api.put(NAME, "foreign")
        provider = api.provider()
        await provider.present(WILD[:1])
        inner, times = api.answer, 0

        def overwritten(method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
            nonlocal times
            found = inner(method, path, query, content)
            if method == "PUT" and times < 2:
                times += 1
                api.sets["example.com"][NAME] = {**api.sets["example.com"][NAME], "rdata": [quoted("theirs")]}
            return found

        api.answer = overwritten  # type: ignore[method-assign]  # somebody who does not look
        await provider.present(WILD[1:])
        assert api.values(NAME) == ["theirs", WILD[1].value]
        times = -100
        with pytest.raises(ProviderRefused, match="5 times, because its records had changed meanwhile each time"):
            await provider.present(WILD[:1])

    async def test_a_set_that_was_read_long_before_is_read_again_before_it_is_replaced(self, api: AkamaiDouble) -> None:
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(8)]
        for record in records:
            api.put(record.name, "foreign")
        api.before_write = lambda: api.put(records[-1].name, "quicker")
        await api.provider().present(records)
        assert api.values(records[-1].name) == ["foreign", "quicker", "value"]

    async def test_the_set_of_somebody_else_keeps_its_ttl_and_how_its_values_are_written(
        self, api: AkamaiDouble
    ) -> None:
        api.sets["example.com"][NAME] = {"name": NAME, "type": "TXT", "ttl": 7200, "rdata": ['"a" "b"']}
        await api.provider().present([OURS])
        found = api.sets["example.com"][NAME]
        assert (found["ttl"], found["rdata"]) == (7200, ['"a" "b"', quoted(OURS.value)])

    async def test_a_ttl_is_not_less_than_akamai_takes(self, api: AkamaiDouble) -> None:
        await api.provider().present([TxtRecord(NAME, "value", ttl=1)])
        assert api.ttl(NAME) == 30

    async def test_a_failure_in_the_middle_names_only_what_was_not_written(self, api: AkamaiDouble) -> None:
        provider = api.provider()
        await provider.clean_up(WILD)
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(4)]
        api.fail_at = api.sent["all"] + 4 + 3
        with pytest.raises(ProviderUnreachable, match="HTTP 502") as caught:
            await provider.present(records)
        assert caught.value.names == ("w2.example.com", "w3.example.com")
        assert (api.values("w1.example.com"), api.values("w2.example.com")) == (["value"], [])

    async def test_a_zone_that_vanished_is_told(self, api: AkamaiDouble) -> None:
        provider = api.provider()
        await provider.clean_up(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404, zone-not-found.*the zone example\.com is gone"):
            await provider.present(WILD)

    async def test_akamais_own_library_works_on_the_double_with_the_same_requests(self, api: AkamaiDouble) -> None:
        theirs = AkamaiDouble()
        theirs.add_zone("example.com")
        session = session_to(theirs)
        session.auth = sdk("akamai.edgegrid").EdgeGridAuth(CLIENT_TOKEN, SECRET, ACCESS_TOKEN)
        url = f"https://{HOST}{PREFIX}/zones/example.com/names/{quote(NAME)}/types/TXT"
        zones = session.get(f"https://{HOST}{PREFIX}/zones?types=PRIMARY&sortBy=zone&page=1&pageSize=100").json()
        assert [one["zone"] for one in zones["zones"]] == ["example.com"]
        assert session.get(url).status_code == 404
        body: Any = {"name": NAME, "type": "TXT", "ttl": 60, "rdata": [quoted(OURS.value)]}
        assert session.post(url, json=body).status_code == 201
        assert session.post(url, json=body).status_code == 409
        assert session.get(url).json() == body
        await api.provider().present([OURS])
        assert theirs.calls[:3] + theirs.calls[4:] == api.calls
        session.auth = sdk("akamai.edgegrid").EdgeGridAuth(CLIENT_TOKEN, "another secret", ACCESS_TOKEN)
        assert session.get(url).status_code == 403


TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.lists(TEXT.map(lambda text: quote(text, safe="")), max_size=4),
    query=st.none() | TEXT.map(lambda text: quote(text, safe="=&")),
    content=st.none() | st.binary(max_size=60) | st.just(b"x" * (MAX_BODY + 9)),
    nonce=TEXT,
    now=st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1)),  # noqa: DTZ001 - it becomes UTC
)
def test_signatures_agree_with_those_of_akamais_own_library(
    *, method: str, path: list[str], query: str | None, content: bytes | None, nonce: str, now: dt.datetime
) -> None:
    url = f"https://{HOST}/{'/'.join(path)}" + (f"?{query}" if query else "")
    made = EdgeGrid(CLIENT_TOKEN, SECRET, ACCESS_TOKEN).authorization(
        method, url, content, now=now.replace(tzinfo=dt.UTC), nonce=nonce
    )
    headers = sdk("akamai.edgegrid.edgegrid").EdgeGridAuthHeaders(CLIENT_TOKEN, SECRET, ACCESS_TOKEN)
    request = SimpleNamespace(method=method, url=url, headers={}, body=content)
    assert made == headers.make_auth_header(request, now.strftime("%Y%m%dT%H:%M:%S+0000"), nonce)


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "akamaiapis.net",
        "a.akamaiapis.net.attacker.example",
        "a.akamaiapis.net/",
        "a.akamaiapis.net:8443",
        "attacker.example/a.akamaiapis.net",
        "attacker.example#.akamaiapis.net",
        "user@a.akamaiapis.net",
        "a.akamaiapis.net\n",
        "xakamaiapis.net",
    ],
)
def test_a_host_that_is_not_akamais_is_refused(host: str) -> None:
    with pytest.raises(InvalidServer, match=r"serviceConsumerDomain is not a host below akamaiapis\.net"):
        AkamaiDouble().config(service_consumer_domain=host).build(AkamaiDouble().context())


def test_the_host_may_be_in_capitals() -> None:
    AkamaiDouble().config(service_consumer_domain=HOST.upper()).build(AkamaiDouble().context())


@pytest.mark.parametrize("name", ["client_token", "client_secret", "access_token"])
def test_a_credential_that_cannot_be_one_is_refused_without_being_shown(name: str) -> None:
    config = AkamaiDouble().config(**{name: Credential("to ken", "the entry x of Secret shop/dns")})
    with pytest.raises(InvalidCredential, match=rf"the {name.replace('_', ' ')} in the entry x") as caught:
        config.build(AkamaiDouble().context())
    assert "to ken" not in str(caught.value)
    assert "to ken" not in repr(config)
