"""PowerDNS, against a double of both kinds of versions; integration tests hold it against a real server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import pytest

from certwright.dns import InvalidCredential, ProviderRefused, ProviderUnreachable, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.powerdns import PowerdnsConfig
from certwright.http.errors import ResponseTooLarge
from certwright.http.message import Headers, Response
from tests.dns.providers.conformance.double import SECRET, Double
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider

URL = "https://dns.example.net:8443/pdns"
ROOT = "/pdns/api/v1/servers/localhost"
OLD, NEW = "4.7.3", "5.0.2"


class PowerDnsDouble(Double):
    """The API of one server; `records` has for each zone and name the TTL and the contents, each with `disabled`."""

    def __init__(self, version: str = NEW) -> None:
        super().__init__()
        self.version = version
        self.zones: dict[str, str] = {}
        self.sets: dict[tuple[str, str], tuple[int, dict[str, bool]]] = {}
        self.notified: list[str] = []

    def provider(self) -> Provider:
        return PowerdnsConfig(URL, Credential(f" {SECRET}\n")).build(self.context())

    def add_zone(self, name: str, *, private: bool = False, kind: str = "Native") -> None:
        self.zones[f"{name}..inside" if private else f"{name}."] = kind

    def put(self, name: str, value: str, ttl: int = 300) -> None:
        zone = self._longest(name)
        old_ttl, contents = self.sets.get((zone, f"{name}."), (ttl, {}))
        self.sets[zone, f"{name}."] = (old_ttl, {**contents, quoted(value): False})

    def drop(self, name: str, value: str) -> None:
        del self.sets[self._longest(name), f"{name}."][1][quoted(value)]

    def values(self, name: str, zone: str | None = None) -> list[str]:
        _, contents = self.sets.get((f"{zone}." if zone else self._longest(name), f"{name}."), (0, {}))
        return sorted(unquoted(content) for content, disabled in contents.items() if not disabled)

    def ttl(self, name: str) -> int:
        return self.sets[self._longest(name), f"{name}."][0]

    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        assert url.startswith(f"{URL}/api/v1/servers/localhost"), url
        assert method in ("GET", "PATCH", "PUT")
        assert (content is not None) == (method == "PATCH")
        assert headers.get("Content-Type") == ("application/json" if content is not None else None)
        return headers.get("X-API-Key") == SECRET

    def denial(self) -> Response:
        return Response(401, Headers({"Content-Type": "text/plain"}), f"Unauthorized {SECRET}".encode())

    def zone_of(self, path: str) -> str:
        found = re.search(r"/zones/([^/]+)", path)
        return unquote(found[1]).rstrip(".") if found else ""

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        match method, path.removeprefix(ROOT).split("/")[1:]:
            case "GET", []:
                return answered(
                    {"type": "Server", "id": "localhost", "daemon_type": "authoritative", "version": self.version}
                )
            case "GET", ["zones"]:
                assert query == {"dnssec": "false"}
                return answered([described(name, kind) for name, kind in self.zones.items()])
            case "GET", ["zones", zone]:
                return self._read(unquote(zone), query)
            case "PATCH", ["zones", zone]:
                return self._patch(unquote(zone), json.loads(content or b""))
            case "PUT", ["zones", zone, "notify"]:
                self.notified.append(unquote(zone))
                return answered({"result": "Notification queued"})
        raise AssertionError(f"no such call: {method} {path}")

    def _read(self, zone: str, query: dict[str, str]) -> Response:
        assert query.keys() in ({"rrsets"}, {"rrsets", "rrset_name", "rrset_type"}), query
        assert query.get("rrset_type", "TXT") == "TXT"
        if zone not in self.zones:
            return failed(404, "Not Found")
        hides = self.version == OLD and "rrset_name" in query
        found = [
            {
                "name": name,
                "type": "TXT",
                "ttl": ttl,
                "comments": [],
                "records": [
                    {"content": content, "disabled": disabled}
                    for content, disabled in contents.items()
                    if not (hides and disabled)
                ],
            }
            for (of, name), (ttl, contents) in self.sets.items()
            if of == zone and name == query.get("rrset_name", name) and contents
        ]
        return answered({**described(zone, self.zones[zone]), "rrsets": found})

    def _patch(self, zone: str, body: dict[str, Any]) -> Response:
        assert body.keys() == {"rrsets"}
        assert body["rrsets"]
        self.written()
        if zone not in self.zones:
            return failed(404, "Not Found")
        whole: set[str] = set()
        before = {key: (ttl, dict(contents)) for key, (ttl, contents) in self.sets.items()}
        for one in body["rrsets"]:
            assert one.keys() == {"name", "type", "ttl", "changetype", "records"}, one
            assert one["type"] == "TXT"
            assert one["name"] == zone or one["name"].endswith(f".{zone}"), "out of zone"
            assert all(record.keys() == {"content", "disabled"} for record in one["records"])
            problem = self._change(zone, one, whole)
            if problem:
                self.sets = before
                return failed(422, problem)
        return Response(204)

    def _change(self, zone: str, one: dict[str, Any], whole: set[str]) -> str:
        name, kind, records = one["name"], one["changetype"], one["records"]
        ttl, contents = self.sets.get((zone, name), (one["ttl"], {}))
        for record in records:
            if not re.fullmatch(r'("(?:[^"\\]|\\.){0,255}" ?)+', record["content"]):
                return f"Record {name}/TXT: Parsing record content: Data field in DNS should start with quote"
        if kind == "REPLACE":
            if name in whole or len({record["content"] for record in records}) < len(records):
                return "Duplicate record in RRset"
            whole.add(name)
            self.sets[zone, name] = (one["ttl"], {record["content"]: record["disabled"] for record in records})
            return ""
        if self.version == OLD:
            return "Changetype not understood"
        if len(records) != 1:
            return "Exactly one record should be provided for PRUNE or EXTEND operation"
        content = records[0]["content"]
        if kind == "PRUNE":
            contents.pop(content, None)
        elif content not in contents:
            if contents and ttl != one["ttl"]:
                return f"RRset {name} IN TXT has different TTLs"
            contents[content] = False
        self.sets[zone, name] = (ttl, contents)
        return ""

    def _longest(self, name: str) -> str:
        fitting = [
            zone for zone in self.zones if ".." not in zone and (f"{name}." == zone or f"{name}.".endswith(f".{zone}"))
        ]
        return max(fitting, key=len)


def described(name: str, kind: str) -> dict[str, Any]:
    return {
        "account": "",
        "catalog": "",
        "edited_serial": 1,
        "id": name,
        "kind": kind,
        "last_check": 0,
        "masters": [],
        "name": name,
        "notified_serial": 0,
        "serial": 1,
        "url": f"/api/v1/servers/localhost/zones/{name}",
    }


def answered(body: Any) -> Response:
    return Response(200, Headers({"Content-Type": "application/json"}), json.dumps(body).encode())


def failed(status: int, error: str) -> Response:
    body = json.dumps({"error": f"{error} {SECRET}"}).encode()
    return Response(status, Headers({"Content-Type": "application/json"}), body)


class PowerDns(Conformance):
    version: ClassVar[str]
    zones_a_page = 100
    records_a_page = 100
    right = "the api-key of pdns.conf"

    def make_double(self) -> PowerDnsDouble:
        return PowerDnsDouble(self.version)

    async def test_a_record_that_is_disabled_is_not_there_and_stays_unless_it_is_ours(
        self, api: PowerDnsDouble
    ) -> None:
        api.sets["example.com.", f"{NAME}."] = (77, {quoted("other"): True, quoted(WILD[0].value): True})
        await api.provider().present(WILD[1:])
        assert api.values(NAME) == [WILD[1].value]
        assert api.sets["example.com.", f"{NAME}."][1][quoted("other")]
        assert api.ttl(NAME) == 77, "all values of a set have one TTL: the one that somebody else chose"

    async def test_the_copy_of_a_zone_is_not_changed(self, api: PowerDnsDouble) -> None:
        api.add_zone("copy.example", kind="Slave")
        with pytest.raises(ProviderRefused, match=r"copy\.example .* is a copy of another server's: name its primary"):
            await api.provider().present([TxtRecord("_acme-challenge.copy.example", "value")])
        assert not api.sent["write"]

    async def test_secondaries_are_notified_of_a_primary_zone(self, api: PowerDnsDouble) -> None:
        api.add_zone("primary.example", kind="Master")
        await api.provider().present([TxtRecord("_acme-challenge.primary.example", "value"), *WILD])
        assert api.notified == ["primary.example."]

    async def test_a_zone_that_vanished_and_a_server_that_is_none_are_told_apart(self, api: PowerDnsDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404\): the zone example\.com is gone"):
            await provider.clean_up(WILD)
        api.answers.append((404, {}))
        with pytest.raises(ProviderRefused, match=r"HTTP 404\): there is no such server: check url and serverID"):
            await api.provider().present(WILD)

    async def test_what_is_no_list_of_zones_is_told(self, api: PowerDnsDouble) -> None:
        api.answers.append((200, {}))
        with pytest.raises(ProviderUnreachable, match="nothing that is an answer of its API"):
            await api.provider().present(WILD)


class TestExtend(PowerDns):
    """From 4.9.12 and 5.0.2 on the server adds and removes values."""

    version = NEW
    requests_for_100 = 3

    async def test_a_name_takes_three_requests_and_its_removal_one(self, api: PowerDnsDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        assert (api.sent["all"], api.sent["PATCH"]) == (3, 1)
        await provider.clean_up(WILD)
        assert (api.sent["all"], api.sent["PATCH"]) == (4, 2)

    async def test_values_of_others_that_come_in_between_stay(self, api: PowerDnsDouble) -> None:
        api.before_write = lambda: api.put(NAME, "foreign", ttl=60)
        await api.provider().present(WILD)
        assert len(api.values(NAME)) == 3

    @pytest.mark.parametrize(
        ("version", "extends"),
        [("4.9.11", False), ("4.9.12", True), ("5.0.1", False), ("5.0.2", True), ("5.1.0-beta1", True), ("git", False)],
    )
    async def test_which_versions_can_do_it_is_known(self, version: str, extends: bool) -> None:  # noqa: FBT001 - a parameter
        api = PowerDnsDouble(version)
        api.add_zone("example.com")
        await api.provider().present(WILD)
        assert (api.sent["GET"] == 2) is extends, "a server that cannot has to be read from"


class TestReplace(PowerDns):
    """Earlier versions replace whole sets."""

    version = OLD
    requests_for_100 = 5

    async def test_of_a_zone_that_is_too_large_only_the_names_are_read(self, api: PowerDnsDouble) -> None:
        read = api._read

        def too_large(zone: str, query: dict[str, str]) -> Response:
            if "rrset_name" not in query:
                raise ResponseTooLarge("too large", host="dns.example.net")
            return read(zone, query)

        api._read = too_large  # type: ignore[method-assign]  # what a large zone does
        await api.provider().present(WILD)
        assert len(api.values(NAME)) == 2

    async def test_what_somebody_else_replaced_meanwhile_is_seen_afterwards_and_made_again(
        self, api: PowerDnsDouble
    ) -> None:
        changed: list[bool] = []
        patch = api._patch

        def outrun(zone: str, body: dict[str, Any]) -> Response:
            done = patch(zone, body)
            if not changed:
                changed.append(True)
                api.sets[zone, f"{NAME}."] = (60, {quoted("foreign"): False})
            return done

        api._patch = outrun  # type: ignore[method-assign]  # what another client does
        await api.provider().present(WILD)
        assert api.values(NAME) == sorted(["foreign", *(one.value for one in WILD)])


@pytest.mark.parametrize("value", ["", "two words", "k\u00e9y"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(value: str) -> None:
    config = PowerdnsConfig(URL, Credential(value, "the entry key of Secret dns/pdns"))
    with pytest.raises(InvalidCredential, match="the API key in the entry key of Secret dns/pdns") as caught:
        config.build(PowerDnsDouble().context())
    assert not value or value not in str(caught.value)


async def test_its_server_is_trusted_by_the_bundle_that_is_configured() -> None:
    api = PowerDnsDouble()
    asked: list[str] = []
    api.add_zone("example.com")
    context = api.context()

    def trusting(bundle: str) -> PowerDnsDouble:
        asked.append(bundle)
        return api

    context._trusting = trusting
    await PowerdnsConfig(URL, Credential(SECRET), ca_bundle="PEM").build(context).present(WILD)
    assert asked == ["PEM"] * 3
