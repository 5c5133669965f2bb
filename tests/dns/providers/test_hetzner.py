"""Hetzner, against a double that is as strict as the Cloud API v1, which another client works on as well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from certwright.dns import ProviderRefused, ProviderUnreachable, TxtRecord, ZoneNotFound
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.provider import ChangeTracker
from certwright.dns.providers.hetzner import HetznerConfig
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered, numbered
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from certwright.dns import Provider
    from certwright.http.message import Response

STRINGS = re.compile(r'"(?:[^"\\]|\\.){0,510}"(?: "(?:[^"\\]|\\.){0,510}")*')


class HetznerDouble(RecordsDouble):
    """The Cloud API v1: zones, and sets to which values are added.

    Attributes:
        secondary: The IDs of zones that are written elsewhere.
        locked: How many changes are refused because another action of the zone is running.
        status: Of new actions.
        actions: The status of each action, by its ID.
        refused: A value that it refuses.
    """

    url = "https://api.hetzner.cloud"
    prefix = "/v1"

    def __init__(self) -> None:
        super().__init__()
        self.secondary: set[str] = set()
        self.locked = 0
        self.status = "success"
        self.actions: dict[str, str] = {}
        self.refused = ""

    def provider(self) -> Provider:
        return HetznerConfig(token=Credential(f"\n{SECRET} ")).build(self.context())

    def add_zone(self, name: str, *, private: bool = False) -> None:
        super().add_zone(name)
        if private:
            self.secondary.add(self.named(name))

    def written_as(self, value: str) -> str:
        return quoted(value)

    def read_as(self, value: str) -> str:
        return unquoted(value)

    def denial(self) -> Response:
        return failure(403, "token_readonly")

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, path:
            case "GET", ["zones"]:
                assert query.keys() <= {"page", "per_page", "name", "mode"}, query
                return self._page("zones", [self._zone(zone) for zone in self.zones], query)
            case "GET", ["zones", "actions", action] if action in self.actions:
                return answered(200, {"action": self._action(action)})
            case "GET", ["zones", name] if name in self.zones.values():
                return answered(200, {"zone": self._zone(self.named(name))})
            case "GET", ["zones", zone, "rrsets"] if zone in self.zones:
                assert query.keys() <= {"page", "per_page", "name", "type"}, query
                every = [self._set(zone, name, its) for name, its in self._sets(zone).items()]
                found = [
                    one
                    for one in every
                    if query.get("name") in (None, one["name"]) and query.get("type") in (None, one["type"])
                ]
                return self._page("rrsets", found, query)
            case "POST", ["zones", zone, "rrsets", name, "TXT", "actions", action] if zone in self.zones:
                return self._change(zone, self.absolute(zone, name, "@"), action, body)
        return failure(404, "not_found")

    def _change(self, zone: str, name: str, action: str, body: Any) -> Response:
        assert zone not in self.secondary
        assert name == name.lower()
        assert body["records"], "an empty list is refused"
        assert all(one.keys() == {"value"} and STRINGS.fullmatch(one["value"]) for one in body["records"]), body
        assert all(
            len(unquoted(part)) <= 255
            for one in body["records"]
            for part in re.findall(r'"(?:[^"\\]|\\.)*"', one["value"])
        )
        self.written()
        if self.locked:
            self.locked -= 1
            return failure(423, "locked")
        there = {one.value: one for one in self._at(zone, name)}
        values = [one["value"] for one in body["records"]]
        assert len({*values}) == len(values)
        if action == "add_records":
            assert body.keys() <= {"records", "ttl"}
            ttl = body.get("ttl", next((one.ttl for one in there.values()), 3600))
            assert 60 <= ttl <= 2147483647
            if any(value in there or value == quoted(self.refused) for value in values):
                return failure(422, "invalid_input")
            if any(one.ttl != ttl for one in there.values()):
                return failure(422, "invalid_input")
            for value in values:
                self.create(zone, "TXT", name, value, ttl)
        else:
            assert (action, body.keys()) == ("remove_records", {"records"})
            if not there:
                return failure(404, "not_found")
            if any(value not in there for value in values):
                return failure(422, "invalid_input")
            for value in values:
                del self.records[zone][there[value].id]
        self.actions[made := next(self._ids)] = self.status
        return answered(201, {"action": self._action(made)})

    def _action(self, action: str) -> dict[str, Any]:
        status = self.actions[action]
        error = {"code": "action_failed", "message": SECRET} if status == "error" else None
        return {"id": int(action), "command": "add_rrset_records", "status": status, "progress": 50, "error": error}

    def _zone(self, zone: str) -> dict[str, Any]:
        mode = "secondary" if zone in self.secondary else "primary"
        return {"id": int(zone), "name": self.zones[zone], "mode": mode, "ttl": 3600, "status": "ok"}

    def _sets(self, zone: str) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for one in self.records[zone].values():
            found.setdefault(self.relative(zone, one, "@"), []).append(one)
        return found

    def _set(self, zone: str, name: str, records: list[Record]) -> dict[str, Any]:
        return {
            "id": f"{name}/TXT",
            "name": name,
            "type": "TXT",
            "ttl": records[0].ttl,
            "labels": {},
            "protection": {"change": False},
            "records": [{"value": one.value, "comment": ""} for one in records],
            "zone": int(zone),
        }

    def _page(self, key: str, items: list[Any], query: dict[str, str]) -> Response:
        number, size = query.get("page", "1"), query.get("per_page", "25")
        part, pages = numbered(items, number, size, most=50)
        page = int(number)
        pagination = {
            "page": page,
            "per_page": int(size),
            "previous_page": page - 1 or None,
            "next_page": page + 1 if page < pages else None,
            "last_page": pages,
            "total_entries": len(items),
        }
        return answered(200, {key: part, "meta": {"pagination": pagination}})


def failure(status: int, code: str) -> Response:
    return answered(status, {"error": {"code": code, "message": SECRET, "details": {}}})


class TestHetzner(Conformance, AgreesWithLexicon):
    requests_for_100 = 102
    zones_a_page = 50
    records_a_page = 50
    right = "Read & Write"
    lexicon = "hetzner"
    options: ClassVar = {"auth_token": SECRET}

    def make_double(self) -> HetznerDouble:
        return HetznerDouble()

    async def test_what_is_still_running_is_asked_for_and_not_waited_for(self, api: HetznerDouble) -> None:
        api.status = "running"
        provider = api.provider()
        assert isinstance(provider, ChangeTracker)
        await provider.present(WILD)
        asked = api.sent["all"]
        assert {*await provider.pending(WILD)} == {*WILD}
        assert api.sent["all"] == asked, "not right after the change"
        api.now += 10
        assert {*(await provider.pending(WILD)).values()} == {"Hetzner is still publishing the change (running)"}
        assert api.sent["all"] == asked + 1, "both values are one action"
        [action] = api.actions
        api.actions[action] = "error"
        api.now += 10
        assert {*(await provider.pending(WILD)).values()} == {
            "Hetzner failed to publish the change (error, action_failed)"
        }
        api.actions[action] = "success"
        api.now += 10
        assert await provider.pending(WILD) == {}

    async def test_an_action_that_the_api_has_forgotten_is_left_to_the_dns(self, api: HetznerDouble) -> None:
        api.status = "running"
        provider = api.provider()
        assert isinstance(provider, ChangeTracker)
        await provider.present(WILD)
        api.actions.clear()
        api.now += 10
        assert await provider.pending(WILD) == {}

    async def test_an_action_that_failed_at_once_is_told_with_its_code(self, api: HetznerDouble) -> None:
        api.status = "error"
        with pytest.raises(ProviderRefused, match=r"failed to make it \(action_failed\)") as caught:
            await api.provider().present(WILD)
        assert caught.value.names == (NAME,)
        assert SECRET not in str(caught.value)

    async def test_a_zone_that_another_action_locks_is_tried_again(self, api: HetznerDouble) -> None:
        provider = api.provider()
        api.locked = 3
        await provider.present(WILD)
        api.locked = 9
        with pytest.raises(ProviderRefused, match=r"refused a change of the zone example\.com 5 times"):
            await provider.clean_up(WILD)
        api.locked = 0
        await provider.clean_up(WILD)
        assert api.values(NAME) == []

    async def test_a_value_that_is_refused_is_told_with_the_apis_code_after_one_attempt(
        self, api: HetznerDouble
    ) -> None:
        api.refused = "bad"
        with pytest.raises(ProviderRefused, match="HTTP 422, invalid_input"):
            await api.provider().present([TxtRecord(NAME, "bad")])
        assert api.sent["write"] == 1

    async def test_the_ttl_of_a_set_of_others_stays(self, api: HetznerDouble) -> None:
        api.put(NAME, "foreign")
        await api.provider().present([TxtRecord(NAME, "value", ttl=90)])
        assert api.ttl(NAME) == 1800

    async def test_a_ttl_below_the_apis_least_becomes_that(self, api: HetznerDouble) -> None:
        await api.provider().present([TxtRecord(NAME, "value", ttl=1)])
        assert api.ttl(NAME) == 60

    async def test_a_value_that_others_wrote_in_several_strings_is_removed_as_it_is_written(
        self, api: HetznerDouble
    ) -> None:
        api.create(api.named("example.com"), "TXT", NAME, '"value-of-" "the-apex"', 1800)
        provider = api.provider()
        await provider.clean_up(WILD[:1])
        assert api.values(NAME) == []

    async def test_a_failure_in_the_middle_tells_those_that_are_not_there_and_keeps_the_others(
        self, api: HetznerDouble
    ) -> None:
        records = [TxtRecord(f"_acme-challenge.w{number:02}.example.com", "value") for number in range(20)]
        provider = api.provider()
        api.fail_at = 12
        with pytest.raises(ProviderUnreachable) as caught:
            await provider.present(records)
        there = {record.name for record in records if api.values(record.name)}
        assert len(there) == 9
        assert {*caught.value.names} == {record.name for record in records} - there
        writes = api.sent["write"]
        await provider.present(records)
        assert api.sent["write"] - writes == 11, "what was made is not made again"

    async def test_other_programs_of_the_project_keep_a_part_of_its_requests(self, api: HetznerDouble) -> None:
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(600)]
        await api.provider().present(records)
        assert len(api.sent_at) > 600
        assert max(sum(start <= at < start + 3600 for at in api.sent_at) for start in api.sent_at) <= 2000
        assert max(sum(start <= at < start + 100 for at in api.sent_at) for start in api.sent_at) <= 251

    async def test_a_secondary_zone_is_not_written(self, api: HetznerDouble) -> None:
        api.add_zone("elsewhere.example", private=True)
        with pytest.raises(ZoneNotFound):
            await api.provider().present([TxtRecord("_acme-challenge.elsewhere.example", "value")])

    async def test_a_zone_that_vanished_is_told(self, api: HetznerDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404, not_found.*the zone example\.com is gone"):
            await provider.clean_up(WILD)
