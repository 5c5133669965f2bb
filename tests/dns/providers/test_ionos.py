"""IONOS, against a double that is as strict as its Developer DNS API, which another client works on as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from certwright.dns import ProviderRefused, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.ionos import IonosConfig
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered
from tests.dns.providers.conformance.suite import WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider
    from certwright.http.message import Response

KEY = f"prefix.{SECRET}"
FIELDS = {"name", "type", "content", "ttl", "prio", "disabled"}


class IonosDouble(RecordsDouble):
    """The API v1: a zone with its records in one answer, several new records in one request."""

    url = "https://api.hosting.ionos.com"
    prefix = "/dns/v1"
    credential: ClassVar[Mapping[str, str]] = {"X-API-Key": KEY}

    def __init__(self) -> None:
        super().__init__()
        self.secondary_zones: set[str] = set()

    def add_zone(self, name: str, *, private: bool = False) -> None:
        super().add_zone(name)
        if private:
            self.secondary_zones.add(self.named(name))

    def provider(self) -> Provider:
        return IonosConfig(api_key=Credential(f"\n{KEY} ")).build(self.context())

    def written_as(self, value: str) -> str:
        return quoted(value)

    def read_as(self, value: str) -> str:
        return unquoted(value)

    def denial(self) -> Response:
        return answered(401, [{"code": "UNAUTHORIZED", "message": f"The customer is not authorized {SECRET}"}])

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, path:
            case "GET", ["zones"]:
                assert not query
                kinds = {zone: "SLAVE" if zone in self.secondary_zones else "NATIVE" for zone in self.zones}
                return answered(
                    200, [{"id": zone, "name": name, "type": kinds[zone]} for zone, name in self.zones.items()]
                )
            case "GET", ["zones", zone] if zone in self.zones:
                assert query.keys() <= {"recordType", "recordName", "suffix"}
                found = [
                    self._shown(one)
                    for one in self.records[zone].values()
                    if query.get("recordType") in (None, one.type) and query.get("recordName") in (None, one.name)
                ]
                return answered(200, {"id": zone, "name": self.zones[zone], "type": "NATIVE", "records": found})
            case "POST", ["zones", zone, "records"] if zone in self.zones:
                return self._create(zone, body)
            case "DELETE", ["zones", zone, "records", record] if zone in self.zones:
                self.written()
                if self.records[zone].pop(record, None) is None:
                    return answered(404, [{"code": "RECORD_NOT_FOUND", "message": SECRET}])
                return answered(200)
        return answered(404, [{"code": "ZONE_NOT_FOUND", "message": SECRET}])

    def _create(self, zone: str, body: Any) -> Response:
        assert isinstance(body, list)
        assert 0 < len(body) <= 100
        self.written()
        for one in body:
            assert one.keys() == FIELDS, one
            assert 60 <= one["ttl"] <= 86400
            assert (one["type"], one["prio"], one["disabled"]) == ("TXT", 0, False)
            if quoted(one["content"]) in [there.value for there in self._at(zone, one["name"])]:
                return answered(400, [{"code": "RECORD_ALREADY_EXISTS", "message": SECRET}])
        made = [self.create(zone, "TXT", one["name"], quoted(one["content"]), one["ttl"]) for one in body]
        return answered(201, [self._shown(one) for one in made])

    def _shown(self, record: Record) -> dict[str, Any]:
        return {
            "id": record.id,
            "name": record.name,
            "rootName": record.name,
            "type": record.type,
            "content": record.value,
            "changeDate": "2026-01-01T00:00:00.000Z",
            "ttl": record.ttl,
            "disabled": False,
        }


class TestIonos(Conformance, AgreesWithLexicon):
    requests_for_100 = 3
    zones_a_page = 100
    records_a_page = 100
    right = "<public prefix>.<secret>"
    lexicon = "ionos"
    options: ClassVar = {"api_key": KEY}

    def make_double(self) -> IonosDouble:
        return IonosDouble()

    async def test_more_than_a_request_takes_goes_in_several(self, api: IonosDouble) -> None:
        provider = api.provider()
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(250)]
        await provider.present(records)
        assert api.sent["write"] == 3
        await provider.clean_up(records)
        assert not any(api.values(record.name) for record in records)

    async def test_a_zone_that_vanished_is_told(self, api: IonosDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404, ZONE_NOT_FOUND.*the zone example\.com is gone"):
            await provider.clean_up(WILD)
