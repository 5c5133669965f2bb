"""Porkbun, against a double that is as strict as the API v3, which another client works on as well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from certwright.dns import InvalidCredential, ProviderRefused, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.providers.porkbun import PorkbunConfig
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider
    from certwright.http.message import Response

KEYS = {"apikey": "pk1_of-the-test", "secretapikey": SECRET}


class PorkbunDouble(RecordsDouble):
    """The API v3: every request is a POST with the keys in its body."""

    url = "https://api.porkbun.com"
    prefix = "/api/json/v3"
    credential: ClassVar[Mapping[str, str]] = {}
    opted_out = False

    def provider(self) -> Provider:
        keys = {"api_key": Credential(KEYS["apikey"]), "secret_api_key": Credential(f"\n{SECRET} ")}
        return PorkbunConfig(**keys).build(self.context())

    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        assert method == "POST", method
        assert super().check_credential(method, url, headers, content)
        body = json.loads(content or b"{}")
        return all(body.get(key) == value for key, value in KEYS.items())

    def denial(self) -> Response:
        return answered(
            400, {"status": "ERROR", "code": "INVALID_API_KEYS_001", "message": f"Invalid API key {SECRET}"}
        )

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        return [
            (method, path, body) for method, path, body in super().writes if "/create/" in path or "/delete/" in path
        ]

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        assert (method, query) == ("POST", {})
        asked = {key: value for key, value in body.items() if key not in KEYS}
        match path:
            case ["ping"]:
                return answered(200, {"status": "SUCCESS", "yourIp": "192.0.2.1"})
            case ["domain", "listAll"]:
                assert asked.keys() <= {"start", "includeLabels"}
                start = int(asked.get("start", "0"))
                domains = [{"domain": name, "status": "ACTIVE"} for name in self.zones.values()]
                return answered(200, {"status": "SUCCESS", "domains": domains[start : start + 1000]})
            case ["dns", act, name, *rest] if name in self.zones.values():
                return self._records(act, self.named(name), rest, asked)
        code = {"code": "API_ACCESS_DISABLED"} if self.opted_out else {}
        return answered(400, {"status": "ERROR", **code, "message": f"Invalid domain. {SECRET}"})

    def _records(self, act: str, zone: str, rest: list[str], asked: dict[str, Any]) -> Response:
        match act, rest:
            case "retrieve", []:
                return self._list(list(self.records[zone].values()))
            case "retrieveByNameType", ["TXT", *named]:
                return self._list(self._at(zone, self.absolute(zone, named[0], "") if named else self.zones[zone]))
            case "create", []:
                assert asked.keys() == {"type", "name", "content", "ttl"}, asked
                assert int(asked["ttl"]) >= 600 or asked["ttl"] == 300, "the least TTL is 600"
                self.written()
                name = self.absolute(zone, asked["name"] or "@", "@")
                if asked["content"] in self.values(name, self.zones[zone]):
                    return answered(400, {"status": "ERROR", "message": f"already exists {SECRET}"})
                made = self.create(zone, "TXT", name, asked["content"], int(asked["ttl"]))
                return answered(200, {"status": "SUCCESS", "id": made.id})
            case "delete", [record]:
                self.written()
                if self.records[zone].pop(record, None) is None:
                    return answered(400, {"status": "ERROR", "message": f"Invalid record ID. {SECRET}"})
                return answered(200, {"status": "SUCCESS"})
        raise AssertionError(f"no such call: {act} {rest}")

    def _list(self, records: list[Record]) -> Response:
        shown = [
            {
                "id": one.id,
                "name": one.name,
                "type": one.type,
                "content": one.value,
                "ttl": str(one.ttl),
                "prio": "0",
                "notes": "",
            }
            for one in records
        ]
        return answered(200, {"status": "SUCCESS", "records": shown})


class TestPorkbun(Conformance, AgreesWithLexicon):
    requests_for_100 = 102
    zones_a_page = 1000
    records_a_page = 100
    a_ttl = 900
    right = "API Access enabled"
    lexicon = "porkbun"
    options: ClassVar = {"auth_key": KEYS["apikey"], "auth_secret": SECRET}

    def make_double(self) -> PorkbunDouble:
        return PorkbunDouble()

    async def test_a_domain_without_api_access_is_told_in_porkbuns_words(self, api: PorkbunDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        api.opted_out = True
        said = r"HTTP 400, API_ACCESS_DISABLED.*API Access enabled, for example\.com"
        with pytest.raises(ProviderRefused, match=said) as caught:
            await provider.clean_up(WILD)
        assert SECRET not in str(caught.value)

    async def test_the_usual_ttl_is_the_shortest_that_the_api_takes(self, api: PorkbunDouble) -> None:
        await api.provider().present([TxtRecord(NAME, "value")])
        assert api.ttl(NAME) == 600


def test_each_key_is_checked_and_shown_by_nothing() -> None:
    good, bad = Credential(SECRET), Credential("two words", "the entry sk of Secret shop/dns")
    config = PorkbunConfig(api_key=good, secret_api_key=bad)
    with pytest.raises(InvalidCredential, match="the secret API key in the entry sk of Secret shop/dns"):
        config.build(PorkbunDouble().context())
    assert SECRET not in repr(config)
