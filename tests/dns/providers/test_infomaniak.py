"""Infomaniak, against a double that is as strict as the API v2, which another client works on as well."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from certwright.dns import ProviderRefused, ProviderUnreachable, TxtRecord, ZoneNotFound
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.infomaniak import InfomaniakConfig
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered, numbered
from tests.dns.providers.conformance.sdk import mount, sdk
from tests.dns.providers.conformance.suite import NAME, OURS, WILD, Conformance

if TYPE_CHECKING:
    from certwright.dns import Provider
    from certwright.http.message import Response

STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"(?: "(?:[^"\\]|\\.)*")*')


class InfomaniakDouble(RecordsDouble):
    """The API v2: zones that are asked for by name, and their records; 60 requests in a minute.

    Attributes:
        with_200: Whether errors come with HTTP 200.
    """

    url = "https://api.infomaniak.com"
    prefix = "/2"

    def __init__(self) -> None:
        super().__init__()
        self.with_200 = False
        self.requested_at: list[float] = []
        self._sleeping: list[float] = []

    def provider(self) -> Provider:
        return InfomaniakConfig(token=Credential(f"\n{SECRET} ")).build(self.context())

    def written_as(self, value: str) -> str:
        return quoted(value)

    def read_as(self, value: str) -> str:
        return unquoted(value)

    def denial(self) -> Response:
        return self.failure(401, "not_authorized")

    def failure(self, status: int, code: str) -> Response:
        error = {"code": code, "description": SECRET}
        return answered(200 if self.with_200 else status, {"result": "error", "error": error})

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, path:
            case "GET", ["zones", name, "exists"]:
                assert "." in name, f"{name} is nobody's zone"
                assert query == {}
                return success(200, data=True) if name in self.zones.values() else self.failure(404, "object_not_found")
            case _, ["zones", name, "records", *rest] if name in self.zones.values():
                return self._records(method, self.named(name), rest, query, body)
            case _, ["zones", _, "records", *_]:
                return self.failure(404, "zone_does_not_exists")
        raise AssertionError(f"no such call: {method} {path}")

    def _records(self, method: str, zone: str, rest: list[str], query: dict[str, str], body: Any) -> Response:
        match method, rest:
            case "GET", []:
                assert query.keys() <= {"filter[types][]", "filter[source]", "page", "per_page"}, query
                kind, source = query.get("filter[types][]"), query.get("filter[source]")
                every = [self._shown(zone, one) for one in self.records[zone].values()]
                found = [one for one in every if kind in (None, one["type"]) and source in (None, one["source"])]
                return page(found, query)
            case "POST", []:
                return self._create(zone, body)
            case "DELETE", [record]:
                self.written()
                if self.records[zone].pop(record, None) is None:
                    return self.failure(404, "object_not_found")
                return success(200, data=True)
        raise AssertionError(f"no such call: {method} {rest}")

    def _create(self, zone: str, body: dict[str, Any]) -> Response:
        assert body.keys() == {"type", "source", "target", "ttl"}, body
        assert body["type"] == "TXT"
        assert 60 <= body["ttl"] <= 86400
        value = body["target"] if body["target"].startswith('"') else quoted(body["target"])
        assert STRINGS.fullmatch(value), value
        assert all(len(unquoted(part)) <= 255 for part in re.findall(r'"(?:[^"\\]|\\.)*"', value))
        self.written()
        name = self.zones[zone] if body["source"] == "." else self.absolute(zone, body["source"], "@")
        if value in [one.value for one in self._at(zone, name)]:
            return self.failure(400, "dns_record_already_exists")
        return success(201, data=self._shown(zone, self.create(zone, "TXT", name, value, body["ttl"])))

    def _shown(self, zone: str, record: Record) -> dict[str, Any]:
        return {
            "id": int(record.id),
            "source": self.relative(zone, record, "."),
            "type": record.type,
            "ttl": record.ttl,
            "target": record.value,
            "updated_at": 1779826643,
        }

    async def _sleep(self, seconds: float) -> None:
        # Those whose time comes first go first: at how many requests come in a minute is looked.
        until = self.now + seconds
        self._sleeping.append(until)
        await asyncio.sleep(0)
        while min(self._sleeping) < until:  # noqa: ASYNC110 - the time is a number
            await asyncio.sleep(0)
        self._sleeping.remove(until)
        self.now = max(self.now, until)

    async def request(self, method: str, url: str, **more: Any) -> Response:
        self.requested_at.append(self.now)
        recent = [at for at in self.requested_at[-61:] if at > self.now - 60]
        assert len(recent) <= 60, "the API allows 60 requests in a minute"
        return await super().request(method, url, **more)


def success(status: int, **fields: Any) -> Response:
    return answered(status, {"result": "success", **fields})


def page(items: list[Any], query: dict[str, str]) -> Response:
    number, size = query.get("page", "1"), query.get("per_page", "15")
    part, pages = numbered(items, number, size, most=100)
    counts = {"total": len(items), "page": int(number), "pages": pages, "items_per_page": int(size)}
    return success(200, data=part, **counts)


class TestInfomaniak(Conformance):
    requests_for_100 = 303
    zones_a_page = 3
    records_a_page = 100
    lists_zones = False
    right = "dns:write"

    def make_double(self) -> InfomaniakDouble:
        return InfomaniakDouble()

    async def test_another_client_works_on_the_double_and_writes_what_the_provider_writes(
        self, api: InfomaniakDouble
    ) -> None:
        octodns, zones = sdk("octodns_infomaniak").InfomaniakProvider("infomaniak", SECRET), sdk("octodns.zone")
        mount(octodns._client._session, api)
        octodns._client._session.headers.update({"Accept": "application/json"})
        desired, empty = zones.Zone("example.com.", []), zones.Zone("example.com.", [])
        values = {"type": "TXT", "ttl": 60, "values": sorted(one.value for one in WILD)}
        desired.add_record(sdk("octodns.record").Record.new(desired, "_acme-challenge", values))
        octodns.apply(octodns.plan(desired))
        assert api.values(NAME) == values["values"]
        octodns.apply(octodns.plan(empty))
        assert api.values(NAME) == []
        by_octodns, before = comparable(api.writes), len(api.writes)
        assert len(by_octodns) == 4
        provider = api.provider()
        await provider.present(WILD)
        await provider.clean_up(WILD)
        assert comparable(api.writes[before:]) == by_octodns

    async def test_a_zone_is_asked_for_once_and_names_below_it_are_known_for_a_while(
        self, api: InfomaniakDouble
    ) -> None:
        provider = api.provider()
        await provider.present(WILD)
        asked = [path for _, path, _, _ in api.calls if path.endswith("/exists")]
        assert asked == ["/2/zones/example.com/exists", f"/2/zones/{NAME}/exists"]
        api.now += 200
        await provider.clean_up(WILD)
        assert [path for _, path, _, _ in api.calls if path.endswith("/exists")] == asked

    async def test_the_zone_that_the_solver_names_takes_one_question_for_all_names(self, api: InfomaniakDouble) -> None:
        records = [TxtRecord(f"_acme-challenge.w{i}.example.com", "value", zone="example.com") for i in range(40)]
        await api.provider().present(records)
        assert [path for _, path, _, _ in api.calls if path.endswith("/exists")] == ["/2/zones/example.com/exists"]

    async def test_whoever_is_interrupted_goes_on_where_it_was(self, api: InfomaniakDouble) -> None:
        records = [TxtRecord(f"_acme-challenge.w{i}.example.com", "value") for i in range(100)]
        provider = api.provider()
        interruptions = 0
        presenting = asyncio.create_task(provider.present(records))
        while not presenting.done():
            until = api.now + 120
            while api.now < until and not presenting.done():  # noqa: ASYNC110 - the time is a number
                await asyncio.sleep(0)
            if not presenting.done():
                interruptions += 1
                presenting.cancel()
                await asyncio.wait([presenting])
                presenting = asyncio.create_task(provider.present(records))
        await presenting
        assert all(api.values(record.name) == ["value"] for record in records)
        assert interruptions >= 2
        assert api.sent["all"] <= self.requests_for_100 + 2 * interruptions

    async def test_an_error_with_http_200_is_one(self, api: InfomaniakDouble) -> None:
        api.with_200 = True
        provider = api.provider()
        await provider.present([OURS])
        assert api.values(NAME) == [OURS.value]
        with pytest.raises(ZoneNotFound):
            await provider.present([TxtRecord("_acme-challenge.other.example", "value")])
        api.denied = True
        with pytest.raises(ProviderRefused, match=r"HTTP 200, not_authorized\): the API token needs the scopes"):
            await provider.clean_up([OURS])

    async def test_a_record_that_others_deleted_meanwhile_is_gone(self, api: InfomaniakDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.before_write = lambda: api.drop(NAME, OURS.value)
        await provider.clean_up(WILD)
        assert api.values(NAME) == []

    async def test_a_failure_in_the_middle_tells_those_that_are_not_there_and_keeps_the_others(
        self, api: InfomaniakDouble
    ) -> None:
        records = [TxtRecord(f"_acme-challenge.w{i}.example.com", "value", zone="example.com") for i in range(20)]
        provider = api.provider()
        api.fail_at = 12
        with pytest.raises(ProviderUnreachable) as caught:
            await provider.present(records)
        there = {record.name for record in records if api.values(record.name)}
        assert there
        assert {*caught.value.names} == {record.name for record in records} - there
        await provider.present(records)
        assert all(api.values(record.name) == ["value"] for record in records)

    async def test_a_zone_that_vanished_is_told(self, api: InfomaniakDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404, zone_does_not_exists.*example\.com is gone"):
            await provider.clean_up(WILD)

    async def test_a_ttl_below_the_apis_least_becomes_that(self, api: InfomaniakDouble) -> None:
        await api.provider().present([TxtRecord(NAME, "value", ttl=1)])
        assert api.ttl(NAME) == 60


def comparable(writes: list[tuple[str, str, Any]]) -> list[tuple[str, str, Any]]:
    """Leave out the IDs that the double gave, and the quotes around a text, which the API adds itself."""
    return sorted(
        (method, re.sub(r"/[0-9]+$", "/ID", path), sorted((body | {"target": unquoted(body["target"])}).items()))
        if body
        else (method, re.sub(r"/[0-9]+$", "/ID", path), [])
        for method, path, body in writes
    )
