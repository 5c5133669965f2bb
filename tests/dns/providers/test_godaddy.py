"""GoDaddy, against a double that is as strict as the API v1, which another client works on as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from certwright.dns import InvalidCredential, ProviderRefused, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.providers.godaddy import GodaddyConfig
from certwright.resources.dns_providers.godaddy import Godaddy
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider
    from certwright.http.message import Response

KEY = "key"
ENTRY = {"name": "dns", "key": "token"}


class GodaddyDouble(RecordsDouble):
    """The API v1: records without IDs, in sets that are replaced, and a request that adds to them.

    Attributes:
        busy: How many requests that change something are refused because another one is on its way.
    """

    url = "https://api.godaddy.com"
    prefix = "/v1"
    credential: ClassVar[Mapping[str, str]] = {"Authorization": f"sso-key {KEY}:{SECRET}"}

    def __init__(self) -> None:
        super().__init__()
        self.busy = 0

    def provider(self) -> Provider:
        return GodaddyConfig(api_key=Credential(KEY), api_secret=Credential(f"\n{SECRET} ")).build(self.context())

    def denial(self) -> Response:
        return failure(403, "ACCESS_DENIED")

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, path:
            case "GET", ["domains"]:
                return self._domains(query)
            case "GET", ["domains", name] if name in self.zones.values():
                return answered(200, {"domain": name, "domainId": int(self.named(name)), "status": "ACTIVE"})
            case _, ["domains", name, "records", *rest] if name in self.zones.values():
                if method != "GET" and self.busy:
                    self.busy -= 1
                    return failure(409, "")
                return self._records(method, self.named(name), rest, query, body)
        return failure(404, "UNKNOWN_DOMAIN")

    def _domains(self, query: dict[str, str]) -> Response:
        assert query.keys() <= {"statuses", "limit", "marker"}
        size = int(query.get("limit", "1000"))
        assert 1 <= size <= 1000
        names = sorted(self.zones.values())
        start = names.index(query["marker"]) + 1 if "marker" in query else 0
        return answered(200, [{"domain": name, "status": "ACTIVE"} for name in names[start : start + size]])

    def _records(self, method: str, zone: str, rest: list[str], query: dict[str, str], body: Any) -> Response:
        if method != "GET":
            self.written()
        match method, rest:
            case "GET", [] | ["TXT"]:
                start, size = int(query.get("offset", "0")), int(query.get("limit", "100000"))
                assert "limit" not in query or 1 <= size <= 500
                every = [self._shown(zone, one) for one in self.records[zone].values()]
                return answered(200, every[start : start + size])
            case "GET", ["TXT", name]:
                return answered(200, [self._shown(zone, one) for one in self._at(zone, self.absolute(zone, name, "@"))])
            case "PATCH", []:
                return self._add(zone, body)
            case "PUT", ["TXT", *name]:
                assert body, "an empty set is ignored"
                kept = self._at(zone, self.absolute(zone, name[0], "@")) if name else [*self.records[zone].values()]
                for one in kept:
                    del self.records[zone][one.id]
                for one in body:
                    self._make(zone, one)
                return answered(200)
            case "DELETE", ["TXT", name]:
                there = self._at(zone, self.absolute(zone, name, "@"))
                for one in there:
                    del self.records[zone][one.id]
                return answered(204) if there else failure(404, "NOT_FOUND")
        raise AssertionError(f"no such call: {method} {rest}")

    def _add(self, zone: str, body: Any) -> Response:
        assert isinstance(body, list)
        assert 0 < len(body) <= 100
        for one in body:
            if one["data"] in [there.value for there in self._at(zone, self.absolute(zone, one["name"], "@"))]:
                return failure(422, "DUPLICATE_RECORD")
        for one in body:
            self._make(zone, one)
        return answered(200)

    def _make(self, zone: str, fields: Mapping[str, Any]) -> None:
        assert fields.keys() == {"type", "name", "data", "ttl"}, fields
        assert (fields["type"], 600 <= int(fields["ttl"]) <= 604800) == ("TXT", True)
        self.create(zone, "TXT", self.absolute(zone, fields["name"], "@"), fields["data"], int(fields["ttl"]))

    def _shown(self, zone: str, record: Record) -> dict[str, Any]:
        return {"type": record.type, "name": self.relative(zone, record, "@"), "data": record.value, "ttl": record.ttl}


def failure(status: int, code: str) -> Response:
    return answered(status, {"message": SECRET, **({"code": code} if code else {})})


class TestGodaddy(Conformance, AgreesWithLexicon):
    requests_for_100 = 3
    zones_a_page = 1000
    records_a_page = 500
    a_ttl = 900
    right = "ten domains"
    lexicon = "godaddy"
    options: ClassVar = {"auth_key": KEY, "auth_secret": SECRET}

    def make_double(self) -> GodaddyDouble:
        return GodaddyDouble()

    def prepare(self, provider: type, monkeypatch: pytest.MonkeyPatch) -> None:
        # It would fetch the list of public suffixes.
        monkeypatch.setattr(provider, "get_root_domain_name", lambda _: "example.com")

    def _comparable(self, writes: list[tuple[str, str, Any]]) -> list[Any]:
        """Leave out how the other client gets along without `PATCH`: it writes the same record, and empties the set."""
        return [self._without(writes[0][2]), writes[-1][:2]]

    async def test_a_token_is_sent_as_one(self, api: GodaddyDouble) -> None:
        api.credential = {"Authorization": f"Bearer {SECRET}"}  # type: ignore[misc]  # of this one
        await GodaddyConfig(token=Credential(SECRET)).build(api.context()).present(WILD)
        assert len(api.values(NAME)) == 2

    async def test_a_change_that_is_on_its_way_is_waited_for(self, api: GodaddyDouble) -> None:
        provider = api.provider()
        api.busy = 3
        await provider.present(WILD)
        api.busy = 9
        with pytest.raises(ProviderRefused, match=r"refused a change of the zone example\.com 5 times"):
            await provider.clean_up(WILD)
        api.busy = 0
        await provider.clean_up(WILD)
        assert api.values(NAME) == []

    async def test_never_more_requests_a_minute_than_the_api_allows(self, api: GodaddyDouble) -> None:
        provider = api.provider()
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(100)]
        await provider.present(records)
        await provider.clean_up(records)
        assert len(api.sent_at) > 100
        assert max(sum(start <= at < start + 60 for at in api.sent_at) for start in api.sent_at) <= 60


def test_half_a_credential_is_refused() -> None:
    with pytest.raises(InvalidCredential, match="a personal access token, or an API key and an API secret"):
        GodaddyConfig(api_key=Credential(KEY)).build(GodaddyDouble().context())
    half: list[dict[str, Any]] = [
        {},
        {"apiKeySecretRef": ENTRY},
        {"tokenSecretRef": ENTRY, "apiSecretSecretRef": ENTRY},
    ]
    for fields in half:
        with pytest.raises(ValueError, match="must have either tokenSecretRef, or apiKeySecretRef"):
            Godaddy.model_validate(fields)
