"""Linode, against a double that is as strict as the API v4, which another client works on as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from certwright.dns import TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.providers.linode import LinodeConfig
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered, numbered
from tests.dns.providers.conformance.suite import NAME, Conformance

if TYPE_CHECKING:
    from certwright.dns import Provider
    from certwright.http.message import Response

TTLS = (30, 120, 300, 3600, 7200, 14400, 28800, 57600, 86400)


class LinodeDouble(RecordsDouble):
    """The API v4: domains, some of which are secondary or disabled, and their records.

    Attributes:
        states: The type and the status of domains that are not active primaries, by their IDs.
    """

    url = "https://api.linode.com"
    prefix = "/v4"

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, tuple[str, str]] = {}

    def provider(self) -> Provider:
        return LinodeConfig(token=Credential(f"\n{SECRET} ")).build(self.context())

    def add_zone(self, name: str, *, private: bool = False, type_: str = "slave", status: str = "active") -> None:
        super().add_zone(name)
        if private:
            self.states[self.named(name)] = (type_, status)

    def denial(self) -> Response:
        return answered(401, {"errors": [{"reason": f"Your OAuth token is not authorized {SECRET}"}]})

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, path:
            case "GET", ["domains"]:
                return self._page([self._domain(zone) for zone in self.zones], query)
            case "GET", ["domains", zone, "records"] if zone in self.zones:
                return self._page([self._shown(zone, one) for one in self.records[zone].values()], query)
            case "POST", ["domains", zone, "records"] if zone in self.zones:
                assert body.keys() == {"type", "name", "target", "ttl_sec"}, body
                self.written()
                name = self.absolute(zone, body["name"] or "@", "@")
                if body["target"] in self.values(name, self.zones[zone]):
                    return answered(400, {"errors": [{"reason": SECRET, "field": "name"}]})
                ttl = next(one for one in TTLS if one >= body["ttl_sec"])
                return answered(200, self._shown(zone, self.create(zone, "TXT", name, body["target"], ttl)))
            case "DELETE", ["domains", zone, "records", record] if zone in self.zones:
                self.written()
                there = self.records[zone].pop(record, None)
                return answered(200, {}) if there else answered(404, {"errors": [{"reason": "Not found"}]})
        return answered(404, {"errors": [{"reason": "Not found"}]})

    def _domain(self, zone: str) -> dict[str, Any]:
        type_, status = self.states.get(zone, ("master", "active"))
        return {"id": int(zone), "type": type_, "domain": self.zones[zone], "status": status, "ttl_sec": 0, "tags": []}

    def _shown(self, zone: str, record: Record) -> dict[str, Any]:
        name = self.relative(zone, record, "")
        return {
            "id": int(record.id),
            "type": record.type,
            "name": name,
            "target": record.value,
            "priority": 0,
            "weight": 0,
            "port": 0,
            "service": None,
            "protocol": None,
            "ttl_sec": record.ttl,
            "tag": None,
        }

    def _page(self, items: list[Any], query: dict[str, str]) -> Response:
        assert query.keys() <= {"page", "page_size"}, query
        number = query.get("page", "1")
        part, pages = numbered(items, number, query.get("page_size", "100"), least=25, most=500)
        return answered(200, {"data": part, "page": int(number), "pages": pages, "results": len(items)})


class TestLinode(Conformance, AgreesWithLexicon):
    requests_for_100 = 102
    zones_a_page = 500
    records_a_page = 500
    right = "Read/Write access to Domains"
    lexicon = "linode"
    options: ClassVar = {"auth_token": SECRET}
    theirs_alone = frozenset({"ttl_sec"})

    def make_double(self) -> LinodeDouble:
        return LinodeDouble()

    async def test_a_domain_that_is_disabled_is_not_taken(self, api: LinodeDouble) -> None:
        api.add_zone("old.example.com", private=True, type_="master", status="disabled")
        await api.provider().present([TxtRecord("_acme-challenge.old.example.com", "value")])
        assert api.values("_acme-challenge.old.example.com", "example.com") == ["value"]

    async def test_the_usual_ttl_is_rounded_up_by_the_api(self, api: LinodeDouble) -> None:
        await api.provider().present([TxtRecord(NAME, "value")])
        assert api.ttl(NAME) == 120
