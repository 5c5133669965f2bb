"""deSEC, against a double that is as strict as its API v1, which another client works on as well."""

from __future__ import annotations

import asyncio
import base64
import itertools
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode, urlsplit

import dns.exception
import dns.rdata
import pytest

from certwright.dns import ProviderRefused, ProviderUnreachable, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.providers.desec import LIMITS, DesecConfig
from certwright.http.message import Headers, Response
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.records import Record, RecordsDouble, answered
from tests.dns.providers.conformance.sdk import sdk, session_to
from tests.dns.providers.conformance.suite import NAME, WILD, Conformance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.dns import Provider

PAGE = 500
CHANGES = ((2, 1), (15, 60), (100, 3600), (300, 86400))
READS = ((10, 1), (50, 60))
REQUESTS = ((2000, 86400),)
"""The limits of the API, each as a number and a period in seconds."""
WRITE_SECONDS = 0.6
"""A change takes so long: the zone is signed."""


class DesecDouble(RecordsDouble):
    """The API v1: domains, and sets that are created, replaced and removed, any number of them in one request.

    Attributes:
        least_ttl: Of each domain, by its name; those that are not there have the usual one.
        aliases: Names that have a CNAME record.
        forbidden: Names that a policy of the token forbids to write.
        after_write: Called once after the next change was carried out, as what somebody else does then.
        spent: When requests were, by what they are counted with.
        link_base: Where the links to other pages lead.
    """

    url = "https://desec.io"
    prefix = "/api/v1"
    credential: ClassVar[Mapping[str, str]] = {"Authorization": f"Token {SECRET}"}

    def __init__(self) -> None:
        super().__init__()
        self.least_ttl: dict[str, int] = {}
        self.aliases: set[str] = set()
        self.forbidden: set[str] = set()
        self.after_write: Callable[[], None] | None = None
        self.spent: dict[str, list[float]] = {}
        self.link_base = self.url

    def provider(self) -> Provider:
        return DesecConfig(token=Credential(f"\n{SECRET} ")).build(self.context())

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        limited = self._limited(method, urlsplit(url).path)
        if limited is not None:
            return limited
        answer = await super().request(method, url, headers=headers, content=content, max_bytes=max_bytes)
        self.now += WRITE_SECONDS if method != "GET" else 0
        return answer

    def written_as(self, value: str) -> str:
        return str(canonical(quoted(value)))

    def read_as(self, value: str) -> str:
        return unquoted(value)

    def denial(self) -> Response:
        return answered(403, {"detail": SECRET})

    def carry_out(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Response:
        assert path[-1] == "", "the paths of the API end in a slash"
        match method, path[:-1]:
            case "GET", ["domains"]:
                return self._page(path, query, [*map(self._domain, self.zones)][::-1])
            case "GET", ["domains", name] if name in self.zones.values():
                return answered(200, {**self._domain(self.named(name)), "keys": []})
            case "GET", ["domains", name, "rrsets", *one] if name in self.zones.values():
                return self._read(self.named(name), path, one, query)
            case _, ["domains", name, "rrsets", *one] if name in self.zones.values():
                return self._write(method, self.named(name), one, body)
        return answered(404, {"detail": "Not found."})

    def _limited(self, method: str, path: str) -> Response | None:
        what, its = ("reads", READS) if method == "GET" else (f"changes of {self.zone_of(path)}", CHANGES)
        counted = {what: its, "requests": REQUESTS}
        waits = [
            spent[-most] + seconds - self.now
            for which, limits in counted.items()
            for most, seconds in limits
            if len(spent := self.spent.setdefault(which, [])) >= most
        ]
        if max(waits, default=0) > 0:
            return Response(429, Headers({"Retry-After": str(int(max(waits)) + 1)}), SECRET.encode())
        for which in counted:
            self.spent[which].append(self.now)
        return None

    def _read(self, zone: str, path: list[str], one: list[str], query: dict[str, str]) -> Response:
        every = self._every(zone)
        match one:
            case []:
                assert query.keys() <= {"type", "subname", "cursor"}, query
                asked = {key: value for key, value in query.items() if key != "cursor"}
                return self._page(path, query, [its for its in every if asked.items() <= its.items()])
            case [name, "TXT"]:
                wanted = {"subname": self._subname(name), "type": "TXT"}
                found = [its for its in every if wanted.items() <= its.items()]
                return answered(200, found[0]) if found else answered(404, {"detail": "Not found."})
        raise AssertionError(f"no such call: GET {path}")

    def _write(self, method: str, zone: str, one: list[str], body: Any) -> Response:
        match method, one:
            case (("POST" | "PATCH"), []):
                return self._change(method, zone, body)
            case "PATCH", [name, "TXT"]:
                return self._change(method, zone, {"subname": self._subname(name), "type": "TXT", **body})
        raise AssertionError(f"no such call: {method} {one}")

    def _subname(self, name: str) -> str:
        return "" if name == "@" else name.removesuffix("...")

    def _change(self, method: str, zone: str, body: Any) -> Response:
        self.written()
        items = body if isinstance(body, list) else [body]
        assert items
        assert all(item.keys() <= {"subname", "type", "ttl", "records"} for item in items), "unknown fields"
        assert all(item["type"] == "TXT" for item in items)
        errors = [self._error(method, zone, item, items) for item in items]
        if any(self._name(zone, item) in self.forbidden for item in items):
            return answered(403, {"detail": "Insufficient token permissions."})
        if any(errors):
            return answered(400, errors if isinstance(body, list) else errors[0])
        for item in items:
            self._put_set(zone, item)
        if self.after_write is not None:
            act, self.after_write = self.after_write, None
            act()
        names = {item["subname"] for item in items}
        found = [one for one in self._every(zone) if one["subname"] in names and one["type"] == "TXT"]
        return answered(201 if method == "POST" else 200, found if isinstance(body, list) else found[0])

    def _error(self, method: str, zone: str, item: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        name, records = self._name(zone, item), item.get("records")
        there = self._at(zone, name)
        assert [one["subname"] for one in items].count(item["subname"]) == 1
        if method == "POST" and there:
            return {"non_field_errors": ["Another RRset with the same subdomain and type exists for this domain."]}
        if records and name in self.aliases:
            return {"non_field_errors": ["RRset with conflicting type present at same subname: database (CNAME)."]}
        if (records is None or "ttl" not in item) and not there and records != []:
            return {"ttl": ["This field is required."]}
        if method == "POST" and not records:
            return {"records": ["This field must not be empty when using POST."]}
        ttl = item.get("ttl", 86400)
        if not isinstance(ttl, int) or not self.least_ttl.get(self.zones[zone], 3600) <= ttl <= 86400:
            return {"ttl": ["Ensure this value is greater than or equal to 3600."]}
        assert len(records or []) <= 4091
        written = [canonical(text) for text in records or []]
        if None in written:
            return {"records": ["Data for TXT records must be given using quotation marks."]}
        assert len({*written}) == len(written), "Duplicate: records must be semantically unique"
        return {}

    def _put_set(self, zone: str, item: dict[str, Any]) -> None:
        name = self._name(zone, item)
        there = self._at(zone, name)
        ttl = item.get("ttl") or there[0].ttl if there or "ttl" in item else 0
        if "records" in item:
            for one in there:
                del self.records[zone][one.id]
            for text in item["records"]:
                self.create(zone, "TXT", name, str(canonical(text)), ttl)

    def _name(self, zone: str, item: Mapping[str, Any]) -> str:
        assert item["subname"] == item["subname"].lower() != "@"
        return f"{item['subname']}.{self.zones[zone]}".removeprefix(".")

    def _every(self, zone: str) -> list[dict[str, Any]]:
        found: dict[str, list[Record]] = {}
        for one in self.records[zone].values():
            found.setdefault(one.name, []).append(one)
        domain = self.zones[zone]
        return [
            {
                "created": "2026-01-01T00:00:00.000000Z",
                "domain": domain,
                "subname": name.removesuffix(domain).removesuffix("."),
                "name": f"{name}.",
                "records": [one.value for one in its],
                "ttl": its[0].ttl,
                "type": its[0].type,
                "touched": "2026-01-01T00:00:00.000000Z",
            }
            for name, its in reversed(found.items())
        ]

    def _domain(self, zone: str) -> dict[str, Any]:
        name = self.zones[zone]
        return {"name": name, "minimum_ttl": self.least_ttl.get(name, 3600), "published": None}

    def _page(self, path: list[str], query: dict[str, str], items: list[Any]) -> Response:
        address = f"{self.link_base}{self.prefix}/{'/'.join(path)}"
        if len(items) <= PAGE:
            return answered(200, items)
        links = {"first": ""}
        if "cursor" not in query:
            return self._linked(400, {"detail": "Pagination required."}, address, query, links)
        start = int(base64.urlsafe_b64decode(query["cursor"] or "bz0w")[2:])
        if start + PAGE < len(items):
            links["next"] = base64.urlsafe_b64encode(f"o={start + PAGE}".encode()).decode()
        return self._linked(200, items[start : start + PAGE], address, query, links)

    def _linked(self, status: int, body: Any, address: str, query: dict[str, str], links: dict[str, str]) -> Response:
        found = answered(status, body)
        fields = ", ".join(
            f'<{address}?{urlencode({**query, "cursor": cursor})}>; rel="{which}"' for which, cursor in links.items()
        )
        return Response(found.status, Headers([*found.headers, ("Link", fields)]), found.body)


def canonical(text: str) -> str | None:
    """Return a value as the API keeps it, which reads and writes it by dnspython; None if it does not take it."""
    if '"' not in text:
        return None
    try:
        return dns.rdata.from_text("IN", "TXT", text).to_text()
    except dns.exception.DNSException:
        return None


class TestDesec(Conformance):
    requests_for_100 = 3
    zones_a_page = PAGE
    records_a_page = PAGE
    right = "perm_write"
    a_ttl = 7200

    def make_double(self) -> DesecDouble:
        return DesecDouble()

    @pytest.fixture
    def client(self, api: DesecDouble, monkeypatch: pytest.MonkeyPatch) -> Any:
        pytest.importorskip("desec")
        module = sdk("desec.api")
        monkeypatch.setattr(module.requests, "request", session_to(api).request)
        return module.APIClient(SECRET, retry_limit=0)

    async def test_another_client_works_on_the_double_and_writes_what_the_provider_writes(
        self, api: DesecDouble, client: Any
    ) -> None:
        api.least_ttl["example.com"] = 60
        client.add_record("example.com", "TXT", "_acme-challenge", [quoted(WILD[0].value)], 60)
        client.update_record("example.com", "TXT", "_acme-challenge", [quoted(WILD[1].value)])
        assert api.values(NAME) == [one.value for one in WILD]
        (found,) = client.get_records("example.com", "TXT", "_acme-challenge")
        assert sorted(found["records"]) == [quoted(one.value) for one in WILD]
        item = {"subname": "_acme-challenge", "type": "TXT"}
        client.update_bulk_record("example.com", [{**item, "records": [quoted(WILD[1].value)]}])
        client.update_bulk_record("example.com", [{**item, "records": []}])
        assert api.values(NAME) == []
        by_them, before = api.writes, len(api.writes)
        provider = api.provider()
        await provider.present(WILD[:1])
        await provider.present(WILD)
        await provider.clean_up(WILD[:1])
        await provider.clean_up(WILD)
        by_us = api.writes[before:]
        create, extend, *removals = by_them
        assert by_us[0] == (create[0], create[1], [create[2]]), "the only difference is that we send a list"
        assert (by_us[1][0], {*by_us[1][2][0]["records"]}) == (extend[0], {*extend[2]["records"]})
        assert by_us[2:] == removals

    def test_another_client_sees_every_page_of_the_double(self, api: DesecDouble, client: Any) -> None:
        for number in range(610):
            api.put(f"w{number}.example.com", "value")
            api.add_zone(f"w{number}.example")
        assert len(client.get_records("example.com", "TXT")) == 610
        assert {one["name"] for one in client.list_domains()} >= {"example.com", "w609.example"}

    def test_another_client_knows_what_the_double_refuses(self, api: DesecDouble, client: Any) -> None:
        errors = sdk("desec.exceptions")
        with pytest.raises(errors.ParameterError):
            client.add_record("example.com", "TXT", "low", ['"v"'], 60)
        with pytest.raises(errors.ParameterError):
            client.add_record("example.com", "TXT", "unquoted", ["v"], 3600)
        with pytest.raises(errors.NotFoundError):
            client.get_records("other.example", "TXT")
        api.now += 1
        api.forbidden.add("f.example.com")
        with pytest.raises(errors.TokenPermissionError):
            client.add_record("example.com", "TXT", "f", ['"v"'], 3600)

    async def test_the_ttl_is_what_the_domain_allows(self, api: DesecDouble) -> None:
        for least, wanted, expected in ((3600, 60, 3600), (60, 60, 60), (60, None, 60), (3600, 10**6, 86400)):
            api.least_ttl["example.com"] = least
            await api.provider().present([TxtRecord(NAME, "value", ttl=wanted)])
            assert api.ttl(NAME) == expected
            await api.provider().clean_up([TxtRecord(NAME, "value")])

    async def test_a_set_of_others_keeps_its_ttl_and_how_its_values_are_written(self, api: DesecDouble) -> None:
        api.create(api.named("example.com"), "TXT", NAME, '"in several" " strings"', 1800)
        provider = api.provider()
        await provider.present(WILD)
        assert api.ttl(NAME) == 1800, "although the domain allows none that is so short any more"
        await provider.clean_up(WILD)
        (left,) = api.records[api.named("example.com")].values()
        assert (left.value, left.ttl) == ('"in several" " strings"', 1800)

    async def test_a_set_that_appears_meanwhile_is_added_to(self, api: DesecDouble) -> None:
        api.before_write = lambda: api.put(NAME, "foreign")
        await api.provider().present(WILD)
        assert api.values(NAME) == ["foreign", *(one.value for one in WILD)]

    async def test_a_set_that_vanishes_meanwhile_is_created(self, api: DesecDouble) -> None:
        api.put(NAME, "foreign")
        api.before_write = lambda: api.drop(NAME, "foreign")
        await api.provider().present(WILD)
        assert api.values(NAME) == [one.value for one in WILD], "what is gone is not brought back"
        assert api.ttl(NAME) == 3600

    async def test_a_set_that_somebody_overwrites_is_written_again(self, api: DesecDouble) -> None:
        def overwrite() -> None:
            for one in WILD:
                api.drop(NAME, one.value)

        api.put(NAME, "foreign")
        api.after_write = overwrite
        await api.provider().present(WILD)
        assert api.values(NAME) == ["foreign", *(one.value for one in WILD)]

    async def test_new_sets_and_those_that_are_there_take_two_requests(self, api: DesecDouble) -> None:
        for number in range(10):
            api.put(f"w{number}.example.com", "foreign")
        records = [TxtRecord(f"w{number}.example.com", "value") for number in range(20)]
        provider = api.provider()
        await provider.present(records)
        assert [(method, len(body)) for method, _, body in api.writes] == [("POST", 10), ("PATCH", 10)]
        await provider.clean_up(records)
        assert [(method, len(body)) for method, _, body in api.writes[2:]] == [("PATCH", 20)]

    async def test_what_was_read_before_a_long_wait_is_read_again(
        self, api: DesecDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sleep = api._sleep
        long: list[float] = []

        async def slowly(seconds: float) -> None:
            await sleep(seconds)
            if seconds > 2:
                long.append(seconds)
                api.put(NAME, f"foreign {len(long)}")

        monkeypatch.setattr(api, "_sleep", slowly)
        provider = api.provider()
        api.put(NAME, "foreign")
        for number in range(30):
            await (provider.clean_up if number % 2 else provider.present)(WILD)
        assert len(long) >= 2
        assert len(api.values(NAME)) == 1 + len(long), "what others added during the wait is there"

    async def test_a_name_that_cannot_have_the_record_keeps_no_other_from_it(self, api: DesecDouble) -> None:
        records = [TxtRecord(f"w{number:02}.example.com", "value") for number in range(20)]
        api.aliases = {"w07.example.com"}
        with pytest.raises(ProviderRefused, match=r"\(HTTP 400\).* in example\.com; .* CNAME record") as caught:
            await api.provider().present(records)
        assert caught.value.names == ("w07.example.com",)
        assert [record.name for record in records if not api.values(record.name)] == ["w07.example.com"]
        assert api.sent["write"] == 2
        assert SECRET not in str(caught.value)

    async def test_a_name_that_a_policy_forbids_keeps_no_other_from_its_record(self, api: DesecDouble) -> None:
        api.forbidden = {"b.example.com"}
        provider = api.provider()
        await provider.clean_up(WILD)
        outcomes = await asyncio.gather(
            *(provider.present([TxtRecord(f"{name}.example.com", "v")]) for name in "abc"), return_exceptions=True
        )
        assert [type(one) for one in outcomes] == [type(None), ProviderRefused, type(None)]
        assert "(HTTP 403): the token needs the permission to write (perm_write)" in str(outcomes[1])

    async def test_a_token_that_is_none_any_more_is_told(self, api: DesecDouble) -> None:
        api.answers.append((401, {}))
        with pytest.raises(ProviderRefused, match=r"\(HTTP 401\): the token was deleted, has expired"):
            await api.provider().present(WILD)

    async def test_never_more_changes_of_a_domain_than_the_api_allows(self, api: DesecDouble) -> None:
        provider, told = api.provider(), []
        end = api.now + 100_000
        for number in itertools.count():
            act = provider.clean_up if number % 2 else provider.present
            try:
                await act(WILD)
            except ProviderUnreachable as error:
                told.append(str(error))
                api.now += error.retry_after or 0
                await act(WILD)
            if api.now > end:
                break
        changes = api.spent["changes of example.com"]
        for limit in LIMITS:
            in_each = [sum(start <= at < start + limit.seconds - 0.001 for at in changes) for start in changes]
            assert max(in_each) <= limit.most, limit
        assert [said.rpartition("example.com was ")[2] for said in told[:3]] == [
            "changed 80 times in the last hour: the next change waits",
            "changed 80 times in the last hour: the next change waits",
            "changed 240 times in the last day: the next change waits",
        ]

    async def test_a_domain_that_was_changed_too_often_does_not_hold_up_another_one(self, api: DesecDouble) -> None:
        api.add_zone("other.example")
        provider = api.provider()
        await provider.clean_up(WILD)
        api.spent["changes of example.com"] = [api.now] * 100
        with pytest.raises(ProviderUnreachable, match="too many requests") as caught:
            await provider.present(WILD)
        assert caught.value.retry_after == 3601
        await provider.present([TxtRecord("_acme-challenge.other.example", "value")])
        writes = api.sent["write"], api.sent["POST"]
        with pytest.raises(ProviderUnreachable):
            await provider.present(WILD)
        assert (api.sent["write"], api.sent["POST"]) == writes, "it is not asked again before that"
        assert api.values(NAME) == []

    async def test_reading_keeps_the_pace_of_the_api(self, api: DesecDouble) -> None:
        for number in range(40):
            api.add_zone(f"z{number}.example")
        records = [TxtRecord(f"_acme-challenge.z{number}.example", "value") for number in range(40)]
        provider = api.provider()
        await provider.present(records)
        await provider.clean_up(records)
        assert api.sent["GET"] == 81
        sent = api.spent["reads"]
        assert max(sum(start <= at < start + 60 for at in sent) for start in sent) <= 38

    async def test_of_the_next_page_only_the_cursor_is_used(self, api: DesecDouble) -> None:
        api.link_base = "https://elsewhere.example"
        for number in range(PAGE + 1):
            api.put(f"w{number}.example.com", "foreign")
        records = [TxtRecord("w0.example.com", "value"), TxtRecord("w1.example.com", "value")]
        await api.provider().present(records)
        assert [api.values(one.name) for one in records] == [["foreign", "value"]] * 2
