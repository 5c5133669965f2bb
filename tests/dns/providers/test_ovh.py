"""OVHcloud, against a double that checks every signature and serves changes after a refresh only."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

import pytest

from certwright.dns import InvalidCredential, ProviderRefused, ProviderUnreachable, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.ovh import CLOCK_SECONDS, OvhConfig
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider
    from certwright.http.message import Response

APPLICATION, CONSUMER = "application-key", "consumer-key"
TOKEN_URL = "https://www.ovh.com/auth/oauth2/token"
TOLERANCE = 30


class OvhDouble(RecordsDouble):
    """The API 1.0 for Europe: IDs first, then each record; two kinds of credentials.

    Attributes:
        served: The records of each zone that its name servers have.
        token: The token of the service account that is valid now.
        ahead: Seconds by which the server's clock is ahead of the double's.
        no_refresh: Whether the next refresh fails.
    """

    url = "https://eu.api.ovh.com"
    prefix = "/1.0"
    credential: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.served: dict[str, dict[str, Record]] = {}
        self.token = ""
        self.ahead = 1_800_000_000
        self.no_refresh = False

    def provider(self) -> Provider:
        return OvhConfig(
            "ovh-eu",
            application_key=APPLICATION,
            application_secret=Credential(f"\n{SECRET} "),
            consumer_key=Credential(CONSUMER),
        ).build(self.context())

    def account(self) -> Provider:
        return OvhConfig("ovh-eu", client_id="EU.1", client_secret=Credential(SECRET)).build(self.context())

    @property
    def time(self) -> int:
        return int(self.now) + self.ahead

    def add_zone(self, name: str, *, private: bool = False) -> None:
        super().add_zone(name, private=private)
        if not private:
            self.served[self.named(name)] = {}

    def put(self, name: str, value: str) -> None:
        super().put(name, value)
        self._refresh(self._longest(name))

    def drop(self, name: str, value: str) -> None:
        super().drop(name, value)
        self._refresh(self._longest(name))

    def values(self, name: str, zone: str | None = None) -> list[str]:
        """Return what is served."""
        found = self._longest(name) if zone is None else self.named(zone)
        return sorted(
            unquoted(one.value) for one in self.served[found].values() if (one.type, one.name) == ("TXT", name)
        )

    def written_as(self, value: str) -> str:
        return quoted(value)

    def read_as(self, value: str) -> str:
        return unquoted(value)

    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        given = {name.lower(): value for name, value in headers.items()}
        if url == TOKEN_URL:
            assert (method, given["content-type"]) == ("POST", "application/x-www-form-urlencoded")
            return True
        assert super().check_credential(method, url, headers, content)
        if url == f"{self.url}/1.0/auth/time":
            return True
        if "authorization" in given:
            return bool(self.token) and given["authorization"] == f"Bearer {self.token}"
        assert abs(int(given["x-ovh-timestamp"]) - self.time) <= TOLERANCE, "the signature has expired"
        parts = [SECRET, CONSUMER, method, url, (content or b"").decode(), given["x-ovh-timestamp"]]
        signature = "$1$" + hashlib.sha1("+".join(parts).encode()).hexdigest()  # noqa: S324 - as the API demands
        assert given["x-ovh-signature"] == signature
        return (given["x-ovh-application"], given["x-ovh-consumer"]) == (APPLICATION, CONSUMER)

    def denial(self) -> Response:
        return failure(403, "NOT_GRANTED_CALL", "Client::Forbidden")

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        if path != "/auth/oauth2/token":
            return super().answer(method, path, query, content)
        form = dict(parse_qsl((content or b"").decode()))
        assert form.keys() == {"grant_type", "client_id", "client_secret", "scope"}
        if (form["grant_type"], form["client_id"], form["client_secret"]) != ("client_credentials", "EU.1", SECRET):
            return answered(400, {"error": "invalid_client", "error_description": SECRET})
        self.token = f"token-{self.sent['all']}"
        return answered(200, {"access_token": self.token, "token_type": "Bearer", "expires_in": 3599, "scope": "all"})

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, [part for part in path if part]:
            case "GET", ["auth", "time"]:
                return answered(200, self.time)
            case "GET", ["domain", "zone"]:
                return answered(200, list(self.zones.values()))
            case "GET", ["domain", "zone", name, "status"] if name in self.zones.values():
                return answered(200, {"isDeployed": True})
            case "POST", ["domain", "zone", name, "refresh"] if name in self.zones.values():
                assert body is None
                if self.no_refresh:
                    self.no_refresh = False
                    return failure(500, "INTERNAL", "Server::InternalServerError")
                self._refresh(self.named(name))
                return answered(200)
            case _, ["domain", "zone", name, "record", *rest] if name in self.zones.values():
                return self._records(method, self.named(name), rest, query, body)
        return failure(404, "", "Client::NotFound")

    def _refresh(self, zone: str) -> None:
        self.served[zone] = copy.deepcopy(self.records[zone])

    def _records(self, method: str, zone: str, rest: list[str], query: dict[str, str], body: Any) -> Response:
        match method, rest:
            case "GET", []:
                assert query.keys() <= {"fieldType", "subDomain"}
                found = [
                    int(one.id)
                    for one in self.records[zone].values()
                    if query.get("fieldType") in (None, one.type)
                    and query.get("subDomain") in (None, self.relative(zone, one, ""))
                ]
                return answered(200, found)
            case "GET", [record]:
                there = self.records[zone].get(record)
                return answered(200, self._shown(zone, there)) if there else failure(404, "", "Client::NotFound")
            case "POST", []:
                assert body.keys() == {"fieldType", "subDomain", "target", "ttl"}, body
                assert (body["fieldType"], body["ttl"] >= 60) == ("TXT", True)
                self.written()
                name = self.absolute(zone, body["subDomain"] or "@", "@")
                if quoted(body["target"]) in [one.value for one in self._at(zone, name)]:
                    return failure(409, "", "Client::Conflict")
                made = self.create(zone, "TXT", name, quoted(body["target"]), body["ttl"])
                return answered(200, self._shown(zone, made))
            case "DELETE", [record]:
                self.written()
                gone = self.records[zone].pop(record, None)
                return answered(200) if gone else failure(404, "", "Client::NotFound")
        raise AssertionError(f"no such call: {method} {rest}")

    def _shown(self, zone: str, record: Record) -> dict[str, Any]:
        return {
            "id": int(record.id),
            "zone": self.zones[zone],
            "subDomain": self.relative(zone, record, ""),
            "fieldType": record.type,
            "target": record.value,
            "ttl": record.ttl,
        }


def failure(status: int, code: str, kind: str) -> Response:
    body = {"class": kind, "message": f"no {SECRET}", "httpCode": str(status), **({"errorCode": code} if code else {})}
    return answered(status, body)


class TestOvh(Conformance, AgreesWithLexicon):
    requests_for_100 = 104
    zones_a_page = 100
    records_a_page = 100
    right = "POST /domain/zone/<zone>/refresh"
    lexicon = "ovh"
    options: ClassVar = {
        "auth_entrypoint": "ovh-eu",
        "auth_application_key": APPLICATION,
        "auth_application_secret": SECRET,
        "auth_consumer_key": CONSUMER,
    }

    def make_double(self) -> OvhDouble:
        return OvhDouble()

    async def test_a_service_account_gets_one_token_and_another_when_it_ends(self, api: OvhDouble) -> None:
        provider = api.account()
        await provider.present(WILD)
        await provider.clean_up(WILD[:1])
        assert api.token == "token-1"
        api.now += 3600
        await provider.clean_up(WILD)
        assert api.token != "token-1"
        assert api.values(NAME) == []

    async def test_a_service_account_that_is_none_is_told(self, api: OvhDouble) -> None:
        config = OvhConfig("ovh-eu", client_id="EU.2", client_secret=Credential(SECRET))
        with pytest.raises(ProviderRefused, match=r"www\.ovh\.com.*invalid_client.*service account") as caught:
            await config.build(api.context()).present(WILD)
        assert SECRET not in str(caught.value)

    async def test_the_servers_clock_counts_however_wrong_ours_is(self, api: OvhDouble) -> None:
        provider = api.provider()
        await provider.present(WILD[:1])
        api.ahead += 1000
        api.now += CLOCK_SECONDS + 1
        await provider.present(WILD)
        assert len(api.values(NAME)) == 2

    async def test_what_was_created_or_deleted_before_a_crash_is_served_by_the_next(self, api: OvhDouble) -> None:
        """Leftovers of clean-up that stay in the DNS until somebody refreshes the zone: certbot issue 9888."""
        zone = api.named("example.com")
        await api.provider().present(WILD)
        api.records[zone].clear()
        await api.provider().clean_up(WILD)
        assert api.values(NAME) == []
        for record in WILD:
            api.create(zone, "TXT", record.name, quoted(record.value), 60)
        provider = api.provider()
        await provider.present(WILD)
        assert len(api.values(NAME)) == 2
        sent = api.sent["all"]
        await provider.present(WILD)
        assert [path for _, path, _, _ in api.calls[-(api.sent["all"] - sent) :] if path.endswith("refresh")] == []

    async def test_a_refresh_that_fails_is_told_and_made_up_for(self, api: OvhDouble) -> None:
        provider = api.provider()
        api.no_refresh = True
        with pytest.raises(ProviderUnreachable) as caught:
            await provider.present(WILD)
        assert caught.value.names == (NAME,)
        assert api.values(NAME) == []
        await provider.present(WILD)
        assert len(api.values(NAME)) == 2

    async def test_records_that_were_made_before_a_failure_are_served(self, api: OvhDouble) -> None:
        records = [TxtRecord(f"_acme-challenge.w{number:02}.example.com", "value") for number in range(20)]
        provider = api.provider()
        api.fail_at = 12
        with pytest.raises(ProviderUnreachable) as caught:
            await provider.present(records)
        served = {record.name for record in records if api.values(record.name)}
        assert served
        assert {*caught.value.names} == {record.name for record in records} - served

    async def test_a_record_that_vanishes_while_it_is_read_is_not_missed(self, api: OvhDouble) -> None:
        api.put(NAME, "foreign")
        ids = api._records

        def vanishing(method: str, zone: str, rest: list[str], query: dict[str, str], body: Any) -> Response:
            if method == "GET" and rest:
                api.records[zone].pop(rest[0], None)
            return ids(method, zone, rest, query, body)

        api._records = vanishing  # type: ignore[method-assign]  # somebody else, between two requests
        await api.provider().present(WILD[:1])
        assert api.values(NAME) == [WILD[0].value]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"endpoint": "api.evil.example"}, "there is no endpoint of OVH by this name"),
        ({"endpoint": "ovh-eu"}, "an application key with its secret and a consumer key, or a client ID"),
        ({"endpoint": "ovh-eu", "application_key": "a", "application_secret": Credential("s")}, "consumer key, or"),
        ({"endpoint": "kimsufi-eu", "client_id": "EU.1", "client_secret": Credential("s")}, "has no service accounts"),
        (
            {"endpoint": "ovh-eu", "client_id": "EU.1", "client_secret": Credential("a b")},
            "the client secret has a space",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidCredential, match=said):
        OvhConfig(**fields).build(OvhDouble().context())


def test_no_credential_is_in_what_is_sent_as_json() -> None:
    assert SECRET not in json.dumps(repr(OvhConfig("ovh-eu", client_id="a", client_secret=Credential(SECRET))))
