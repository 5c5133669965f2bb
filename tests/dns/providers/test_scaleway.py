"""Scaleway, against a double that is as strict as the API v2beta1, which another client works on as well."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import ValidationError

from certwright.dns import ProviderRefused, ProviderUnreachable, TxtRecord, ZoneNotFound
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.scaleway import ScalewayConfig
from certwright.resources import Dns01
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered, numbered
from tests.dns.providers.conformance.suite import NAME, OURS, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider
    from certwright.http.message import Response

STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"(?: "(?:[^"\\]|\\.)*")*')
PROJECT, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


class ScalewayDouble(RecordsDouble):
    """The API v2beta1: zones in two parts, records that a list of changes adds and deletes.

    Attributes:
        projects: The Project of each zone, by the zone's ID.
        busy: How many changes are refused because the zone is being changed.
        largest: The largest page that it gives, whatever was asked for.
        whole: Whether nothing of a refused request is carried out; what the API does is not documented.
    """

    url = "https://api.scaleway.com"
    prefix = "/domain/v2beta1"
    credential: ClassVar[Mapping[str, str]] = {"X-Auth-Token": SECRET}

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, str] = {}
        self.busy = 0
        self.largest = 100
        self.whole = True
        self.done: list[tuple[str, str, Any]] = []

    def provider(self, project: str | None = None) -> Provider:
        return ScalewayConfig(Credential(f"\n{SECRET} "), project_id=project).build(self.context())

    def add_zone(self, name: str, *, private: bool = False, project: str = PROJECT) -> None:
        super().add_zone(name, private=private)
        if not private:
            self.projects[self.named(name)] = project

    def written_as(self, value: str) -> str:
        return quoted(value)

    def read_as(self, value: str) -> str:
        return unquoted(value)

    def denial(self) -> Response:
        details = [{"resource": "domain_dns", "action": "write"}]
        return refusal(403, "permissions_denied", details=details)

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        """What was changed: clients may put more or less of it in one request, and write names in full or not."""
        return self.done

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, path:
            case "GET", ["dns-zones"]:
                assert query.keys() <= {"page", "page_size", "project_id"}, query
                zones = [zone for zone in self.zones if query.get("project_id") in (None, self.projects[zone])]
                return self._page("dns_zones", [self._zone(zone) for zone in zones], query)
            case _, ["dns-zones", name, "records"] if name in self.zones.values():
                return self._records(method, self.named(name), query, body)
            case "PATCH", ["dns-zones", name, "records"]:
                assert body.get("disallow_new_zone_creation") is True, f"the zone {name} would be created"
                return refusal(403, None, "domain not found")
            case "GET", ["dns-zones", _, "records"]:
                return refusal(403, None, "domain not found")
        raise AssertionError(f"no such call: {method} {path}")

    def _records(self, method: str, zone: str, query: dict[str, str], body: Any) -> Response:
        if method == "GET":
            assert query.keys() <= {"page", "page_size", "name", "type"}, query
            name, kind = query.get("name", ""), query.get("type")
            every = [self._shown(zone, one) for one in self.records[zone].values()]
            found = [one for one in every if name in ("", one["name"]) and kind in (None, one["type"])]
            return self._page("records", found, query)
        assert (method, query) == ("PATCH", {})
        assert body.keys() <= {"changes", "return_all_records", "disallow_new_zone_creation", "serial"}, body
        self.written()
        if self.busy:
            self.busy -= 1
            return refusal(409, "transient_state", resource="dns_zone", current_state="pending")
        return self._change(zone, body["changes"])

    def _change(self, zone: str, changes: list[Any]) -> Response:
        assert changes, "a request without changes"
        before, added, done = dict(self.records[zone]), [], []
        for change in changes:
            ((act, what),) = change.items()
            assert act in ("add", "delete"), f"{act} would change what others wrote"
            if act == "delete":
                assert what.keys() == {"id"}
                gone = self.records[zone].pop(what["id"], None)
                if gone is None:
                    self.records[zone] = before if self.whole else self.records[zone]
                    return refusal(404, "not_found", resource="record", resource_id=what["id"])
                done.append(("delete", gone.name, unquoted(gone.value)))
                continue
            assert what.keys() == {"records"}
            assert what["records"]
            for one in what["records"]:
                made = self._add(zone, one)
                if made is None:
                    self.records[zone] = before if self.whole else self.records[zone]
                    return refusal(400, "invalid_arguments", details=[{"argument_name": "records"}])
                added.append(self._shown(zone, made))
                done.append(("add", made.name, unquoted(made.value)))
        self.done += done
        return answered(200, {"records": added})

    def _add(self, zone: str, one: dict[str, Any]) -> Record | None:
        assert one.keys() == {"name", "type", "data", "ttl"}, one
        assert one["type"] == "TXT"
        assert 60 <= one["ttl"] <= 2592000
        full = one["name"] == self.zones[zone] or one["name"].endswith(f".{self.zones[zone]}")
        name = one["name"] if full else self.absolute(zone, one["name"] or "@", "@")
        value = one["data"] if one["data"].startswith('"') else quoted(one["data"])
        assert STRINGS.fullmatch(value), value
        assert all(len(unquoted(part)) <= 255 for part in re.findall(r'"(?:[^"\\]|\\.)*"', value))
        if self.refuses_twins and value in [there.value for there in self._at(zone, name)]:
            return None
        return self.create(zone, "TXT", name, value, one["ttl"])

    def _zone(self, zone: str) -> dict[str, Any]:
        labels = self.zones[zone].split(".")
        servers = ["ns0.dom.scw.cloud", "ns1.dom.scw.cloud"]
        return {
            "domain": ".".join(labels[-2:]),
            "subdomain": ".".join(labels[:-2]),
            "ns": servers,
            "ns_default": servers,
            "ns_master": [],
            "status": "active",
            "message": None,
            "updated_at": "2026-03-20T10:28:40Z",
            "project_id": self.projects[zone],
            "linked_products": [],
        }

    def _shown(self, zone: str, record: Record) -> dict[str, Any]:
        return {
            "comment": None,
            "data": record.value,
            "id": record.id,
            "name": self.relative(zone, record, ""),
            "priority": 0,
            "ttl": record.ttl,
            "type": record.type,
            "updated_at": "2026-03-20T10:28:40Z",
        }

    def _page(self, key: str, items: list[Any], query: dict[str, str]) -> Response:
        size = int(query.get("page_size", "20"))
        assert 1 <= size <= 100
        part, _ = numbered(items, query.get("page", "1"), str(min(size, self.largest)), most=100)
        return answered(200, {key: part, "total_count": len(items)})


def refusal(status: int, kind: str | None, message: str = SECRET, **more: Any) -> Response:
    return answered(status, {"message": message, **({"type": kind} if kind else {}), **more})


class TestScaleway(Conformance, AgreesWithLexicon):
    requests_for_100 = 3
    zones_a_page = 100
    records_a_page = 100
    right = "DomainsDNSFullAccess"
    lexicon = "scaleway"
    options: ClassVar = {"auth_secret_key": SECRET}

    def make_double(self) -> ScalewayDouble:
        return ScalewayDouble()

    async def test_no_request_can_create_a_zone(self, api: ScalewayDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        await provider.clean_up(WILD)
        bodies = [body for method, _, _, body in api.calls if method == "PATCH"]
        assert len(bodies) == 2
        assert all(body["disallow_new_zone_creation"] is True for body in bodies)

    async def test_a_zone_that_vanished_is_told_and_not_created(self, api: ScalewayDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 403\).*DomainsDNSFullAccess.*for example\.com"):
            await provider.clean_up(WILD)
        assert api.zones == {}

    async def test_what_is_added_and_what_is_removed_go_in_one_request(self, api: ScalewayDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        writes = api.sent["write"]
        others = [TxtRecord(f"_acme-challenge.w{number}.example.com", "value") for number in range(60)]
        await asyncio.gather(provider.present(others), provider.clean_up(WILD))
        assert api.sent["write"] == writes + 1
        assert (api.values(NAME), api.values(others[-1].name)) == ([], ["value"])

    async def test_more_than_a_request_takes_are_several_and_a_failure_tells_what_is_missing(
        self, api: ScalewayDouble
    ) -> None:
        records = [TxtRecord(f"_acme-challenge.w{number:03}.example.com", "value") for number in range(250)]
        provider = api.provider()
        api.fail_at = 4
        with pytest.raises(ProviderUnreachable) as caught:
            await provider.present(records)
        there = {record.name for record in records if api.values(record.name)}
        assert len(there) == 100
        assert {*caught.value.names} == {record.name for record in records} - there
        await provider.present(records)
        assert api.sent["write"] == 3, "what was made is not made again"
        assert all(api.values(record.name) == ["value"] for record in records)

    async def test_a_zone_that_is_being_changed_is_tried_again(self, api: ScalewayDouble) -> None:
        provider = api.provider()
        api.busy = 3
        await provider.present(WILD)
        assert len(api.values(NAME)) == 2
        api.busy = 9
        with pytest.raises(ProviderRefused, match=r"refused a change of the zone example\.com 5 times"):
            await provider.clean_up(WILD)

    async def test_a_record_that_others_deleted_meanwhile_does_not_keep_the_rest_from_its_change(
        self, api: ScalewayDouble
    ) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.before_write = lambda: api.drop(NAME, OURS.value)
        await provider.clean_up(WILD)
        assert api.values(NAME) == []

    @pytest.mark.parametrize("whole", [True, False])
    async def test_a_refused_request_is_made_to_its_end_whatever_was_carried_out_of_it(
        self, api: ScalewayDouble, *, whole: bool
    ) -> None:
        api.whole = whole
        provider = api.provider()
        api.before_write = lambda: api.put(NAME, WILD[1].value)
        await provider.present(WILD)
        assert api.values(NAME) == sorted(one.value for one in WILD)
        api.before_write = lambda: api.drop(NAME, WILD[1].value)
        await provider.clean_up(WILD)
        assert api.values(NAME) == []

    async def test_a_value_that_stands_twice_is_removed_twice(self, api: ScalewayDouble) -> None:
        api.refuses_twins = False
        provider = api.provider()
        api.before_write = lambda: api.put(NAME, OURS.value)
        await provider.present([OURS])
        assert api.values(NAME) == [OURS.value, OURS.value]
        await provider.clean_up([OURS])
        assert api.values(NAME) == []

    async def test_a_few_names_are_asked_for_by_name(self, api: ScalewayDouble) -> None:
        await api.provider().present(WILD)
        asked = [query for method, path, query, _ in api.calls if method == "GET" and path.endswith("/records")]
        assert asked == [{"type": "TXT", "name": "_acme-challenge", "page": "1", "page_size": "100"}]

    async def test_only_zones_of_the_project_are_used(self, api: ScalewayDouble) -> None:
        api.add_zone("other.example", project=OTHER)
        record = TxtRecord("_acme-challenge.other.example", "value")
        with pytest.raises(ZoneNotFound, match="projectID names"):
            await api.provider(PROJECT).present([record])
        await api.provider(OTHER).present([record])
        assert api.values(record.name) == ["value"]
        assert {query.get("project_id") for _, path, query, _ in api.calls if path.endswith("/dns-zones")} == {
            PROJECT,
            OTHER,
        }

    async def test_pages_that_are_smaller_than_asked_for_are_read_to_the_end(self, api: ScalewayDouble) -> None:
        api.largest = 7
        for number in range(30):
            api.put(f"w{number}.example.com", "foreign")
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(30)]
        await api.provider().present(records)
        await api.provider().clean_up(records)
        assert all(api.values(record.name) == ["foreign"] for record in records)

    async def test_a_record_at_the_name_of_the_zone_itself(self, api: ScalewayDouble) -> None:
        provider = api.provider()
        api.put("example.com", "v=spf1 -all")
        api.put(NAME, "value")
        await provider.present([TxtRecord("example.com", "value")])
        assert api.values("example.com") == ["v=spf1 -all", "value"]
        await provider.clean_up([TxtRecord("example.com", "value")])
        assert (api.values("example.com"), api.values(NAME)) == (["v=spf1 -all"], ["value"])

    async def test_a_ttl_below_the_apis_least_becomes_that(self, api: ScalewayDouble) -> None:
        await api.provider().present([TxtRecord(NAME, "value", ttl=1)])
        assert api.ttl(NAME) == 60


def test_a_project_is_named_by_its_id() -> None:
    spec = {"secretKeySecretRef": {"name": "scaleway", "key": "secretKey"}, "projectID": "default"}
    with pytest.raises(ValidationError, match="is not the ID of a Project"):
        Dns01.model_validate({"scaleway": spec})
