"""Gandi, against a double that is as strict as its LiveDNS API v5, which two other clients work on as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import dns.exception
import dns.rdata
import pytest

from certwright.dns import ProviderRefused, ProviderUnreachable, TxtRecord, ZoneNotFound
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.gandi import GandiConfig
from certwright.http.message import Headers, Response
from certwright.resources.dns_providers.gandi import Gandi
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.lexicon import AgreesWithLexicon
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered, numbered
from tests.dns.providers.conformance.sdk import mount, sdk
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.dns import Provider

TOKEN = f"{SECRET}-as-long-as-a-personal-access-token"
ORGANIZATION = "0a1b2c3d-0000-4000-8000-00000000cafe"
PAGE = 500


class GandiDouble(RecordsDouble):
    """The LiveDNS API: domains, and sets that are created, replaced and deleted one by one.

    Attributes:
        organizations: The organization of each domain that is not in the usual one.
        aliases: Names that have a CNAME record.
        after_write: Called once after the next change was carried out, as what somebody else does then.
        most: Items of a page at most, whatever is asked for.
        sharing_id: Which organization the provider is to use.
    """

    url = "https://api.gandi.net"
    prefix = "/v5/livedns"
    credential: ClassVar[Mapping[str, str]] = {"Authorization": f"Bearer {TOKEN}"}

    def __init__(self) -> None:
        super().__init__()
        self.organizations: dict[str, str] = {}
        self.aliases: set[str] = set()
        self.after_write: Callable[[], None] | None = None
        self.most = PAGE
        self.sharing_id: str | None = None

    def provider(self) -> Provider:
        return GandiConfig(token=Credential(f"\n{TOKEN} "), sharing_id=self.sharing_id).build(self.context())

    def written_as(self, value: str) -> str:
        return str(canonical(quoted(value)))

    def read_as(self, value: str) -> str:
        return unquoted(value)

    def denial(self) -> Response:
        return failure(403, "Forbidden")

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        match method, path:
            case "GET", ["domains"]:
                assert query.keys() <= {"page", "per_page", "sharing_id"}, query
                names = [
                    name
                    for name in self.zones.values()
                    if query.get("sharing_id") in (None, self.organizations.get(name, ORGANIZATION))
                ]
                return self._page(path, [self._domain(name) for name in names], query)
            case "GET", ["domains", name] if name in self.zones.values():
                return answered(200, self._domain(name))
            case "GET", ["domains", name, "records"] if name in self.zones.values():
                assert query.keys() <= {"page", "per_page"}, query
                return self._page(path, self._sets(self.named(name)), query)
            case "POST", ["domains", name, "records"] if name in self.zones.values():
                fields = dict(body)
                assert fields.pop("rrset_type") == "TXT"
                return self._set(method, self.named(name), fields.pop("rrset_name"), fields)
            case _, ["domains", name, "records", relative, "TXT"] if name in self.zones.values():
                return self._set(method, self.named(name), relative, body)
        return failure(404, "Not Found")

    def _set(self, method: str, zone: str, relative: str, body: Any) -> Response:
        name = self.absolute(zone, relative, "@")
        if method == "GET":
            found = [one for one in self._sets(zone) if one["rrset_name"] == relative and one["rrset_type"] == "TXT"]
            return answered(200, found[0]) if found else failure(404, "Not Found")
        self.written()
        there = self._at(zone, name)
        if method == "POST" and there:
            return failure(409, "Conflict")
        if method != "DELETE" and name in self.aliases:
            return answered(400, {"status": "error", "errors": [{"location": "body", "name": "items"}]})
        if method == "DELETE" and not there:
            return failure(404, "Not Found")
        texts = self._checked(body) if method != "DELETE" else []
        for one in there:
            del self.records[zone][one.id]
        for text in texts:
            ttl = (body or {}).get("rrset_ttl", there[0].ttl if there else 10800)
            self.create(zone, "TXT", name, text, ttl)
        if self.after_write is not None:
            act, self.after_write = self.after_write, None
            act()
        return answered(204) if method == "DELETE" else answered(201, {"message": "DNS Record Created"})

    def _checked(self, body: Any) -> list[str]:
        assert {"rrset_values"} <= body.keys() <= {"rrset_values", "rrset_ttl"}, body
        assert isinstance(body["rrset_values"], list)
        assert body["rrset_values"], "an empty list is refused"
        assert 300 <= body.get("rrset_ttl", 300) <= 2592000
        texts = [canonical(text) for text in body["rrset_values"]]
        assert len({*texts}) == len(texts), "a value stands twice"
        return texts

    def _domain(self, name: str) -> dict[str, Any]:
        return {"fqdn": name, "domain_href": f"{self.url}{self.prefix}/domains/{name}", "automatic_snapshots": True}

    def _sets(self, zone: str) -> list[dict[str, Any]]:
        found: dict[tuple[str, str], list[Record]] = {}
        for one in self.records[zone].values():
            found.setdefault((self.relative(zone, one, "@"), one.type), []).append(one)
        return [
            {
                "rrset_name": name,
                "rrset_type": kind,
                "rrset_ttl": its[0].ttl,
                "rrset_values": [one.value for one in its],
                "rrset_href": f"{self.url}{self.prefix}/domains/{self.zones[zone]}/records/{name}/{kind}",
            }
            for (name, kind), its in found.items()
        ]

    def _page(self, path: list[str], items: list[Any], query: dict[str, str]) -> Response:
        number, size = int(query.get("page", "1")), min(int(query.get("per_page", "100")), self.most)
        part, pages = numbered(items, str(number), str(size), most=PAGE)
        found = answered(200, part)
        fields = [*found.headers, ("total-count", str(len(items)))]
        if number < pages:
            link = f"{self.url}{self.prefix}/{'/'.join(path)}?page={number + 1}&per_page={size}"
            fields.append(("Link", f'<{link}>; rel="next"'))
        return Response(found.status, Headers(fields), found.body)


def canonical(text: str) -> str:
    """Return a value as the API keeps it; what is without quotes is one word."""
    try:
        return dns.rdata.from_text("IN", "TXT", text).to_text()
    except dns.exception.DNSException:
        raise AssertionError(f"no value in the form of zone files: {text}") from None


def failure(status: int, cause: str) -> Response:
    return answered(status, {"cause": cause, "code": status, "message": SECRET, "object": "LocalizedHTTP"})


class TestGandi(Conformance, AgreesWithLexicon):
    requests_for_100 = 102
    zones_a_page = PAGE
    records_a_page = PAGE
    right = "Manage domain name technical configurations"
    a_ttl = 600
    lexicon = "gandi"
    options: ClassVar = {"auth_token": TOKEN, "api_protocol": "rest"}

    def make_double(self) -> GandiDouble:
        return GandiDouble()

    def _without(self, body: Any) -> Any:
        """Read the values: the other client leaves the quotes to the API."""
        return body and {**body, "rrset_values": [*map(unquoted, body["rrset_values"])]}

    def test_another_client_sees_every_page_of_the_double(self, api: RecordsDouble, client: Any) -> None:
        """It is a third one: that of the library that is compared with reads the first page only."""
        del client
        pytest.importorskip("octodns_gandi")
        third = sdk("octodns_gandi").GandiClient(TOKEN)
        mount(third._session, api)
        for number in range(610):
            api.put(f"w{number}.example.com", "value")
            api.add_zone(f"w{number}.example")
        assert len(third.zone_records("example.com")) == 610
        assert {one["fqdn"] for one in third.domains()} >= {"example.com", "w609.example"}
        data = {"rrset_name": "new", "rrset_type": "TXT", "rrset_ttl": 300, "rrset_values": ['"v"']}
        third.record_create("example.com", data)
        assert api.values("new.example.com") == ["v"]
        with pytest.raises(sdk("requests").HTTPError, match="409"):
            third.record_create("example.com", data)
        third.record_delete("example.com", "new", "TXT")
        assert api.values("new.example.com") == []

    async def test_pages_that_are_shorter_than_asked_for_are_read_to_the_end(self, api: GandiDouble) -> None:
        api.most = 50
        for number in range(120):
            api.put(f"w{number:03}.example.com", "foreign")
            api.add_zone(f"w{number:03}.example")
        records = [TxtRecord(f"w{number:03}.example.com", "value") for number in range(110, 120)]
        await api.provider().present([*records, TxtRecord("_acme-challenge.w119.example", "value")])
        assert all(api.values(record.name) == ["foreign", "value"] for record in records)
        assert api.values("_acme-challenge.w119.example") == ["value"]

    async def test_only_the_domains_of_the_organization_are_used(self, api: GandiDouble) -> None:
        api.add_zone("other.example")
        api.organizations["other.example"] = ORGANIZATION.replace("c", "d")
        api.sharing_id = ORGANIZATION
        provider = api.provider()
        await provider.present(WILD)
        with pytest.raises(ZoneNotFound, match="the Gandi organization has no public zone"):
            await provider.present([TxtRecord("_acme-challenge.other.example", "value")])

    async def test_a_ttl_outside_of_the_apis_limits_becomes_the_nearest(self, api: GandiDouble) -> None:
        for ttl, expected in ((None, 300), (1, 300), (10**8, 2592000)):
            await api.provider().present([TxtRecord(NAME, "value", ttl=ttl)])
            assert api.ttl(NAME) == expected
            await api.provider().clean_up([TxtRecord(NAME, "value")])

    async def test_a_set_of_others_keeps_its_ttl_and_how_its_values_are_written(self, api: GandiDouble) -> None:
        api.create(api.named("example.com"), "TXT", NAME, '"in several" "strings"', 1800)
        provider = api.provider()
        await provider.present(WILD)
        assert api.ttl(NAME) == 1800
        await provider.clean_up(WILD)
        (left,) = api.records[api.named("example.com")].values()
        assert (left.value, left.ttl) == ('"in several" "strings"', 1800)

    async def test_a_set_that_appears_meanwhile_is_added_to(self, api: GandiDouble) -> None:
        api.before_write = lambda: api.put(NAME, "foreign")
        await api.provider().present(WILD)
        assert api.values(NAME) == ["foreign", *(one.value for one in WILD)]

    async def test_a_set_that_somebody_overwrites_is_written_again(self, api: GandiDouble) -> None:
        def overwrite() -> None:
            for one in WILD:
                api.drop(NAME, one.value)

        api.put(NAME, "foreign")
        api.after_write = overwrite
        await api.provider().present(WILD)
        assert api.values(NAME) == ["foreign", *(one.value for one in WILD)]

    async def test_of_many_sets_each_is_read_right_before_it_is_replaced(self, api: GandiDouble) -> None:
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(20)]
        provider = api.provider()
        await provider.present(records)
        last = records[-1].name

        def somebody_else() -> None:
            api.put(last, "foreign")

        api.before_write = somebody_else
        await provider.clean_up(records)
        assert [api.values(record.name) for record in records] == [*([[]] * 19), ["foreign"]]

    async def test_a_name_that_cannot_have_the_record_is_told_and_the_others_are_made(self, api: GandiDouble) -> None:
        api.aliases = {"b.example.com"}
        provider = api.provider()
        with pytest.raises(ProviderRefused, match="HTTP 400") as caught:
            await provider.present([TxtRecord("b.example.com", "value")])
        assert SECRET not in str(caught.value)
        for name in ("a", "c"):
            await provider.present([TxtRecord(f"{name}.example.com", "value")])
        assert api.values("c.example.com") == ["value"]
        assert api.sent["write"] == 3, "a refusal is not repeated"

    async def test_a_failure_in_the_middle_tells_those_that_are_not_there_and_keeps_the_others(
        self, api: GandiDouble
    ) -> None:
        records = [TxtRecord(f"w{number:02}.example.com", "value") for number in range(20)]
        provider = api.provider()
        api.fail_at = 12
        with pytest.raises(ProviderUnreachable) as caught:
            await provider.present(records)
        missing = {record.name for record in records if not api.values(record.name)}
        assert {*caught.value.names} == missing
        writes = api.sent["write"]
        await provider.present(records)
        assert api.sent["write"] - writes == len(missing), "what was made is not made again"

    async def test_a_zone_that_vanished_is_told(self, api: GandiDouble) -> None:
        provider = api.provider()
        await provider.present(WILD)
        api.zones.clear()
        with pytest.raises(ProviderRefused, match=r"HTTP 404.*the zone example\.com is gone"):
            await provider.present([TxtRecord(NAME, "third")])

    async def test_other_programs_at_the_same_address_keep_most_of_its_requests(self, api: GandiDouble) -> None:
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(400)]
        provider = api.provider()
        await provider.present(records)
        await provider.clean_up(records)
        assert api.sent["all"] == 1203, "the domains, the records twice, and 400 times POST, GET, DELETE"
        assert max(sum(start <= at < start + 60 for at in api.sent_at) for start in api.sent_at) <= 502


@pytest.mark.parametrize("text", ["", "my organization", "../domains", f"{ORGANIZATION[:-2]}&x", ORGANIZATION[:-1]])
def test_a_sharing_id_is_the_id_of_an_organization(text: str) -> None:
    fields = {"tokenSecretRef": {"name": "gandi", "key": "token"}}
    assert Gandi.model_validate({**fields, "sharingID": ORGANIZATION}).sharing_id == ORGANIZATION
    with pytest.raises(ValueError, match="is not the ID of an organization, such as"):
        Gandi.model_validate({**fields, "sharingID": text})
