"""DigitalOcean, against a double that is as strict as the API v2, which another client works on as well."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from certwright.dns import ProviderRefused, ProviderUnreachable, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.providers.digitalocean import DigitalOceanConfig
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered, numbered
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from certwright.dns import Provider
    from certwright.http.message import Response

FIELDS = ("id", "type", "name", "data")
"""Of a record, those without which there is none."""


class DigitalOceanDouble(RecordsDouble):
    """The API v2: domains and their records.

    Attributes:
        bare: Whether it leaves out everything that an answer can do without.
        unwanted: A value that it refuses.
    """

    url = "https://api.digitalocean.com"
    prefix = "/v2"

    def __init__(self) -> None:
        super().__init__()
        self.bare = False
        self.unwanted = ""

    def provider(self) -> Provider:
        return DigitalOceanConfig(token=Credential(f"\n{SECRET} ")).build(self.context())

    def denial(self) -> Response:
        return answered(403, {"id": "forbidden", "message": f"You are not authorized {SECRET}"})

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, path:
            case "GET", ["domains"]:
                assert query.keys() <= {"page", "per_page"}, query
                domains = [{"name": name, "ttl": 1800, "zone_file": "..."} for name in self.zones.values()]
                return self._page("domains", domains, query)
            case "GET", ["domains", name]:
                return answered(200, {"domain": {"name": name, "ttl": 1800}})
            case _, ["domains", name, "records", *rest] if name in self.zones.values():
                return self._records(method, self.named(name), rest, query, body)
        return answered(404, {"id": "not_found", "message": SECRET})

    def _records(self, method: str, zone: str, rest: list[str], query: dict[str, str], body: Any) -> Response:
        match method, rest:
            case "GET", []:
                assert query.keys() <= {"page", "per_page", "type", "name"}, query
                found = [
                    self._shown(zone, one)
                    for one in self.records[zone].values()
                    if query.get("type") in (None, one.type) and query.get("name") in (None, one.name)
                ]
                return self._page("domain_records", found, query)
            case "POST", []:
                assert body.keys() == {"type", "name", "data", "ttl"}, body
                assert 30 <= int(body["ttl"]) <= 86400
                self.written()
                name = self.absolute(zone, body["name"], "@")
                if body["data"] == self.unwanted or (
                    self.refuses_twins and body["data"] in self.values(name, self.zones[zone])
                ):
                    return answered(422, {"id": "unprocessable_entity", "message": SECRET})
                made = self.create(zone, "TXT", name, body["data"], body["ttl"])
                return answered(201, {"domain_record": self._shown(zone, made)})
            case "DELETE", [record]:
                self.written()
                if self.records[zone].pop(record, None) is None:
                    return answered(404, {"id": "not_found", "message": SECRET})
                return answered(204)
        raise AssertionError(f"no such call: {method} {rest}")

    def _shown(self, zone: str, record: Record) -> dict[str, Any]:
        shown = {
            "id": int(record.id),
            "type": record.type,
            "name": self.relative(zone, record, "@"),
            "data": record.value,
            "priority": None,
            "port": None,
            "ttl": record.ttl,
            "weight": None,
            "flags": None,
            "tag": None,
        }
        return {key: shown[key] for key in FIELDS} if self.bare else shown

    def _page(self, key: str, items: list[Any], query: dict[str, str]) -> Response:
        number, size = query.get("page", "1"), query.get("per_page", "20")
        part, pages = numbered(items, number, size, most=200)
        if self.bare:
            return answered(200, {key: part})
        follows = {"pages": {"next": f"{self.url}{self.prefix}/{self._path()}?page={int(number) + 1}&per_page={size}"}}
        links = follows if int(number) < pages else {}
        return answered(200, {key: part, "links": links, "meta": {"total": len(items)}})

    def _path(self) -> str:
        return self.calls[-1][1].removeprefix(f"{self.prefix}/")


class TestDigitalOcean(Conformance, AgreesWithLexicon):
    requests_for_100 = 102
    zones_a_page = 200
    records_a_page = 200
    right = "domain:create"
    lexicon = "digitalocean"
    options: ClassVar = {"auth_token": SECRET}

    def make_double(self) -> DigitalOceanDouble:
        return DigitalOceanDouble()

    async def test_one_name_takes_a_request_for_the_zones_one_to_look_and_one_for_each_value(
        self, api: DigitalOceanDouble
    ) -> None:
        provider = api.provider()
        await provider.present(WILD)
        assert api.sent["all"] == 4
        await provider.present(WILD)
        assert api.sent["all"] == 5, "what is there is only looked at"
        await provider.clean_up(WILD)
        assert api.sent["all"] == 8

    async def test_never_more_requests_a_minute_than_the_api_allows_however_many_names_there_are(
        self, api: DigitalOceanDouble
    ) -> None:
        """Asked every 150 ms, the API refuses everything else that the account does: cert-manager issue 6230."""
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(600)]
        await api.provider().present(records)
        assert len(api.sent_at) > 600
        assert max(sum(start <= at < start + 60 for at in api.sent_at) for start in api.sent_at) <= 250

    @pytest.mark.parametrize("bare", [False, True])
    async def test_a_field_that_vanishes_from_the_answers_breaks_neither_pages_nor_clean_up(
        self, api: DigitalOceanDouble, *, bare: bool
    ) -> None:
        """As in cert-manager issues 7540 and 9099."""
        api.bare = bare
        for number in range(250):
            api.put(NAME, f"foreign-{number}")
        provider = api.provider()
        await provider.present(WILD)
        await api.provider().clean_up(WILD)
        assert len(api.values(NAME)) == 250

    async def test_a_failure_in_the_middle_tells_those_that_are_not_there_and_keeps_the_others(
        self, api: DigitalOceanDouble
    ) -> None:
        records = [TxtRecord(f"_acme-challenge.w{number:02}.example.com", "value") for number in range(20)]
        provider = api.provider()
        api.fail_at = 12
        with pytest.raises(ProviderUnreachable) as caught:
            await provider.present(records)
        there = {record.name for record in records if api.values(record.name)}
        assert 5 <= len(there) < 20
        assert {*caught.value.names} == {record.name for record in records} - there
        writes = api.sent["write"]
        await provider.present(records)
        assert api.sent["write"] - writes == 20 - len(there), "what was made is not made again"
        assert all(api.values(record.name) == ["value"] for record in records)

    async def test_a_token_that_may_only_read_is_told_by_the_first_refusal_for_all(
        self, api: DigitalOceanDouble
    ) -> None:
        api.read_only = True
        records = [TxtRecord(f"_acme-challenge.w{number:02}.example.com", "value") for number in range(50)]
        with pytest.raises(ProviderRefused, match=r"HTTP 403, forbidden.*domain:create.*for example\.com") as caught:
            await api.provider().present(records)
        assert len(caught.value.names) == 50
        assert api.sent["all"] <= 6, "not asked for again by each record"

    async def test_a_domain_that_vanished_is_told(self, api: DigitalOceanDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404, not_found.*the zone example\.com is gone"):
            await provider.clean_up(WILD)

    async def test_a_record_that_somebody_else_made_as_well_is_removed_with_ours(self, api: DigitalOceanDouble) -> None:
        api.refuses_twins = False
        api.before_write = lambda: api.put(NAME, WILD[0].value)
        provider = api.provider()
        await provider.present(WILD[:1])
        assert api.values(NAME) == [WILD[0].value] * 2
        await provider.clean_up(WILD[:1])
        assert api.values(NAME) == []

    async def test_a_value_that_is_refused_is_told_alone_and_the_others_are_made(self, api: DigitalOceanDouble) -> None:
        api.unwanted = "bad"
        provider = api.provider()
        good = [TxtRecord(f"_acme-challenge.w{number}.example.com", "good") for number in range(9)]
        bad = TxtRecord("_acme-challenge.bad.example.com", "bad")
        refused, *fine = await asyncio.gather(
            *(provider.present([record]) for record in (bad, *good)), return_exceptions=True
        )
        assert isinstance(refused, ProviderRefused)
        assert refused.names == (bad.name,)
        assert "HTTP 422, unprocessable_entity" in str(refused)
        assert fine == [None] * 9
        assert all(api.values(record.name) == ["good"] for record in good)

    async def test_a_ttl_below_the_apis_least_becomes_that(self, api: DigitalOceanDouble) -> None:
        await api.provider().present([TxtRecord(NAME, "value", ttl=1)])
        assert api.ttl(NAME) == 30
