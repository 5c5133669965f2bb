"""Azure DNS, public and private, against a strict double that the vendor's own SDK works on as well."""

from __future__ import annotations

import io
import itertools
import json
import os
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pytest

from certwright.dns import InvalidCredential, ProviderRefused, ProviderUnreachable, TxtRecord, ZoneNotFound
from certwright.dns.credential import Credential
from certwright.dns.hosted.azure_token import CLOUDS
from certwright.dns.provider import ProviderContext
from certwright.dns.providers.azure_dns import AzureDNSConfig
from certwright.dns.surroundings import Surroundings
from certwright.http.errors import ConnectionFailed
from certwright.http.message import Headers, Response
from tests.dns.providers.conformance.double import SECRET, Double
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from certwright.dns import Provider

SUBSCRIPTION = "00000000-0000-0000-0000-00000000000a"
TENANT = "00000000-0000-0000-0000-00000000000b"
CLIENT = "00000000-0000-0000-0000-00000000000c"
GROUP = "dns (prod)"
PREFIX = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/"
VERSIONS = {"dnsZones": "2018-05-01", "privateDnsZones": "2024-06-01"}
KINDS = {"AzurePublicZone": "dnsZones", "AzurePrivateZone": "privateDnsZones"}
MAX_VALUES = 20
JSON = Headers({"Content-Type": "application/json"})


class AzureDouble(Double):
    """The Resource Manager's API of DNS zones, and the token endpoint of Microsoft Entra ID."""

    def __init__(self, zone_type: str = "AzurePublicZone", cloud: str = "AzurePublicCloud") -> None:
        super().__init__()
        self.zone_type = zone_type
        self.kind = KINDS[zone_type]
        self.cloud = CLOUDS[cloud]
        self.zones: dict[str, dict[str, dict[str, Any]]] = {"dnsZones": {}, "privateDnsZones": {}}
        self.sets: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self.calls: list[tuple[str, str, dict[str, str], dict[str, str], Any]] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.tokens: set[str] = set()
        self.forbidden = False
        self.is_locked = False
        self.entra: tuple[int, dict[str, Any]] | None = None
        self.next_link: str | None = None
        self._numbers = itertools.count(1)
        self._headers: dict[str, str] = {}

    # What the suite asks of it.

    def config(self, **changes: Any) -> AzureDNSConfig:
        given = {
            "subscription_id": SUBSCRIPTION,
            "resource_group_name": GROUP,
            "client_id": CLIENT,
            "client_secret": Credential(f"{SECRET}\n"),
            "tenant_id": TENANT,
            "zone_type": self.zone_type,
        }
        return AzureDNSConfig(**{**given, **changes})

    def provider(self, **changes: Any) -> Provider:
        return self.config(**changes).build(self.context())

    def add_zone(self, name: str, *, private: bool = False) -> None:
        """Create a zone; a private one is of the other kind than the provider's."""
        kind = next(one for one in KINDS.values() if one != self.kind) if private else self.kind
        self._add(kind, name)
        if private and self.kind == "dnsZones":
            # The API of public zones lists the private ones of its first years too.
            self._add("dnsZones", name)["properties"]["zoneType"] = "Private"

    def _add(self, kind: str, name: str) -> dict[str, Any]:
        self.sets[kind, name] = {}
        self.zones[kind][name] = {
            "id": f"{PREFIX}{kind.lower()}/{name}",
            "name": name,
            "type": f"Microsoft.Network/{kind.lower()}",
            "etag": f"zone-{next(self._numbers)}",
            "location": "global",
            "tags": {},
            "properties": {
                "maxNumberOfRecordSets": 10000,
                "numberOfRecordSets": 2,
                **({"zoneType": "Public"} if kind == "dnsZones" else {}),
            },
        }
        return self.zones[kind][name]

    def put(self, name: str, value: str) -> None:
        zone = self.longest(name)
        there = self.sets[self.kind, zone].get(relative(name, zone))
        strings = [value[start : start + 255] for start in range(0, len(value) or 1, 255)]
        texts = [*(there["texts"] if there else []), strings]
        self._store(zone, relative(name, zone), 3600, texts, {"owner": "somebody else"})

    def drop(self, name: str, value: str) -> None:
        zone = self.longest(name)
        there = self.sets[self.kind, zone].pop(relative(name, zone))
        texts = [one for one in there["texts"] if "".join(one) != value]
        if texts:
            self._store(zone, relative(name, zone), there["ttl"], texts, there["metadata"])

    def values(self, name: str, zone: str | None = None) -> list[str]:
        found = zone or self.longest(name)
        there = self.sets[self.kind, found].get(relative(name, found))
        return sorted("".join(one) for one in there["texts"]) if there else []

    def ttl(self, name: str) -> int:
        zone = self.longest(name)
        return int(self.sets[self.kind, zone][relative(name, zone)]["ttl"])

    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        given = {name.lower(): value for name, value in headers.items()}
        if "if-match" in given:
            # The service takes an ETag with quotes, as the SDK for private zones sends it, and without, as the other.
            given["if-match"] = given["if-match"].strip('"')
        assert ("content-type" in given) == (content is not None), "a body has a type"
        self._headers = given
        if self.is_login(url):
            return True
        # Its own links to further pages have the port.
        assert url.replace(":443/", "/").startswith(f"{self.cloud.manager}/"), url
        assert method in ("GET", "PUT", "DELETE")
        assert given.get("content-type", "application/json") == "application/json"
        assert given["authorization"].startswith("Bearer "), "without a token the service does not look at the request"
        return True

    def is_login(self, url: str) -> bool:
        return url.startswith(f"{self.cloud.authority}/")

    def denial(self) -> Response:
        return failure(HTTPStatus.FORBIDDEN, "AuthorizationFailed")

    def zone_of(self, path: str) -> str:
        parts = unquote(path).removeprefix(PREFIX).split("/")
        return parts[1] if len(parts) > 1 and parts[0] in VERSIONS else ""

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        if path.endswith("/oauth2/v2.0/token"):
            return self._token(method, path, query, content or b"")
        found = unquote(path)
        assert found.startswith(PREFIX), found
        body = json.loads(content) if content is not None else None
        headers = {name: value for name, value in self._headers.items() if name in ("if-match", "if-none-match")}
        self.calls.append((method, found.removeprefix(PREFIX), query, headers, body))
        if self._headers["authorization"].removeprefix("Bearer ") not in self.tokens:
            return failure(HTTPStatus.UNAUTHORIZED, "ExpiredAuthenticationToken")
        match method, found.removeprefix(PREFIX).split("/"):
            case "GET", [kind]:
                return self._page(kind, found, [*self.zones[kind].values()], query)
            case "GET", [kind, zone, "TXT"]:
                there = self.sets.get((kind, zone))
                if there is None:
                    return failure(HTTPStatus.NOT_FOUND, "ParentResourceNotFound")
                return self._page(kind, found, [self._shown(kind, zone, name) for name in there], query)
            case _, [kind, zone, "TXT", name]:
                assert query == {"api-version": VERSIONS[kind]}
                return self._one(method, kind, zone, name, body)
        raise AssertionError(f"no such call: {method} {path}")

    # What it does.

    def _token(self, method: str, path: str, query: Mapping[str, str], content: bytes) -> Response:
        assert method == "POST"
        assert not query
        assert self._headers["content-type"] == "application/x-www-form-urlencoded"
        form = dict(parse_qsl(content.decode(), strict_parsing=True))
        self.forms.append((path, form))
        if self.entra is not None:
            status, said = self.entra
            return Response(status, JSON, json.dumps(said).encode())
        assert path == f"/{TENANT}/oauth2/v2.0/token"
        assert form["grant_type"] == "client_credentials"
        assert form["scope"] == f"{self.cloud.resource}/.default"
        assert form["client_id"] == CLIENT
        assert form.get("client_secret") == SECRET or form["client_assertion"] == "token-of-the-pod-2"
        return Response(200, JSON, json.dumps(self.new_token(3599)).encode())

    def new_token(self, seconds: object) -> dict[str, Any]:
        token = f"token-{next(self._numbers)}"
        self.tokens.add(token)
        return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}

    def _page(self, kind: str, path: str, items: list[Any], query: dict[str, str]) -> Response:
        assert query.keys() <= {"api-version", "$top", "$skipToken"}, query
        assert query["api-version"] == VERSIONS[kind]
        start, size = int(query.get("$skipToken", 0)), int(query.get("$top", 100))
        assert 0 < size <= 100
        answer: dict[str, Any] = {"value": items[start : start + size]}
        if start + size < len(items):
            more = urlencode({**query, "$skipToken": start + size})
            answer["nextLink"] = self.next_link or f"{self.cloud.manager}:443{path.replace(' ', '%20')}?{more}"
        return Response(200, JSON, json.dumps(answer).encode())

    def _one(self, method: str, kind: str, zone: str, name: str, body: Any) -> Response:
        there = self.sets.get((kind, zone))
        if there is None:
            return failure(HTTPStatus.NOT_FOUND, "ParentResourceNotFound")
        if method == "GET":
            assert not self._headers.keys() & {"if-match", "if-none-match"}
            if name not in there:
                return failure(HTTPStatus.NOT_FOUND, "NotFound", is_wrapped=False)
            return Response(200, JSON, json.dumps(self._shown(kind, zone, name)).encode())
        self.written()
        old = there.get(name)
        if method == "DELETE":
            return self._delete(there, name, old)
        assert method == "PUT"
        match = (self._headers.get("if-match"), self._headers.get("if-none-match"))
        assert match[1] in (None, "*")
        assert match.count(None) == 1, "a change without a condition would lose what others wrote"
        if (old is None) != (match[0] is None) or (old is not None and old["etag"] != match[0]):
            return failure(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed", is_wrapped=False)
        return self._put_set(kind, zone, name, body, is_new=old is None)

    def _delete(self, there: dict[str, Any], name: str, old: Mapping[str, Any] | None) -> Response:
        assert "if-match" in self._headers
        if self.is_locked:
            return failure(HTTPStatus.CONFLICT, "ScopeLocked")
        if old is None:
            return Response(HTTPStatus.NO_CONTENT)
        if old["etag"] != self._headers["if-match"]:
            return failure(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed", is_wrapped=False)
        del there[name]
        return Response(200)

    def _put_set(self, kind: str, zone: str, name: str, body: Any, *, is_new: bool) -> Response:
        ttl, texts = ("TTL", "TXTRecords") if kind == "dnsZones" else ("ttl", "txtRecords")
        assert body.keys() == {"properties"}, body
        properties = body["properties"]
        assert {ttl, texts} <= properties.keys() <= {ttl, texts, "metadata"}, properties
        assert 1 <= properties[ttl] <= 2_147_483_647
        assert all(one.keys() == {"value"} and one["value"] for one in properties[texts])
        assert all(len(text) <= 255 for one in properties[texts] for text in one["value"])
        values = [one["value"] for one in properties[texts]]
        if len(values) > MAX_VALUES:
            return failure(HTTPStatus.BAD_REQUEST, "BadRequest", is_wrapped=False)
        if len({"".join(one) for one in values}) < len(values):
            return failure(HTTPStatus.BAD_REQUEST, "BadRequest", is_wrapped=False)
        self._store(zone, name, properties[ttl], values, properties.get("metadata", {}))
        shown = json.dumps(self._shown(kind, zone, name)).encode()
        return Response(HTTPStatus.CREATED if is_new else HTTPStatus.OK, JSON, shown)

    def _store(self, zone: str, name: str, ttl: int, texts: list[list[str]], metadata: Mapping[str, str]) -> None:
        etag = f"etag-{next(self._numbers)}"
        there = self.sets[self.kind, zone]
        there[name] = {"etag": etag, "ttl": ttl, "texts": texts, "metadata": dict(metadata)}
        self.zones[self.kind][zone]["properties"]["numberOfRecordSets"] = 2 + len(there)

    def _shown(self, kind: str, zone: str, name: str) -> dict[str, Any]:
        one = self.sets[kind, zone][name]
        ttl, texts = ("TTL", "TXTRecords") if kind == "dnsZones" else ("ttl", "txtRecords")
        return {
            "id": f"{PREFIX}{kind.lower()}/{zone}/TXT/{name}",
            "name": name,
            "type": f"Microsoft.Network/{kind.lower()}/TXT",
            "etag": one["etag"],
            "properties": {
                "fqdn": f"{name}.{zone}.",
                ttl: one["ttl"],
                texts: [{"value": text} for text in one["texts"]],
                **({"metadata": one["metadata"]} if one["metadata"] else {}),
            },
        }

    def longest(self, name: str) -> str:
        fitting = [
            zone
            for zone, its in self.zones[self.kind].items()
            if (name == zone or name.endswith(f".{zone}")) and its["properties"].get("zoneType") != "Private"
        ]
        return max(fitting, key=len)


def relative(name: str, zone: str) -> str:
    return "@" if name == zone else name.removesuffix(f".{zone}")


def failure(status: int, code: str, *, is_wrapped: bool = True) -> Response:
    said = {"code": code, "message": f"The client '{SECRET}' does not have authorization to perform action"}
    return Response(status, JSON, json.dumps({"error": said} if is_wrapped else said).encode())


class AzureConformance(Conformance):
    requests_for_100 = 103
    zones_a_page = 100
    records_a_page = 100

    async def test_one_name_takes_four_requests_and_its_removal_two(self, api: AzureDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        assert api.sent == Counter({"all": 4, "POST": 1, "GET": 2, "PUT": 1, "write": 1})
        await provider.clean_up(WILD)
        assert api.sent["all"] == 6
        assert api.sent["DELETE"] == 1

    async def test_the_apex_of_a_zone_has_a_name_of_its_own(self, api: AzureDouble) -> None:
        provider = api.provider()
        record = TxtRecord("example.com", "value")
        await provider.present([record])
        assert api.calls[-1][1].endswith("/example.com/TXT/@")
        assert api.values("example.com") == ["value"]
        await provider.clean_up([record])
        assert api.values("example.com") == []

    async def test_a_zone_that_is_named_is_not_looked_for(self, api: AzureDouble) -> None:
        api.add_zone("child.example.com")
        provider = api.provider(hosted_zone_name="Example.com.")
        record = TxtRecord("_acme-challenge.child.example.com", "value")
        await provider.present([record])
        assert api.values(record.name, "example.com") == ["value"]
        assert api.sent == Counter({"all": 3, "POST": 1, "GET": 1, "PUT": 1, "write": 1})
        with pytest.raises(
            ZoneNotFound, match=r"a\.example\.org is not in the zone example\.com, which hostedZoneName"
        ):
            await provider.present([TxtRecord("a.example.org", "value")])

    async def test_what_others_noted_at_a_set_and_how_they_wrote_it_stays(self, api: AzureDouble) -> None:
        api.put(NAME, "foreign")
        there = api.sets[api.kind, "example.com"]["_acme-challenge"]
        there["texts"][:] = [["two ", "strings"], ["foreign"]]
        provider = api.provider()
        await provider.present(WILD)
        after = api.sets[api.kind, "example.com"]["_acme-challenge"]
        assert after["texts"][:2] == [["two ", "strings"], ["foreign"]]
        assert len(after["texts"]) == 4
        assert (after["ttl"], after["metadata"]) == (3600, {"owner": "somebody else"})
        await provider.clean_up(WILD)
        after = api.sets[api.kind, "example.com"]["_acme-challenge"]
        assert (after["texts"], after["metadata"]) == ([["two ", "strings"], ["foreign"]], {"owner": "somebody else"})

    async def test_more_values_than_a_set_may_have_are_refused_and_the_foreign_ones_stay(
        self, api: AzureDouble
    ) -> None:
        foreign = sorted(f"foreign-{number:02}" for number in range(19))
        for value in foreign:
            api.put(NAME, value)
        provider = api.provider()
        elsewhere = TxtRecord("_acme-challenge.www.example.com", "value")
        with pytest.raises(ProviderRefused, match=r"_acme-challenge\.example\.com would have 21 values.* allows 20"):
            await provider.present([*WILD, elsewhere])
        assert api.values(NAME) == foreign
        assert api.values(elsewhere.name) == ["value"], "one name does not hold up another"
        await provider.present(WILD[:1])
        assert len(api.values(NAME)) == 20

    async def test_a_lock_that_forbids_deleting_leaves_an_empty_set_which_is_used_again(self, api: AzureDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.is_locked = True
        await provider.clean_up(WILD)
        assert api.values(NAME) == []
        assert api.sets[api.kind, "example.com"]["_acme-challenge"]["texts"] == []
        await provider.present(WILD)
        assert len(api.values(NAME)) == 2

    async def test_a_token_that_is_refused_early_is_replaced_once(self, api: AzureDouble) -> None:
        provider = api.provider()
        await provider.present(WILD[:1])
        api.tokens.clear()
        await provider.present(WILD[1:])
        assert len(api.forms) == 2
        api.now += 3600
        await provider.clean_up(WILD)
        assert len(api.forms) == 3, "an hour later it has expired"

    async def test_a_next_page_elsewhere_is_not_followed_with_the_token(self, api: AzureDouble) -> None:
        for number in range(101):
            api.add_zone(f"zone{number:03}.example")
        api.next_link = "https://attacker.example/steal"
        with pytest.raises(ProviderUnreachable, match="nothing that is an answer of its API"):
            await api.provider().present(WILD)

    async def test_a_group_or_zone_that_vanished_is_told(self, api: AzureDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.sets.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404, ParentResourceNotFound.* zone example\.com is not there"):
            await provider.clean_up(WILD)

    async def test_in_a_huge_zone_names_are_asked_for_one_by_one(self, api: AzureDouble) -> None:
        api.zones[api.kind]["example.com"]["properties"]["numberOfRecordSets"] = 9000
        records = [TxtRecord(f"_acme-challenge.w{number}.example.com", "value") for number in range(20)]
        await api.provider().present(records)
        assert api.sent["GET"] == 21
        assert not any(call[1].endswith("/TXT") for call in api.calls)


class TestPublic(AzureConformance):
    right = "DNS Zone Contributor"

    def make_double(self) -> AzureDouble:
        return AzureDouble()


class TestPrivate(AzureConformance):
    right = "Private DNS Zone Contributor"
    zone_word = "private"
    test_a_private_zone_is_not_taken = None  # type: ignore[assignment]  # the other way round, below

    def make_double(self) -> AzureDouble:
        return AzureDouble("AzurePrivateZone")

    async def test_a_public_zone_is_not_taken(self, api: AzureDouble) -> None:
        api.add_zone("public.example.com", private=True)
        assert list(api.zones["dnsZones"]) == ["public.example.com"]
        record = TxtRecord("_acme-challenge.public.example.com", "value")
        await api.provider().present([record])
        assert api.values(record.name, "example.com") == ["value"]


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_every_cloud_has_its_own_endpoints(cloud: str) -> None:
    api = AzureDouble(cloud=cloud)
    api.add_zone("example.com")
    config = api.config(environment=cloud)
    await config.build(api.context()).present(WILD)
    assert api.values(NAME)
    assert config.destination.startswith(CLOUDS[cloud].manager.removeprefix("https://") + "/")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            {"error": "invalid_client", "error_codes": [7000215]},
            r"HTTP 401, invalid_client, AADSTS7000215\): .*its value",
        ),
        ({"error": "invalid_client", "error_description": f"AADSTS7000222: {SECRET}"}, "the client secret has expired"),
        ({"error": "unauthorized_client", "error_codes": [700016]}, "no application with this client ID"),
        ({"error": "x y", "error_codes": ["1; rm"]}, rf"\(HTTP 401\): it does not accept the credentials of {CLIENT}"),
        ({}, "does not accept the credentials"),
    ],
)
async def test_a_refused_client_is_told_what_to_do_and_asked_for_once(said: dict[str, Any], why: str) -> None:
    api = AzureDouble()
    api.entra = (401, said)
    provider = api.provider()
    for _ in range(3):
        with pytest.raises(ProviderRefused, match=why) as caught:
            await provider.present(WILD)
        assert SECRET not in str(caught.value)
    assert len(api.forms) == 1


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        (400, "BadRequest", "the request, for example.com is not one that it takes"),
        (401, "InvalidAuthenticationToken", "check environment and tenant"),
        (403, "AuthorizationFailed", "the role DNS Zone Contributor"),
        (404, "ResourceGroupNotFound", "check subscriptionID and resourceGroupName"),
        (409, "Conflict", "such as a CNAME"),
        (409, "ScopeLocked", "a read-only lock forbids changes, for example.com"),
    ],
)
async def test_each_refusal_of_a_change_is_told_with_its_code(
    status: int, code: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = AzureDouble()
    api.add_zone("example.com")
    monkeypatch.setattr(api, "_put_set", lambda *_, **__: failure(status, code))
    with pytest.raises(ProviderRefused, match=rf"HTTP {status}, {code}\): .*{why}") as caught:
        await api.provider().present(WILD)
    assert (caught.value.code, caught.value.names) == (code, (NAME,))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"client_secret": Credential("two words", "the entry s of Secret shop/azure")},
            "in the entry s of Secret shop/",
        ),
        ({"client_id": None}, "clientID, clientSecretSecretRef and tenantID together"),
        ({"tenant_id": None}, "clientID, clientSecretSecretRef and tenantID together"),
        ({"client_id": None, "client_secret": None, "tenant_id": None}, "may not use Certwright's own credentials"),
    ],
)
def test_credentials_that_cannot_be_used_are_told(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidCredential, match=said) as caught:
        AzureDouble().provider(**changes)
    assert "two words" not in str(caught.value)


def test_the_same_settings_are_the_same_however_the_identity_is_given() -> None:
    class Model:
        client_id, resource_id, tenant_id = CLIENT, None, None

    api = AzureDouble()
    one, other = api.config(managed_identity=Model()), api.config(managed_identity={"client_id": CLIENT})
    assert one == other
    assert hash(one) == hash(other)
    assert SECRET not in repr(one)


class Imds:
    """The metadata service of a virtual machine, or none."""

    def __init__(self, api: AzureDouble) -> None:
        self.api = api
        self.asked: list[dict[str, str]] = []
        self.status: int | None = 200

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], **_: Any) -> Response:
        parts = urlsplit(url)
        if self.status is None:
            raise ConnectionFailed("cannot connect", host=parts.netloc, request_sent=False)
        return self.answer(method, url, headers)

    def answer(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        parts = urlsplit(url)
        assert method == "GET"
        assert (parts.scheme, parts.netloc, parts.path) == (
            "http",
            "169.254.169.254",
            "/metadata/identity/oauth2/token",
        )
        assert {name.lower(): value for name, value in headers.items()}["metadata"] == "true"
        query = dict(parse_qsl(parts.query, strict_parsing=True))
        assert query.keys() - {"client_id", "msi_res_id"} == {"api-version", "resource"}
        assert (query["api-version"], query["resource"]) == ("2018-02-01", "https://management.azure.com")
        self.asked.append(query)
        if self.status != HTTPStatus.OK:
            return Response(self.status or 0, JSON, json.dumps({"error": "invalid_request", "d": SECRET}).encode(), url)
        # Its numbers are texts.
        return Response(200, JSON, json.dumps(self.api.new_token("86399")).encode(), url)

    async def aclose(self) -> None: ...


class Place:
    """Where the operator runs: its environment and its metadata service."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self.api = AzureDouble()
        self.api.add_zone("example.com")
        self.imds = Imds(self.api)
        self.surroundings = Surroundings(environ or {}, lambda: self.imds)

    def provider(self, **changes: Any) -> Provider:
        async def no_look_up(name: str) -> Any:
            raise AssertionError(name)

        context = ProviderContext(
            no_look_up, lambda: self.api, surroundings=self.surroundings, monotonic=lambda: self.api.now
        )
        config = self.api.config(client_id=None, client_secret=None, tenant_id=None, ambient=True, **changes)
        return config.build(context)


@pytest.mark.parametrize(
    ("identity", "asked"),
    [
        (None, {}),
        ({"client_id": CLIENT}, {"client_id": CLIENT}),
        ({"resource_id": "/subscriptions/a/b c"}, {"msi_res_id": "/subscriptions/a/b c"}),
    ],
)
async def test_a_managed_identity_comes_from_the_metadata_service(
    identity: dict[str, str] | None, asked: dict[str, str]
) -> None:
    place = Place()
    await place.provider(managed_identity=identity).present(WILD)
    [query] = place.imds.asked
    assert {name: value for name, value in query.items() if name not in ("api-version", "resource")} == asked
    assert not place.api.forms


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (400, ProviderRefused, r"HTTP 400\): the node has no such managed identity, or several"),
        (404, ProviderUnreachable, r"HTTP 404\): it is out of service"),
        (500, ProviderUnreachable, r"HTTP 500\): it is out of service"),
        (None, ProviderUnreachable, r"needs the label azure\.workload\.identity/use"),
    ],
)
async def test_a_metadata_service_without_an_identity_is_told(
    status: int | None, error: type[Exception], said: str
) -> None:
    place = Place()
    place.imds.status = status
    with pytest.raises(error, match=said) as caught:
        await place.provider().present(WILD)
    assert SECRET not in str(caught.value)


def of_workload(tmp_path: Path, **changes: str | None) -> dict[str, str]:
    file = tmp_path / "token"
    file.write_text("token-of-the-pod-2\n")
    given = {
        "AZURE_FEDERATED_TOKEN_FILE": str(file),
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


async def test_workload_identity_reads_the_token_of_the_pod_anew(tmp_path: Path) -> None:
    place = Place(of_workload(tmp_path))
    (tmp_path / "token").write_text("token-of-the-pod-1\n")
    provider = place.provider()
    (tmp_path / "token").write_text("token-of-the-pod-2\n")
    await provider.present(WILD)
    [(_, form)] = place.api.forms
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert not place.imds.asked


@pytest.mark.parametrize(
    ("environ", "identity", "error"),
    [
        ({"AZURE_CLIENT_ID": None}, {"client_id": CLIENT}, None),
        ({"AZURE_CLIENT_ID": "x", "AZURE_TENANT_ID": None}, {"client_id": CLIENT, "tenant_id": TENANT}, None),
        ({"AZURE_CLIENT_ID": None}, None, "needs a client ID"),
        ({"AZURE_TENANT_ID": None}, None, "needs a tenant"),
        ({"AZURE_TENANT_ID": "../evil"}, None, "the tenant ID is neither"),
        ({"AZURE_AUTHORITY_HOST": "http://login.microsoftonline.com"}, None, "AZURE_AUTHORITY_HOST is not the URL"),
        (
            {"AZURE_FEDERATED_TOKEN_FILE": "/nonexistent/token"},
            None,
            "token of the pod in /nonexistent/token cannot be",
        ),
    ],
)
async def test_workload_identity_may_be_told_which_and_says_what_is_missing(
    tmp_path: Path, environ: dict[str, str | None], identity: dict[str, str] | None, error: str | None
) -> None:
    place = Place(of_workload(tmp_path, **environ))
    provider = place.provider(managed_identity=identity)
    if error is None:
        await provider.present(WILD)
        assert place.api.values(NAME)
        return
    with pytest.raises(InvalidCredential, match=error):
        await provider.present(WILD)


class TestSdk:
    """The vendor's SDK does on the double what the provider does, with the same requests."""

    def transport(self, api: AzureDouble, imds: Imds | None = None) -> Any:
        import requests  # noqa: PLC0415 - the SDK is slow to import
        import urllib3  # noqa: PLC0415
        from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415
        from requests.adapters import BaseAdapter  # noqa: PLC0415

        class Adapter(BaseAdapter):
            def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
                found = respond(request)
                made = requests.Response()
                made.status_code, made.url, made.request = found.status, str(request.url), request
                made.headers.update(dict(found.headers))
                made.raw = urllib3.HTTPResponse(io.BytesIO(found.body), preload_content=False)
                return made

            def close(self) -> None: ...

        def respond(request: requests.PreparedRequest) -> Response:
            url, method = str(request.url), str(request.method)
            parts = urlsplit(url)
            body = request.body.encode() if isinstance(request.body, str) else request.body
            if imds is not None and parts.scheme == "http":
                return imds.answer(method, url, dict(request.headers))  # type: ignore[arg-type]
            if parts.path.endswith("/.well-known/openid-configuration"):
                return self.discovery(api)
            assert api.check_credential(method, url, request.headers, body or None)  # type: ignore[arg-type]
            return api.answer(method, parts.path, dict(parse_qsl(parts.query)), body or None)  # type: ignore[arg-type]

        session = requests.Session()
        session.mount("https://", Adapter())
        session.mount("http://", Adapter())
        return RequestsTransport(session=session, session_owner=False)

    def discovery(self, api: AzureDouble) -> Response:
        base = f"{api.cloud.authority}/{TENANT}"
        return Response(
            200,
            JSON,
            json.dumps(
                {
                    "issuer": f"{base}/v2.0",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                }
            ).encode(),
        )

    async def test_it_works_on_the_doubles_of_both_kinds_and_sends_what_the_provider_sends(self) -> None:
        from azure.core import MatchConditions  # noqa: PLC0415 - the SDK is slow to import
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415
        from azure.identity import ClientSecretCredential  # noqa: PLC0415
        from azure.mgmt.dns import DnsManagementClient  # noqa: PLC0415
        from azure.mgmt.dns import models as public_models  # noqa: PLC0415
        from azure.mgmt.privatedns import PrivateDnsManagementClient  # noqa: PLC0415
        from azure.mgmt.privatedns import models as private_models  # noqa: PLC0415

        for zone_type in KINDS:
            ours, theirs = AzureDouble(zone_type), AzureDouble(zone_type)
            for api in (ours, theirs):
                api.add_zone("example.com")
                api.put(NAME, "foreign")
            provider = ours.provider()
            await provider.present(WILD)
            await provider.clean_up(WILD)
            transport = self.transport(theirs)
            credential = ClientSecretCredential(
                TENANT, CLIENT, SECRET, transport=transport, disable_instance_discovery=True
            )
            public = zone_type == "AzurePublicZone"
            client: Any = (DnsManagementClient if public else PrivateDnsManagementClient)(
                credential, SUBSCRIPTION, transport=transport
            )
            models: Any = public_models if public else private_models
            zones = client.zones if public else client.private_zones
            [zone] = zones.list_by_resource_group(GROUP, top=100)
            first, second = ("_acme-challenge", "TXT") if public else ("TXT", "_acme-challenge")
            where = (GROUP, zone.name, first, second)
            for values in (["foreign", *sorted(one.value for one in WILD)], ["foreign"]):
                there = client.record_sets.get(*where)
                made = models.RecordSet(
                    ttl=there.ttl,
                    metadata=dict(there.metadata),
                    txt_records=[models.TxtRecord(value=[value]) for value in values],
                )
                matched = (
                    {"if_match": there.etag}
                    if public
                    else {"etag": there.etag, "match_condition": MatchConditions.IfNotModified}
                )
                made = client.record_sets.create_or_update(*where, parameters=made, **matched)
                assert sorted("".join(one.value) for one in made.txt_records) == sorted(values)
            assert theirs.calls == ours.calls
            assert theirs.values(NAME) == ours.values(NAME) == ["foreign"]
            [(path, form)], [(their_path, their_form)] = ours.forms, theirs.forms
            assert path == their_path
            assert form.items() <= their_form.items()
            if public:
                with pytest.raises(HttpResponseError, match="PreconditionFailed"):
                    client.record_sets.delete(*where, if_match="another")

    async def test_it_gets_tokens_as_the_provider_does_by_workload_and_by_managed_identity(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from azure.identity import ManagedIdentityCredential, WorkloadIdentityCredential  # noqa: PLC0415

        for name in [name for name in os.environ if name.startswith(("AZURE_", "IDENTITY_", "MSI_", "IMDS_"))]:
            monkeypatch.delenv(name)
        environ = of_workload(tmp_path)
        (tmp_path / "token").write_text("token-of-the-pod-2")
        ours, theirs = Place(environ), Place(environ)
        await ours.provider().present(WILD)
        workload = WorkloadIdentityCredential(
            tenant_id=TENANT,
            client_id=CLIENT,
            token_file_path=environ["AZURE_FEDERATED_TOKEN_FILE"],
            transport=self.transport(theirs.api),
            disable_instance_discovery=True,
        )
        assert workload.get_token("https://management.azure.com/.default").token in theirs.api.tokens
        [(path, form)], [(their_path, their_form)] = ours.api.forms, theirs.api.forms
        assert path == their_path
        assert form.items() <= their_form.items()

        ours, theirs = Place(), Place()
        await ours.provider(managed_identity={"client_id": CLIENT}).present(WILD)
        managed = ManagedIdentityCredential(client_id=CLIENT, transport=self.transport(theirs.api, theirs.imds))
        assert managed.get_token("https://management.azure.com/.default").token in theirs.api.tokens
        assert theirs.imds.asked == ours.imds.asked
