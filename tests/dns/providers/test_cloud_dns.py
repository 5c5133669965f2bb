"""Google Cloud DNS, against a double that is as strict as the API v1, which Google's own library works on as well."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import itertools
import json
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from certwright.dns import InvalidCredential, ProviderRefused, ProviderUnreachable, TxtRecord, ZoneNotFound
from certwright.dns.credential import Credential
from certwright.dns.hosted.changes import EVERY_SECONDS, MAX_FAILURES
from certwright.dns.hosted.google_token import SCOPE, read_service_account_key
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.provider import ProviderContext
from certwright.dns.providers.cloud_dns import CloudDNSConfig, CloudDNSProvider
from certwright.dns.surroundings import Surroundings
from certwright.http.message import Headers, Response
from tests.dns.providers.conformance.description import Discovery
from tests.dns.providers.conformance.double import SECRET, Double
from tests.dns.providers.conformance.sdk import mount, sdk, session_to
from tests.dns.providers.conformance.suite import NAME, OURS, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from certwright.dns import Provider

PROJECT = "shop-dns-1"
EMAIL = f"certwright@{PROJECT}.iam.gserviceaccount.com"
TOKEN_URI = "https://oauth2.googleapis.com/token"
STS = "https://sts.googleapis.com/v1/token"
IMPERSONATE = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"
ZONES_A_PAGE = 50
SETS_A_PAGE = 100
MAX_VALUES = 100
PREFIX = f"/dns/v1/projects/{PROJECT}"


@functools.cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def pem() -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private_key().private_bytes(*form).decode()


def key_file(**changed: Any) -> str:
    """Return the JSON as Google gives it, but for some fields."""
    found = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "a1b2c3",
        "private_key": pem(),
        "client_email": EMAIL,
        "client_id": "1234567890",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": TOKEN_URI,
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "universe_domain": "googleapis.com",
        **changed,
    }
    return json.dumps({name: value for name, value in found.items() if value is not None})


class CloudDNSDouble(Double):
    """The API v1 and the token endpoint: changes that are made as a whole, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.zones: dict[str, dict[str, Any]] = {}
        self.sets: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        self.changes: dict[str, dict[str, Any]] = {}
        self.tokens = [SECRET]
        self.assertions: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, str], Any]] = []
        self.may_look_at_zones = True
        self._api = Discovery("google-dns-v1.json")
        self._ids = itertools.count(1)

    # What the suite asks for.

    def provider(self) -> CloudDNSProvider:
        return self.config().build(self.context())

    def config(self, **fields: Any) -> CloudDNSConfig:
        return CloudDNSConfig(**{"project": PROJECT, "service_account": Credential(f"{key_file()}\n"), **fields})

    def add_zone(self, name: str, *, private: bool = False, id: str | None = None) -> None:  # noqa: A002 - as it is called
        zone = id or f"z{'-private' if private else ''}-{name.replace('.', '-')}"
        self.zones[zone] = {
            "kind": "dns#managedZone",
            "name": zone,
            "dnsName": f"{name}.",
            "description": "",
            "id": str(next(self._ids)),
            "nameServers": ["ns-cloud-a1.googledomains.com."],
            "creationTime": "2026-01-01T00:00:00.000Z",
            "visibility": "private" if private else "public",
        }
        self.sets[zone] = {
            (f"{name}.", kind): self._set(f"{name}.", kind, 21600, [data])
            for kind, data in (
                ("NS", "ns-cloud-a1.googledomains.com."),
                ("SOA", "ns-cloud-a1.googledomains.com. a. 1 2 3 4 5"),
            )
        }

    def put(self, name: str, value: str) -> None:
        sets = self.sets[self._longest(name)]
        old = sets.get((f"{name}.", "TXT"))
        rrdatas = [*(old["rrdatas"] if old else ()), quoted(value)]
        sets[f"{name}.", "TXT"] = self._set(f"{name}.", "TXT", old["ttl"] if old else 300, rrdatas)

    def drop(self, name: str, value: str) -> None:
        sets = self.sets[self._longest(name)]
        rrdatas = [one for one in sets[f"{name}.", "TXT"]["rrdatas"] if unquoted(one) != value]
        if rrdatas:
            sets[f"{name}.", "TXT"]["rrdatas"] = rrdatas
        else:
            del sets[f"{name}.", "TXT"]

    def values(self, name: str, zone: str | None = None) -> list[str]:
        found = self._longest(name) if zone is None else f"z-{zone.replace('.', '-')}"
        return sorted(map(unquoted, self.sets[found].get((f"{name}.", "TXT"), {}).get("rrdatas", ())))

    def ttl(self, name: str) -> int:
        return int(self.sets[self._longest(name)][f"{name}.", "TXT"]["ttl"])

    def zone_of(self, path: str) -> str:
        parts = path.removeprefix(f"{PREFIX}/").split("/")
        return str(self.zones[parts[1]]["dnsName"].rstrip(".")) if len(parts) > 2 and parts[1] in self.zones else ""

    def is_login(self, url: str) -> bool:
        return not url.startswith("https://dns.googleapis.com/")

    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        given = {name.lower(): value for name, value in headers.items()}
        if self.is_login(url):
            assert method == "POST"
            return True
        assert ("content-type" in given) == (content is not None), "a body has a type"
        assert given.get("content-type", "application/json") == "application/json"
        return given.get("authorization") == f"Bearer {self.tokens[-1]}"

    def denial(self) -> Response:
        return failure(HTTPStatus.FORBIDDEN, "forbidden", "PERMISSION_DENIED")

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        if path == "/token":
            assert not query
            return self._token(content or b"")
        body: Any = json.loads(content) if content is not None else None
        for one in itertools.chain.from_iterable((body or {}).values()):
            one["ttl"] = int(one.get("ttl", 0))  # the library writes a text, which Google takes as well
        called, said = self._api.method(method, path, query)
        self._api.check_request(called, body)
        self.calls.append((called, query, body))
        assert said["project"] == PROJECT
        found = {
            "managedZones.list": self._list_zones,
            "managedZones.get": self._get_zone,
            "resourceRecordSets.list": self._list_sets,
            "changes.create": self._change,
            "changes.get": self._get_change,
        }[called](said, query, body)
        if found.status == HTTPStatus.OK:
            whole = json.loads(found.body)
            self._api.check_answer(called, whole)
            return answered(partial(whole, query["fields"]) if "fields" in query else whole)
        return found

    # Google.

    def _token(self, content: bytes) -> Response:
        form = {name: value for name, [value] in parse_qs(content.decode(), strict_parsing=True).items()}
        assert form.keys() == {"grant_type", "assertion"}
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        signed, _, signature = form["assertion"].rpartition(".")
        private_key().public_key().verify(decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        header, claims = (json.loads(decoded(part)) for part in signed.split("."))
        assert header == {"alg": "RS256", "typ": "JWT", "kid": "a1b2c3"}
        self.assertions.append(claims)
        if not abs(claims["iat"] - time.time()) < 300:
            return answered({"error": "invalid_grant", "error_description": f"Invalid JWT {SECRET}"}, 400)
        assert claims.keys() == {"iss", "scope", "aud", "iat", "exp"}
        assert (claims["iss"], claims["scope"], claims["aud"]) == (EMAIL, SCOPE, TOKEN_URI)
        assert claims["exp"] - claims["iat"] == 3600
        return answered({"access_token": self.tokens[-1], "expires_in": 3599, "token_type": "Bearer"})

    def _list_zones(self, _: dict[str, str], query: dict[str, str], __: Any) -> Response:
        return page("dns#managedZonesListResponse", "managedZones", list(self.zones.values()), query, ZONES_A_PAGE)

    def _get_zone(self, said: dict[str, str], _: dict[str, str], __: Any) -> Response:
        if not self.may_look_at_zones:
            return self.denial()
        zone = self.zones.get(said["managedZone"])
        return failure(HTTPStatus.NOT_FOUND, "notFound", "NOT_FOUND") if zone is None else answered(zone)

    def _list_sets(self, said: dict[str, str], query: dict[str, str], _: Any) -> Response:
        if said["managedZone"] not in self.zones:
            return failure(HTTPStatus.NOT_FOUND, "notFound", "NOT_FOUND")
        assert "type" not in query or "name" in query, "type needs name"
        assert query.get("name", ".").endswith("."), "names are absolute"
        found = [
            one
            for one in self.sets[said["managedZone"]].values()
            if query.get("name") in (None, one["name"]) and query.get("type") in (None, one["type"])
        ]
        return page("dns#resourceRecordSetsListResponse", "rrsets", found, query, SETS_A_PAGE)

    def _change(self, said: dict[str, str], query: dict[str, str], body: dict[str, Any]) -> Response:
        assert query.keys() <= {"prettyPrint"}
        self._check_limits(body)
        self.written()
        if said["managedZone"] not in self.zones:
            return failure(HTTPStatus.NOT_FOUND, "notFound", "NOT_FOUND")
        zone, sets = self.zones[said["managedZone"]], dict(self.sets[said["managedZone"]])
        for one in body.get("deletions", ()):
            there = sets.pop((one["name"], one["type"]), None)
            if there is None:
                return failure(HTTPStatus.NOT_FOUND, "notFound", "NOT_FOUND")
            if any(one.get(key) != there.get(key) for key in ("ttl", "rrdatas", "routingPolicy")):
                return failure(HTTPStatus.PRECONDITION_FAILED, "conditionNotMet", "FAILED_PRECONDITION")
        for one in body.get("additions", ()):
            if not one["name"].endswith((f".{zone['dnsName']}", zone["dnsName"])):
                return failure(HTTPStatus.BAD_REQUEST, "invalid", "INVALID_ARGUMENT")
            if (one["name"], one["type"]) in sets:
                return failure(HTTPStatus.CONFLICT, "alreadyExists", "ALREADY_EXISTS")
            if (one["name"], "CNAME") in sets:
                return failure(HTTPStatus.CONFLICT, "cnameResourceRecordSetConflict", "FAILED_PRECONDITION")
            sets[one["name"], one["type"]] = self._set(one["name"], one["type"], one["ttl"], one["rrdatas"])
        self.sets[said["managedZone"]] = sets
        change = {
            **body,
            "kind": "dns#change",
            "id": str(next(self._ids)),
            "startTime": "2026-01-01T00:00:00.000Z",
            "status": "pending",
        }
        self.changes[change["id"]] = change
        return answered(change)

    def _get_change(self, said: dict[str, str], _: dict[str, str], __: Any) -> Response:
        return answered(self.changes[said["changeId"]])

    def _check_limits(self, body: dict[str, Any]) -> None:
        assert any(body.values())
        assert body.keys() <= {"additions", "deletions"}, body
        size = 0
        for one in body.get("deletions", ()):
            one["name"] = one["name"].lower()  # they repeat what was answered, whose names are those in capitals
        for one in itertools.chain.from_iterable(body.values()):
            assert one["name"].endswith(".")
            assert one["name"] == one["name"].lower()
            assert one["type"] == "TXT"
            size += sum(map(len, one.get("rrdatas", ())))
        assert size <= 100_000, "Resource record data size per change"
        assert all(len(part) <= 1000 for part in body.values())
        for one in body.get("additions", ()):
            assert one.keys() == {"name", "type", "ttl", "rrdatas"}
            assert 0 < len(one["rrdatas"]) <= MAX_VALUES
            assert len(set(one["rrdatas"])) == len(one["rrdatas"])
            for text in one["rrdatas"]:
                assert re.fullmatch(r'"(?:[^"\\]|\\.)*"(?: "(?:[^"\\]|\\.)*")*', text), "Google would put it in quotes"
                assert all(len(part.replace("\\", "")) <= 255 for part in text[1:-1].split('" "'))

    def _set(self, name: str, kind: str, ttl: int, rrdatas: list[str]) -> dict[str, Any]:
        return {
            "kind": "dns#resourceRecordSet",
            "name": name,
            "type": kind,
            "ttl": ttl,
            "rrdatas": list(rrdatas),
            "signatureRrdatas": [],
        }

    def _longest(self, name: str) -> str:
        fitting = [
            zone
            for zone, its in self.zones.items()
            if f".{name}.".endswith(f".{its['dnsName']}") and its["visibility"] == "public"
        ]
        return max(fitting, key=lambda zone: len(self.zones[zone]["dnsName"]))


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def page(kind: str, items: str, found: list[Any], query: Mapping[str, str], size: int) -> Response:
    size = min(size, int(query.get("maxResults", size)))
    start = int(query.get("pageToken", "p0").removeprefix("p"))
    more = {"nextPageToken": f"p{start + size}"} if len(found) > start + size else {}
    return answered({"kind": kind, items: found[start : start + size], **more})


def partial(whole: dict[str, Any], fields: str) -> dict[str, Any]:
    """Return the fields that a partial response has: `a,b(c,d)`."""
    wanted = dict(re.findall(r"([A-Za-z]+)(?:\(([^)]*)\))?", fields))
    return {
        name: [{key: one[key] for key in wanted[name].split(",") if key in one} for one in value]
        if wanted[name]
        else value
        for name, value in whole.items()
        if name in wanted
    }


def answered(body: Any, status: int = 200) -> Response:
    return Response(status, Headers({"Content-Type": "application/json; charset=UTF-8"}), json.dumps(body).encode())


def failure(code: int, reason: str, status: str) -> Response:
    errors = [{"message": f"why {SECRET}", "domain": "global", "reason": reason}]
    return answered({"error": {"code": code, "message": f"why {SECRET}", "errors": errors, "status": status}}, code)


class TestCloudDNS(Conformance):
    requests_for_100 = 5
    zones_a_page = ZONES_A_PAGE
    records_a_page = SETS_A_PAGE
    right = "roles/dns.admin"

    def make_double(self) -> CloudDNSDouble:
        return CloudDNSDouble()

    async def test_one_name_takes_four_requests_and_its_removal_two(self, api: CloudDNSDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        assert api.sent["all"] == 4, "token, zones, sets, change"
        await provider.clean_up(WILD)
        assert api.sent["all"] == 6

    async def test_a_hundred_names_take_one_change_or_two(self, api: CloudDNSDouble) -> None:
        await self.test_100_names_of_as_many_certificates_need_no_more_than_the_batches(api)
        assert api.sent["write"] == 1

    async def test_what_is_too_much_for_one_change_goes_in_several(self, api: CloudDNSDouble) -> None:
        records = [TxtRecord(f"w{number}.example.com", "v" * 43) for number in range(1000)]
        for record in records[:20]:
            for number in range(50):
                api.put(record.name, f"{number}" + "x" * 100)
        await api.provider().present(records)
        assert api.sent["write"] == 3, "200 kB of values of others are deleted and added, with 45 kB of our own"
        assert all(record.value in api.values(record.name) for record in records)

    async def test_the_set_of_somebody_else_keeps_its_ttl_and_how_its_values_are_written(
        self, api: CloudDNSDouble
    ) -> None:
        zone = api.sets["z-example-com"]
        zone[f"{NAME}.", "TXT"] = api._set(f"{NAME}.", "TXT", 7200, ['"a" "b"', '"\\065"'])
        await api.provider().present([OURS])
        assert zone is not api.sets["z-example-com"]
        found = api.sets["z-example-com"][f"{NAME}.", "TXT"]
        assert (found["ttl"], set(found["rrdatas"])) == (7200, {'"a" "b"', '"\\065"', quoted(OURS.value)})

    async def test_a_set_with_a_routing_policy_is_left_alone(self, api: CloudDNSDouble) -> None:
        policy = {"name": f"{NAME}.", "type": "TXT", "ttl": 60, "routingPolicy": {"wrr": {"items": []}}}
        api.sets["z-example-com"][f"{NAME}.", "TXT"] = policy
        other = TxtRecord("_acme-challenge.other.example.com", "value")
        with pytest.raises(ProviderRefused, match="have a routing policy") as caught:
            await api.provider().present([OURS, other])
        assert caught.value.names == tuple(sorted((NAME, other.name)))
        await api.provider().clean_up([OURS])
        assert api.sets["z-example-com"][f"{NAME}.", "TXT"] == policy

    async def test_a_cname_at_the_name_is_told(self, api: CloudDNSDouble) -> None:
        api.sets["z-example-com"][f"{NAME}.", "CNAME"] = api._set(f"{NAME}.", "CNAME", 60, ["elsewhere.example."])
        with pytest.raises(ProviderRefused, match=r"cnameResourceRecordSetConflict.*there is a CNAME at the name"):
            await api.provider().present([OURS])

    async def test_a_zone_that_vanished_is_told(self, api: CloudDNSDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404, notFound.*no managed zone z-example-com") as caught:
            await provider.clean_up(WILD)
        assert (caught.value.code, caught.value.names) == ("notFound", (NAME,))

    async def test_two_public_zones_of_one_name_need_the_name_of_one(self, api: CloudDNSDouble) -> None:
        api.add_zone("example.com", id="another")
        with pytest.raises(ZoneNotFound, match=r"2 public zones example\.com: .*hostedZoneName"):
            await api.provider().present(WILD)
        await api.config(hosted_zone_name="another").build(api.context()).present(WILD)
        assert (f"{NAME}.", "TXT") in api.sets["another"]

    async def test_a_change_is_asked_for_until_google_has_sent_it_to_its_name_servers(
        self, api: CloudDNSDouble
    ) -> None:
        provider = api.config().build(api.context())
        await provider.present(WILD)
        said = "Google Cloud DNS is still distributing the change (pending)"
        for _ in range(2):
            assert await provider.pending([*WILD, TxtRecord("other.example.com", "v")]) == dict.fromkeys(WILD, said)
            api.now += EVERY_SECONDS
        [change] = api.changes.values()
        change["status"] = "done"
        api.now += EVERY_SECONDS
        assert await provider.pending(WILD) == {}
        asked = [query for called, query, _ in api.calls if called == "changes.get"]
        assert len(asked) == 2
        api.changes.clear()
        assert await provider.pending(WILD) == {}, "and is not asked for again"

    async def test_a_question_that_fails_harms_nothing(self, api: CloudDNSDouble) -> None:
        provider = api.config().build(api.context())
        await provider.present(WILD)
        api.denied = True
        for _ in range(MAX_FAILURES + 1):
            api.now += EVERY_SECONDS
            found = await provider.pending(WILD)
        assert found == {}


class TestHostedZoneName:
    @pytest.fixture
    def api(self) -> CloudDNSDouble:
        double = CloudDNSDouble()
        double.add_zone("example.com")
        double.add_zone("private.test", private=True)
        return double

    def provider(self, api: CloudDNSDouble, zone: str = "z-example-com") -> Provider:
        return api.config(hosted_zone_name=zone).build(api.context())

    async def test_zones_are_not_listed(self, api: CloudDNSDouble) -> None:
        await self.provider(api).present(WILD)
        assert [called for called, *_ in api.calls] == ["managedZones.get", "resourceRecordSets.list", "changes.create"]
        assert len(api.values(NAME)) == 2

    async def test_a_name_of_another_zone_is_told_before_anything_is_written(self, api: CloudDNSDouble) -> None:
        with pytest.raises(ZoneNotFound, match="hostedZoneName names, z-example-com, is another one"):
            await self.provider(api).present([TxtRecord("_acme-challenge.other.example", "value")])
        assert api.sent["write"] == 0

    async def test_without_the_right_to_look_at_the_zone_the_api_judges_the_names(self, api: CloudDNSDouble) -> None:
        api.may_look_at_zones = False
        provider = self.provider(api)
        await provider.present(WILD)
        assert len(api.values(NAME)) == 2
        with pytest.raises(ProviderRefused, match=r"HTTP 400, invalid.*z-example-com"):
            await provider.present([TxtRecord("_acme-challenge.other.example", "value")])

    async def test_a_zone_that_is_not_there_is_told(self, api: CloudDNSDouble) -> None:
        with pytest.raises(ProviderRefused, match=f"no managed zone missing in the project {PROJECT}"):
            await self.provider(api, "missing").present(WILD)

    async def test_a_private_zone_that_is_named_is_meant(self, api: CloudDNSDouble) -> None:
        await self.provider(api, "z-private-private-test").present([TxtRecord("a.private.test", "value")])
        assert ("a.private.test.", "TXT") in api.sets["z-private-private-test"]


class TestTokens:
    @pytest.fixture
    def api(self) -> CloudDNSDouble:
        double = CloudDNSDouble()
        double.add_zone("example.com")
        return double

    async def test_a_token_is_used_until_shortly_before_its_end(self, api: CloudDNSDouble) -> None:
        provider = api.provider()
        for now, tokens in ((1000.0, 1), (1000.0 + 3400, 1), (1000.0 + 3500, 2)):
            api.now = now
            await provider.present(WILD)
            assert len(api.assertions) == tokens

    async def test_a_token_that_was_revoked_is_replaced_once(self, api: CloudDNSDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.answers.append((401, {}))
        await provider.clean_up(WILD)
        assert api.values(NAME) == []
        api.answers += [(401, {}), (200, {})]
        with pytest.raises(ProviderUnreachable):
            await provider.present(WILD)

    async def test_a_quota_of_requests_is_a_throttle(self, api: CloudDNSDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.denial = lambda: failure(403, "rateLimitExceeded", "RESOURCE_EXHAUSTED")  # type: ignore[method-assign]
        api.denied = True
        with pytest.raises(ProviderUnreachable, match="too many requests") as caught:
            await provider.clean_up(WILD)
        assert caught.value.retry_after == 30
        api.denied = False
        sent = api.sent["all"]
        with pytest.raises(ProviderUnreachable):
            await provider.clean_up(WILD)
        assert api.sent["all"] == sent
        api.now += 31
        await provider.clean_up(WILD)
        assert api.values(NAME) == []

    @pytest.mark.parametrize(
        ("reason", "said"),
        [
            ("accessNotConfigured", f"the Cloud DNS API is not enabled in the project {PROJECT}"),
            ("insufficientPermissions", "the access scopes of the node do not include Cloud DNS"),
            ("quotaExceeded", f"a limit of Cloud DNS is reached in the project {PROJECT}"),
            ("forbidden", rf"roles/dns\.admin.*in the project {PROJECT}"),
            ("", r"HTTP 403, PERMISSION_DENIED.*roles/dns\.admin"),
        ],
    )
    async def test_a_refusal_says_what_is_missing(self, api: CloudDNSDouble, reason: str, said: str) -> None:
        api.denied = True
        api.denial = lambda: failure(403, reason, "PERMISSION_DENIED")  # type: ignore[method-assign]
        with pytest.raises(ProviderRefused, match=said) as caught:
            await api.provider().present(WILD)
        assert SECRET not in str(caught.value)

    async def test_a_key_that_google_does_not_know_any_more_is_told_once(self, api: CloudDNSDouble) -> None:
        refusal = answered({"error": "invalid_grant", "error_description": SECRET}, 400)
        api._token = lambda content: refusal  # type: ignore[method-assign]  # noqa: ARG005 - as it is called
        provider = api.provider()
        for _ in range(3):
            with pytest.raises(ProviderRefused, match=r"HTTP 400, invalid_grant.*key was deleted.*clock") as caught:
                await provider.present(WILD)
        assert (caught.value.code, caught.value.host) == ("invalid_grant", "oauth2.googleapis.com")
        assert api.sent["all"] == 1

    @pytest.mark.parametrize("said", [{}, {"access_token": "a b", "expires_in": 3599}, {"access_token": SECRET}])
    async def test_an_answer_without_a_token_is_told(self, api: CloudDNSDouble, said: dict[str, Any]) -> None:
        api._token = lambda content: answered(said)  # type: ignore[method-assign]  # noqa: ARG005 - as it is called
        with pytest.raises(ProviderUnreachable, match=r"oauth2\.googleapis\.com answered .* with nothing that is one"):
            await api.provider().present(WILD)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON"),
        ("[]", "is not JSON"),
        ("[" * 20000, "is not JSON"),
        ("{" + " " * 40000 + "}", "is longer than any such file"),
        (lambda: key_file(type="authorized_user"), "its type is not service_account"),
        (lambda: key_file(type="external_account"), "its type is not service_account"),
        (lambda: key_file(token_uri="https://attacker.example/token"), "a token_uri that is not one of Google's"),
        (lambda: key_file(token_uri="https://oauth2.googleapis.com.attacker.example/t"), "token_uri"),
        (lambda: key_file(token_uri="https://oauth2.googleapis.com@attacker.example/t"), "token_uri"),
        (lambda: key_file(token_uri="http://oauth2.googleapis.com/token"), "token_uri"),
        (lambda: key_file(universe_domain="s3nsapis.fr"), "universe_domain"),
        (lambda: key_file(client_email=None), "client_email"),
        (lambda: key_file(client_email="a\nb@example.com"), "client_email"),
        (lambda: key_file(private_key_id="\u00e4"), "private_key_id"),
        (lambda: key_file(private_key=None), "no private_key"),
        (lambda: key_file(private_key="\ud800"), "the private_key of .* cannot be read"),
        (lambda: key_file(private_key=pem().replace("PRIVATE", "PUBLIC")), "the private_key of .* cannot be read"),
        (lambda: key_file(private_key=pem() + " " * 20000), "the private_key of .* bytes long"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_service_account_key_is_refused_without_being_shown(content: Any, said: str) -> None:
    text = content if isinstance(content, str) else content()
    with pytest.raises(InvalidCredential, match=said) as caught:
        CloudDNSConfig(PROJECT, Credential(text, "the entry key of Secret shop/dns")).build(CloudDNSDouble().context())
    assert "the entry key of Secret shop/dns" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "attacker" not in str(caught.value)


def test_a_key_file_without_what_is_optional_is_taken() -> None:
    found = read_service_account_key(Credential(key_file(token_uri=None, private_key_id=None, universe_domain=None)))
    assert (found.token_uri, found.key_id) == (TOKEN_URI, None)
    assert "PRIVATE" not in repr(found)


class Metadata:
    """The metadata server of Compute Engine."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        assert (method, dict(headers), content) == ("GET", {"Metadata-Flavor": "Google"}, None)
        assert max_bytes
        self.asked.append(url)
        return self.answer

    async def aclose(self) -> None: ...


def metadata_answer(status: int = 200, *, flavor: str | None = "Google") -> Response:
    fields = {"Metadata-Flavor": flavor} if flavor else {}
    body = {"access_token": SECRET, "expires_in": 3599, "token_type": "Bearer"}
    return Response(status, Headers(fields), json.dumps(body).encode())


class TestAmbient:
    """Without a key: the identity of the pod or the node."""

    @pytest.fixture
    def api(self) -> CloudDNSDouble:
        double = CloudDNSDouble()
        double.add_zone("example.com")
        return double

    def provider(self, api: CloudDNSDouble, environ: dict[str, str], service: Metadata | None = None) -> Provider:
        def nobody() -> Any:
            if service is None:
                raise AssertionError("the metadata service is not asked")
            return service

        context = ProviderContext(
            None,  # type: ignore[arg-type]  # it knows its zones
            lambda: api,
            surroundings=Surroundings(environ, nobody),
            monotonic=lambda: api.now,
        )
        return api.config(service_account=None, ambient=True).build(context)

    async def test_the_metadata_server_gives_the_token(self, api: CloudDNSDouble) -> None:
        service = Metadata(metadata_answer())
        await self.provider(api, {}, service).present(WILD)
        assert len(api.values(NAME)) == 2
        [url] = service.asked
        assert url.startswith("http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token?")
        assert parse_qs(urlsplit(url).query) == {"scopes": [SCOPE]}
        await self.provider(api, {"GCE_METADATA_HOST": "metadata.test:8080"}, service).clean_up(WILD)
        assert service.asked[1].startswith("http://metadata.test:8080/")

    @pytest.mark.parametrize(
        ("answer", "error", "said"),
        [
            (metadata_answer(404), ProviderRefused, r"HTTP 404\): the node needs a service account; on GKE"),
            (metadata_answer(403), ProviderRefused, "Workload Identity User"),
            (metadata_answer(flavor=None), ProviderRefused, "gave no access token"),
            (metadata_answer(503), ProviderUnreachable, "out of service"),
        ],
    )
    async def test_where_there_is_no_identity_it_is_told(
        self, api: CloudDNSDouble, answer: Response, error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            await self.provider(api, {}, Metadata(answer)).present(WILD)

    async def test_a_host_that_is_none_is_told(self, api: CloudDNSDouble) -> None:
        with pytest.raises(InvalidCredential, match="GCE_METADATA_HOST"):
            await self.provider(api, {"GCE_METADATA_HOST": "a/b?"}).present(WILD)

    def test_an_issuer_that_may_not_use_it_is_told_what_to_set(self, api: CloudDNSDouble) -> None:
        with pytest.raises(InvalidCredential, match="serviceAccountSecretRef"):
            api.config(service_account=None).build(api.context())

    async def test_a_key_file_that_the_environment_names_is_used(self, api: CloudDNSDouble, tmp_path: Path) -> None:
        file = tmp_path / "key.json"
        file.write_text(key_file())
        await self.provider(api, {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}).present(WILD)
        assert len(api.values(NAME)) == 2
        file.write_text("{}")
        with pytest.raises(InvalidCredential, match=r"key\.json \(GOOGLE_APPLICATION_CREDENTIALS\)"):
            await self.provider(api, {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}).present(WILD)

    async def test_a_token_of_another_cloud_is_exchanged_anew_each_time(
        self, api: CloudDNSDouble, tmp_path: Path
    ) -> None:
        federation = Federation(api, tmp_path)
        provider = self.provider(api, federation.environ)
        await provider.present(WILD)
        federation.token.write_text('{"id_token": "second"}')
        api.now += 3600
        await provider.clean_up(WILD)
        assert [form["subject_token"] for form in federation.forms] == ["first", "second"]
        assert federation.forms[0]["scope"] == "https://www.googleapis.com/auth/iam"
        assert federation.impersonated == [{"scope": [SCOPE], "lifetime": "3600s"}] * 2

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"token_url": "https://attacker.example/v1/token"}, "token_url"),
            ({"service_account_impersonation_url": "https://attacker.example/"}, "service_account_impersonation_url"),
            ({"credential_source": {"url": "http://169.254.169.254/"}}, "names no file in credential_source"),
            ({"credential_source": None}, "names no file in credential_source"),
        ],
    )
    async def test_a_file_that_leads_elsewhere_is_refused(
        self, api: CloudDNSDouble, tmp_path: Path, changed: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(InvalidCredential, match=said):
            await self.provider(api, Federation(api, tmp_path, **changed).environ).present(WILD)

    @pytest.mark.parametrize("url", [STS, IMPERSONATE])
    async def test_an_identity_that_google_does_not_take_is_told(
        self, api: CloudDNSDouble, tmp_path: Path, url: str
    ) -> None:
        federation = Federation(api, tmp_path)
        federation.refuses = urlsplit(url).path
        with pytest.raises(ProviderRefused, match=f"{urlsplit(url).netloc} gave no access token") as caught:
            await self.provider(api, federation.environ).present(WILD)
        assert SECRET not in str(caught.value)


class Federation:
    """Workload identity federation: a token file, the exchange of it, and the account that it may act for."""

    def __init__(self, api: CloudDNSDouble, folder: Path, **changed: Any) -> None:
        self.forms: list[dict[str, str]] = []
        self.impersonated: list[Any] = []
        self.refuses = ""
        self.token = folder / "token"
        self.token.write_text('{"id_token": "first"}')
        file = folder / "config.json"
        found = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": STS,
            "service_account_impersonation_url": IMPERSONATE,
            "credential_source": {
                "file": str(self.token),
                "format": {"type": "json", "subject_token_field_name": "id_token"},
            },
            **changed,
        }
        file.write_text(json.dumps(found))
        self.environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
        self._api, self._answer = api, api.answer
        api.answer = self.answer  # type: ignore[method-assign]  # two more hosts

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        if path not in (urlsplit(STS).path, urlsplit(IMPERSONATE).path):
            return self._answer(method, path, query, content)
        if path == self.refuses:
            return answered({"error": "invalid_target"} if "token" in path else {"error": {"message": SECRET}}, 400)
        if path == urlsplit(STS).path:
            form = {name: value for name, [value] in parse_qs((content or b"").decode(), strict_parsing=True).items()}
            assert form.keys() == {
                "grant_type",
                "audience",
                "scope",
                "requested_token_type",
                "subject_token",
                "subject_token_type",
            }
            self.forms.append(form)
            return answered({"access_token": "federated", "expires_in": 3600, "token_type": "Bearer"})
        self.impersonated.append(json.loads(content or b""))
        expiry = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        return answered({"accessToken": SECRET, "expireTime": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")})


class TestSdk:
    """Google's own library does on the double what the provider does, with the same requests."""

    def session(self, api: CloudDNSDouble, credentials: Any = None) -> Any:
        transport, account = sdk("google.auth.transport.requests"), sdk("google.oauth2.service_account")
        credentials = credentials or account.Credentials.from_service_account_info(
            json.loads(key_file()), scopes=[SCOPE]
        )
        session = transport.AuthorizedSession(credentials, auth_request=transport.Request(session=session_to(api)))
        mount(session, api)
        return session

    def client(self, api: CloudDNSDouble) -> Any:
        session = self.session(api)
        return sdk("google.cloud.dns").Client(project=PROJECT, credentials=session.credentials, _http=session)

    @pytest.fixture
    def api(self) -> CloudDNSDouble:
        double = CloudDNSDouble()
        double.add_zone("example.com")
        return double

    async def test_it_works_on_the_double_and_sends_what_the_provider_sends(self, api: CloudDNSDouble) -> None:
        ours = CloudDNSDouble()
        ours.add_zone("example.com")
        ours.put(NAME, "foreign")
        api.put(NAME, "foreign")
        await ours.provider().present(WILD)
        client = self.client(api)
        [zone] = client.list_zones()
        assert (zone.name, zone.dns_name) == ("z-example-com", "example.com.")
        [there] = [one for one in zone.list_resource_record_sets() if one.record_type == "TXT"]
        changes = zone.changes()
        changes.delete_record_set(there)
        rrdatas = [quoted(value) for value in sorted(["foreign", *(one.value for one in WILD)])]
        changes.add_record_set(zone.resource_record_set(there.name, "TXT", there.ttl, rrdatas))
        changes.create()
        assert changes.status == "pending"
        changes.reload()
        assert api.values(NAME) == ours.values(NAME)
        [mine] = [body for called, _, body in ours.calls if called == "changes.create"]
        [theirs] = [body for called, _, body in api.calls if called == "changes.create"]
        assert mine == theirs

    def test_it_sees_every_page_and_every_refusal(self, api: CloudDNSDouble) -> None:
        exceptions = sdk("google.api_core.exceptions")
        for number in range(60):
            api.add_zone(f"zone{number}.example")
        client = self.client(api)
        zones = {zone.dns_name: zone for zone in client.list_zones()}
        assert len(zones) == 61
        zone = zones["example.com."]
        for number in range(120):
            api.put(f"w{number}.example.com", "value")
        assert len(list(zone.list_resource_record_sets())) == 122

        def change(*, name: str = "w1.example.com.", ttl: int = 300, add: bool = False) -> None:
            changes = zone.changes()
            part = changes.add_record_set if add else changes.delete_record_set
            part(zone.resource_record_set(name, "TXT", ttl, [quoted("value")]))
            changes.create()

        with pytest.raises(exceptions.PreconditionFailed):
            change(ttl=60)
        with pytest.raises(exceptions.Conflict):
            change(add=True)
        with pytest.raises(exceptions.NotFound):
            change(name="w999.example.com.")
        change()
        assert api.values("w1.example.com") == []

    async def test_both_log_in_with_the_same_claims(self, api: CloudDNSDouble) -> None:
        await api.provider().present(WILD)
        self.session(api).request("GET", f"https://dns.googleapis.com{PREFIX}/managedZones")
        mine, theirs = ({**one, "iat": 0, "exp": one["exp"] - one["iat"]} for one in api.assertions)
        assert mine == theirs

    async def test_both_exchange_a_token_of_another_cloud_in_the_same_way(
        self, api: CloudDNSDouble, tmp_path: Path
    ) -> None:
        federation = Federation(api, tmp_path)
        context = ProviderContext(None, lambda: api, surroundings=Surroundings(federation.environ))  # type: ignore[arg-type]  # as above
        await api.config(service_account=None, ambient=True).build(context).present(WILD)
        file = federation.environ["GOOGLE_APPLICATION_CREDENTIALS"]
        credentials = sdk("google.auth.identity_pool").Credentials.from_file(file, scopes=[SCOPE])
        self.session(api, credentials).request("GET", f"https://dns.googleapis.com{PREFIX}/managedZones")
        mine, theirs = federation.forms
        assert mine == theirs
        assert all(one.items() >= {"scope": [SCOPE], "lifetime": "3600s"}.items() for one in federation.impersonated)
        assert len(federation.impersonated) == 2
