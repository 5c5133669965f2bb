"""Vultr, against a double that is as strict as the API v2, which another client works on as well."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, ClassVar

from certwright.dns import TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.vultr import VultrConfig
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered
from tests.dns.providers.conformance.suite import NAME, Conformance

if TYPE_CHECKING:
    from certwright.dns import Provider
    from certwright.http.message import Response


class VultrDouble(RecordsDouble):
    """The API v2: domains and their records, in pages that are asked for with a cursor."""

    url = "https://api.vultr.com"
    prefix = "/v2"

    def provider(self) -> Provider:
        return VultrConfig(api_key=Credential(f"\n{SECRET} ")).build(self.context())

    def written_as(self, value: str) -> str:
        return quoted(value)

    def read_as(self, value: str) -> str:
        return unquoted(value)

    def denial(self) -> Response:
        return answered(401, {"error": f"Unauthorized IP address: {SECRET}", "status": 401})

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, path:
            case "GET", ["domains"]:
                domains = [{"domain": name, "dns_sec": "disabled"} for name in self.zones.values()]
                return self._page("domains", domains, query)
            case _, ["domains", name, "records", *rest] if name in self.zones.values():
                return self._records(method, self.named(name), rest, query, body)
        return answered(404, {"error": SECRET, "status": 404})

    def _records(self, method: str, zone: str, rest: list[str], query: dict[str, str], body: Any) -> Response:
        match method, rest:
            case "GET", []:
                return self._page("records", [self._shown(zone, one) for one in self.records[zone].values()], query)
            case "POST", []:
                assert body.keys() == {"type", "name", "data", "ttl", "priority"}, body
                assert 120 <= int(body["ttl"]) <= 86400
                assert body["data"][0] == body["data"][-1] == '"', "Vultr refuses text without quotes"
                self.written()
                name = self.absolute(zone, body["name"] or "@", "@")
                if body["data"] in [one.value for one in self._at(zone, name)]:
                    return answered(400, {"error": f"Duplicate records not allowed {SECRET}", "status": 400})
                made = self.create(zone, "TXT", name, body["data"], body["ttl"])
                return answered(201, {"record": self._shown(zone, made)})
            case "DELETE", [record]:
                self.written()
                if self.records[zone].pop(record, None) is None:
                    return answered(404, {"error": "Invalid record ID", "status": 404})
                return answered(204)
        raise AssertionError(f"no such call: {method} {rest}")

    def _shown(self, zone: str, record: Record) -> dict[str, Any]:
        return {
            "id": record.id,
            "type": record.type,
            "name": self.relative(zone, record, ""),
            "data": record.value,
            "priority": 0,
            "ttl": record.ttl,
        }

    def _page(self, key: str, items: list[Any], query: dict[str, str]) -> Response:
        assert query.keys() <= {"per_page", "cursor"}, query
        size = int(query.get("per_page", "100"))
        assert 1 <= size <= 500
        start = int(base64.b64decode(query["cursor"])) if "cursor" in query else 0
        end = start + size
        following = base64.b64encode(str(end).encode()).decode() if end < len(items) else ""
        meta = {"total": len(items), "links": {"next": following, "prev": ""}}
        return answered(200, {key: items[start:end], "meta": meta})


class TestVultr(Conformance, AgreesWithLexicon):
    requests_for_100 = 102
    zones_a_page = 500
    records_a_page = 500
    right = "Manage DNS"
    lexicon = "vultr"
    options: ClassVar = {"auth_token": SECRET}

    def make_double(self) -> VultrDouble:
        return VultrDouble()

    async def test_a_ttl_below_the_apis_least_becomes_that(self, api: VultrDouble) -> None:
        await api.provider().present([TxtRecord(NAME, "value", ttl=1)])
        assert api.ttl(NAME) == 120
