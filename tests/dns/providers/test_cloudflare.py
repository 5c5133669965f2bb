"""Cloudflare, against a double that is as strict as the API v4, which the vendor's own SDK works on as well."""

from __future__ import annotations

import itertools
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import cloudflare
import httpx
import pytest

from certwright.dns import InvalidCredential, ProviderRefused, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.cloudflare import CloudflareConfig
from certwright.http.message import Headers, Response
from tests.dns.providers.conformance.double import SECRET, Double
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider

PREFIX = "/client/v4"
MAX_CHANGES = 200
TIME = "2026-01-01T00:00:00Z"


class CloudflareDouble(Double):
    """The API v4: zones, TXT records, batches that are carried out as a whole or not at all."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.credential = headers or {"Authorization": f"Bearer {SECRET}"}
        self.zones: dict[str, dict[str, Any]] = {}
        self.records: dict[str, dict[str, dict[str, Any]]] = {}
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self._ids = (f"{number:032x}" for number in itertools.count(1))

    def provider(self) -> Provider:
        return CloudflareConfig(api_token=Credential(f"\n{SECRET} ")).build(self.context())

    def add_zone(self, name: str, *, private: bool = False, status: str = "active") -> None:
        zone = next(self._ids)
        self.zones[zone] = {
            "id": zone,
            "name": name,
            "status": status,
            "type": "internal" if private else "full",
            "account": {"id": "a", "name": "a"},
            "meta": {},
            "owner": {},
            "plan": {},
            "development_mode": 0,
            "name_servers": [],
            "created_on": TIME,
            "modified_on": TIME,
        }
        self.records[zone] = {}

    def put(self, name: str, value: str) -> None:
        self._create(self._longest(name), {"type": "TXT", "name": name, "content": quoted(value), "ttl": 1})

    def drop(self, name: str, value: str) -> None:
        zone = self._longest(name)
        [found] = [one["id"] for one in self._at(zone, name) if unquoted(one["content"]) == value]
        del self.records[zone][found]

    def values(self, name: str, zone: str | None = None) -> list[str]:
        found = self._longest(name) if zone is None else self._named(zone)
        return sorted(unquoted(one["content"]) for one in self._at(found, name))

    def ttl(self, name: str) -> int:
        (ttl,) = {one["ttl"] for one in self._at(self._longest(name), name)}
        return int(ttl)

    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        assert url.startswith("https://api.cloudflare.com/"), url
        given = {name.lower(): value for name, value in headers.items()}
        assert ("content-type" in given) == (content is not None), "a body has a type"
        assert given.get("content-type", "application/json") == "application/json"
        assert method in ("GET", "POST")
        return all(given.get(name.lower()) == value for name, value in self.credential.items())

    def denial(self) -> Response:
        return failure(HTTPStatus.FORBIDDEN, 9109, "Unauthorized to access requested resource")

    def zone_of(self, path: str) -> str:
        parts = path.removeprefix(f"{PREFIX}/").split("/")
        return str(self.zones[parts[1]]["name"]) if len(parts) > 1 and parts[1] in self.zones else ""

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        assert path.startswith(f"{PREFIX}/"), path
        body = json.loads(content) if content is not None else None
        self.calls.append((method, path, query, body))
        match method, path.removeprefix(f"{PREFIX}/").split("/"):
            case "GET", ["zones"]:
                assert query.keys() <= {"page", "per_page", "status", "name"}, query
                wanted = [zone for zone in self.zones.values() if query.get("status") in (None, zone["status"])]
                return page(wanted, query, most=50, usual=20)
            case "GET", ["zones", zone, "dns_records"]:
                return self._list(zone, query)
            case "POST", ["zones", zone, "dns_records", "batch"]:
                assert not query
                return self._batch(zone, body or {})
        raise AssertionError(f"no such call: {method} {path}")

    def _list(self, zone: str, query: dict[str, str]) -> Response:
        assert query.keys() <= {"page", "per_page", "type", "name.exact"}, query
        if zone not in self.zones:
            return failure(HTTPStatus.NOT_FOUND, 7003, "Could not route")
        found = [
            one
            for one in self.records[zone].values()
            if query.get("type") in (None, one["type"]) and query.get("name.exact") in (None, one["name"])
        ]
        return page(found, query, most=5_000_000, usual=100)

    def _batch(self, zone: str, body: dict[str, Any]) -> Response:
        assert body
        assert body.keys() <= {"deletes", "posts"}, body
        assert 0 < sum(len(part) for part in body.values()) <= MAX_CHANGES
        self.written()
        if zone not in self.zones:
            return failure(HTTPStatus.NOT_FOUND, 7003, "Could not route")
        before = dict(self.records[zone])
        done: dict[str, list[Any]] = {"deletes": [], "patches": [], "puts": [], "posts": []}
        for one in body.get("deletes", ()):
            assert one.keys() == {"id"}
            if one["id"] not in self.records[zone]:
                self.records[zone] = before
                return failure(HTTPStatus.BAD_REQUEST, 81044, "Record does not exist.")
            done["deletes"].append(self.records[zone].pop(one["id"]))
        for one in body.get("posts", ()):
            assert one.keys() == {"type", "name", "content", "ttl"}, one
            assert one["type"] == "TXT"
            assert 60 <= one["ttl"] <= 86400
            assert one["content"].startswith('"'), "Cloudflare warns of content without quotes"
            assert all(len(part) <= 255 for part in one["content"].strip('"').split('" "'))
            if any(same(one, other) for other in self.records[zone].values()):
                self.records[zone] = before
                return failure(HTTPStatus.BAD_REQUEST, 81058, "An identical record already exists.")
            done["posts"].append(self._create(zone, one))
        return success(done)

    def _create(self, zone: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        assert fields["name"] == self.zones[zone]["name"] or fields["name"].endswith(f".{self.zones[zone]['name']}")
        record = {
            "id": next(self._ids),
            **fields,
            "proxiable": False,
            "proxied": False,
            "settings": {},
            "meta": {},
            "comment": None,
            "tags": [],
            "created_on": TIME,
            "modified_on": TIME,
        }
        self.records[zone][record["id"]] = record
        return record

    def _at(self, zone: str, name: str) -> list[dict[str, Any]]:
        return [one for one in self.records[zone].values() if one["name"] == name]

    def _named(self, name: str) -> str:
        return next(zone for zone, its in self.zones.items() if its["name"] == name)

    def _longest(self, name: str) -> str:
        fitting = [its for its in self.zones.values() if name == its["name"] or name.endswith(f".{its['name']}")]
        public = [its for its in fitting if its["type"] != "internal"]
        return str(max(public, key=lambda its: len(its["name"]))["id"])


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("type", "name", "content"))


def page(items: list[Any], query: Mapping[str, str], *, most: int, usual: int) -> Response:
    number, size = int(query.get("page", 1)), int(query.get("per_page", usual))
    assert number >= 1
    assert 5 <= size <= most, "the API refuses such a page"
    part = items[(number - 1) * size : number * size]
    pages = -(-len(items) // size)
    info = {"page": number, "per_page": size, "count": len(part), "total_count": len(items), "total_pages": pages}
    return success(part, info)


def success(result: Any, info: dict[str, int] | None = None) -> Response:
    body = {"success": True, "errors": [], "messages": [], "result": result, **({"result_info": info} if info else {})}
    return Response(200, Headers({"Content-Type": "application/json"}), json.dumps(body).encode())


def failure(status: int, code: int, message: str) -> Response:
    body = {
        "success": False,
        "errors": [{"code": code, "message": f"{message} {SECRET}"}],
        "messages": [],
        "result": None,
    }
    return Response(status, Headers({"Content-Type": "application/json"}), json.dumps(body).encode())


class TestCloudflare(Conformance):
    requests_for_100 = 3
    zones_a_page = 50
    records_a_page = 250
    right = "Zone / DNS / Edit"

    def make_double(self) -> CloudflareDouble:
        return CloudflareDouble()

    async def test_one_name_takes_three_requests_and_its_removal_two(self, api: CloudflareDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        assert api.sent["all"] == 3
        await provider.clean_up(WILD)
        assert api.sent["all"] == 5

    async def test_a_zone_that_is_not_active_is_not_taken(self, api: CloudflareDouble) -> None:
        api.add_zone("new.example.com", status="pending")
        await api.provider().present([TxtRecord("_acme-challenge.new.example.com", "value")])
        assert api.values("_acme-challenge.new.example.com", "example.com") == ["value"]

    async def test_more_than_a_batch_goes_in_several(self, api: CloudflareDouble) -> None:
        provider = api.provider()
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(450)]
        await provider.present(records)
        assert api.sent["write"] == 3
        await provider.clean_up(records)
        assert not any(api.values(record.name) for record in records)

    async def test_what_vanishes_from_the_answers_breaks_nothing(self, api: CloudflareDouble) -> None:
        for number in range(60):
            api.add_zone(f"a{number}.example")
        api.add_zone("zz.example")
        for number in range(300):
            api.put(f"a{number:03}.zz.example", "foreign")
        answer, kept = api.answer, {"id", "type", "name", "content", "status"}

        def bare(*request: Any) -> Response:
            found = json.loads(answer(*request).body)
            if isinstance(found["result"], list):
                found["result"] = [{key: one[key] for key in kept & one.keys()} for one in found["result"]]
            return Response(200, body=json.dumps({"success": found["success"], "result": found["result"]}).encode())

        api.answer = bare  # type: ignore[method-assign, assignment]
        records = [TxtRecord(f"_acme-challenge.{letter}.zz.example", letter) for letter in "abcdefgh"]
        provider = api.provider()
        for _ in range(2):
            await provider.present(records)
            assert all(api.values(one.name) == [one.value] for one in records)
        await provider.clean_up(records)
        assert not any(api.values(one.name) for one in records)

    async def test_a_zone_that_vanished_is_told(self, api: CloudflareDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404, 7003.*the zone example\.com is gone") as caught:
            await provider.clean_up(WILD)
        assert (caught.value.code, caught.value.names) == ("7003", (NAME,))


async def test_the_global_key_is_sent_with_the_email_address() -> None:
    api = CloudflareDouble({"X-Auth-Email": "a@example.com", "X-Auth-Key": SECRET})
    api.add_zone("example.com")
    await CloudflareConfig(email="a@example.com", api_key=Credential(SECRET)).build(api.context()).present(WILD)
    assert len(api.values(NAME)) == 2


@pytest.mark.parametrize("value", ["", " \n", "to ken", "tok\nen", "t\u00f6ken", "\x00"])
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(value: str) -> None:
    config = CloudflareConfig(api_token=Credential(value, "the entry token of Secret shop/dns"))
    with pytest.raises(InvalidCredential, match="the API token in the entry token of Secret shop/dns") as caught:
        config.build(CloudflareDouble().context())
    assert not value.strip() or value not in str(caught.value)


class TestSdk:
    """The vendor's SDK does on the double what the provider does, with the same requests."""

    CHANGES: ClassVar[dict[str, list[dict[str, Any]]]] = {
        "posts": [
            {"type": "TXT", "name": record.name, "content": quoted(record.value), "ttl": 60} for record in sorted(WILD)
        ]
    }

    def client(self, api: CloudflareDouble) -> cloudflare.Cloudflare:
        def handle(request: httpx.Request) -> httpx.Response:
            url = httpx.URL(request.url)
            assert api.check_credential(request.method, str(url), request.headers, request.content or None)
            found = api.answer(request.method, url.path, dict(url.params), request.content or None)
            return httpx.Response(found.status, headers=dict(found.headers), content=found.body)

        transport = httpx.Client(transport=httpx.MockTransport(handle))
        return cloudflare.Cloudflare(api_token=SECRET, http_client=transport, max_retries=0)

    async def test_it_works_on_the_double_and_sends_what_the_provider_sends(self) -> None:
        ours, theirs = CloudflareDouble(), CloudflareDouble()
        for double in (ours, theirs):
            double.add_zone("example.com")
        await ours.provider().present(WILD)
        client = self.client(theirs)
        [zone] = client.zones.list(status="active", page=1, per_page=50).result
        there = client.dns.records.list(zone_id=zone.id, type="TXT", name={"exact": NAME}, page=1, per_page=250)
        assert not there.result
        made = client.dns.records.batch(zone_id=zone.id, **self.CHANGES)  # type: ignore[arg-type]  # checked by the double
        assert made is not None
        assert made.posts is not None
        assert [(one.name, unquoted(one.content or "")) for one in made.posts] == [
            (one.name, one.value) for one in WILD
        ]
        assert theirs.calls == ours.calls
        assert theirs.values(NAME) == ours.values(NAME)

    def test_it_sees_every_page_and_every_refusal(self) -> None:
        api = CloudflareDouble()
        for number in range(60):
            api.add_zone(f"zone{number}.example")
        client = self.client(api)
        assert len(list(client.zones.list(per_page=50))) == 60
        api.put("_acme-challenge.zone1.example", "value")
        zone = next(one for one in api.zones if api.zones[one]["name"] == "zone1.example")
        [record] = client.dns.records.list(zone_id=zone, type="TXT")
        with pytest.raises(cloudflare.BadRequestError, match="81058"):
            client.dns.records.batch(
                zone_id=zone,
                posts=[{"type": "TXT", "name": record.name, "content": str(record.content), "ttl": 60}],
            )
        client.dns.records.batch(zone_id=zone, deletes=[{"id": record.id}])
        with pytest.raises(cloudflare.BadRequestError, match="81044"):
            client.dns.records.batch(zone_id=zone, deletes=[{"id": record.id}])
