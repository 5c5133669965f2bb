from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import dns.message
import dns.resolver
import pytest

from certwright.dns import (
    CnameLoop,
    DnsView,
    InvalidName,
    InvalidServer,
    ResolutionFailed,
    Server,
    TxtRecord,
    ZoneNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.fakes.dns import Answer, FakeNameserver, Reply, Start, Zones

NAME = "_acme-challenge.www.example.test"
RECORD = TxtRecord(NAME, "wanted")


class World:
    """A resolver that knows example.test, and its name servers on addresses of their own."""

    def __init__(self, resolver: FakeNameserver, zones: type[Zones], start: Start) -> None:
        self.resolver = resolver
        self._zones = zones
        self._start = start

    @property
    def view(self) -> DnsView:
        return DnsView(resolvers=[str(self.resolver)], timeout=6, nameserver_port=self.resolver.port)

    async def nameserver(self, number: int, values: list[str] | None) -> FakeNameserver:
        """Start 127.0.0.<number>, with these values at NAME, or refusing everything."""
        records = {NAME: {"TXT": [f'"{value}"' for value in values or ()]}}
        handler = self._zones(("example.test",) if values is not None else (), records)
        return await self._start(handler, address=f"127.0.0.{number}", port=self.resolver.port)


@pytest.fixture
async def world(start: Start, zones: type[Zones]) -> Callable[..., Awaitable[World]]:
    async def make(**nameservers: list[str]) -> World:
        records: dict[str, Any] = {
            f"{host}.example.test": {
                "A": [ip for ip in addresses if ":" not in ip],
                "AAAA": [ip for ip in addresses if ":" in ip],
            }
            for host, addresses in nameservers.items()
        }
        records["example.test"] = {"NS": [f"{host}.example.test." for host in nameservers]}
        return World(await start(zones(("example.test",), records)), zones, start)

    return make


async def test_every_name_server_is_asked_directly(world: Callable[..., Awaitable[World]]) -> None:
    bed = await world(ns1=["127.0.0.2"], ns2=["127.0.0.3", "127.0.0.4"])
    servers = [await bed.nameserver(number, ["other", "wanted"]) for number in (2, 3, 4)]
    (seen,) = await bed.view.check([RECORD])

    assert seen.complete
    assert seen.describe() == "all 3 servers that answered have it"
    assert [server.asked for server in servers] == [[("UDP", NAME, "TXT")]] * 3
    assert NAME not in {name for _, name, kind in bed.resolver.asked if kind == "TXT"}


async def test_servers_that_differ_are_told_apart(world: Callable[..., Awaitable[World]]) -> None:
    bed = await world(ns1=["127.0.0.2"], ns2=["127.0.0.3"])
    await bed.nameserver(2, ["wanted"])
    await bed.nameserver(3, ["stale"])
    (seen,) = await bed.view.check([RECORD])
    port = bed.resolver.port

    assert not seen.complete
    assert seen.describe() == (
        f"ns2.example.test (127.0.0.3:{port}) has 1 other value; ns1.example.test (127.0.0.2:{port}) has it"
    )


async def test_a_refusing_and_a_dead_address_do_not_hold_up_the_rest(
    world: Callable[..., Awaitable[World]],
) -> None:
    bed = await world(ns1=["127.0.0.2", "2001:db8::1"], ns2=["127.0.0.3"], ns3=[])
    await bed.nameserver(2, ["wanted"])
    await bed.nameserver(3, None)
    (seen,) = await bed.view.check([RECORD])

    # ns2 refuses, ns3 has no address: one of three is less than half.
    assert not seen.complete
    assert "ns2.example.test" in seen.describe()
    assert "it refuses to answer (REFUSED)" in seen.describe()
    assert "ns3.example.test gave no answer: its host name has no address" in seen.describe()

    bed = await world(ns1=["127.0.0.2"], ns2=["127.0.0.3"])
    await bed.nameserver(2, ["wanted"])
    (seen,) = await bed.view.check([RECORD])
    assert seen.complete
    assert "connection refused" in seen.describe()


async def test_an_answer_from_a_server_that_is_not_authoritative_does_not_count(
    world: Callable[..., Awaitable[World]], start: Start, reply: Reply
) -> None:
    bed = await world(ns1=["127.0.0.2"])
    lame = await start(
        lambda question, _: reply(question, f'{NAME}. 60 IN TXT "wanted"', aa=False),
        address="127.0.0.2",
        port=bed.resolver.port,
    )
    (seen,) = await bed.view.check([RECORD])
    assert not seen.complete
    assert "not authoritative" in seen.describe()

    # Servers that were configured by hand are believed.
    (seen,) = await DnsView(resolvers=[str(bed.resolver)], authoritative=[str(lame)]).check([RECORD])
    assert seen.complete


async def test_a_server_that_fails_is_told_and_its_share_counts(
    world: Callable[..., Awaitable[World]], start: Start, reply: Reply
) -> None:
    """Of three servers one has the record, one is stale, and one answers SERVFAIL, as with a broken zone file."""

    def failing(question: dns.message.Message, _: Any) -> Any:
        answer = reply(question)
        answer.set_rcode(dns.rcode.SERVFAIL)
        return answer

    bed = await world(ns1=["127.0.0.2"], ns2=["127.0.0.3"], ns3=["127.0.0.4"])
    await bed.nameserver(2, ["wanted"])
    await bed.nameserver(3, ["stale"])
    await start(failing, address="127.0.0.4", port=bed.resolver.port)
    (seen,) = await bed.view.check([RECORD])
    assert not seen.complete
    assert f"ns2.example.test (127.0.0.3:{bed.resolver.port}) has 1 other value" in seen.describe()
    assert "ns3.example.test" in seen.describe()
    assert "SERVFAIL" in seen.describe()


async def test_a_resolver_that_still_knows_of_no_such_name_is_told(start: Start, zones: type[Zones]) -> None:
    """It asked before the record was there, and keeps that answer (RFC 2308); the zone's servers have the record."""
    authority = await start(zones(("example.test",), {NAME: {"TXT": ['"wanted"']}}))
    resolver = await start(zones(("example.test",), {}))
    view = DnsView(authoritative=[str(authority)], resolvers=[str(resolver)], views=["authoritative", "recursive"])
    (seen,) = await view.check([RECORD])
    assert not seen.complete
    assert f"the resolver {resolver}" in seen.describe()
    assert "has no such record" in seen.describe()
    resolver.handler = zones(("example.test",), {NAME: {"TXT": ['"wanted"']}})
    (seen,) = await view.check([RECORD])
    assert seen.complete


async def test_a_cname_at_the_name_is_told_because_it_hides_the_record(start: Start, zones: type[Zones]) -> None:
    server = await start(zones(("example.test",), {NAME: {"CNAME": ["x.acme.test."]}}))
    (seen,) = await DnsView(authoritative=[str(server)], resolvers=[str(server)]).check([RECORD])
    assert not seen.complete
    assert seen.seen[0].alias == "x.acme.test"


async def test_many_values_at_one_name_cost_one_question(start: Start, zones: type[Zones]) -> None:
    server = await start(zones(("example.test",), {NAME: {"TXT": ['"v1"', '"v" "2"']}}))
    view = DnsView(authoritative=[str(server)], resolvers=[str(server)])
    seen = await view.check([TxtRecord(NAME, value) for value in ("v1", "v2", "v3")])

    assert [one.complete for one in seen] == [True, True, False]
    assert [one.record.value for one in seen] == ["v1", "v2", "v3"]
    assert server.asked == [("UDP", NAME, "TXT")]


async def test_a_silent_server_costs_its_time_once_however_many_names_there_are(start: Start) -> None:
    server = await start(lambda *_: None)
    view = DnsView(authoritative=[str(server)], resolvers=[str(server)], timeout=0.2)
    async with asyncio.timeout(60):
        seen = await view.check([TxtRecord(f"n{number}.example.test", "v") for number in range(200)])

    assert not any(one.complete for one in seen)
    assert all("no answer over TCP" in one.describe() for one in seen)
    assert len(server.asked) <= 8


async def test_one_name_without_a_zone_does_not_spoil_the_others(
    world: Callable[..., Awaitable[World]],
) -> None:
    bed = await world(ns1=["127.0.0.2"])
    await bed.nameserver(2, ["wanted"])
    lost, found = await bed.view.check([TxtRecord("a.nowhere", "v"), RECORD])

    assert found.complete
    assert not lost.complete
    assert "a.nowhere" in lost.describe()


async def test_a_zone_is_found_once_for_all_its_names(world: Callable[..., Awaitable[World]]) -> None:
    bed = await world(ns1=["127.0.0.2"], ns2=["127.0.0.3"])
    view = bed.view
    found = await asyncio.gather(*(view.find_zone(f"N{number}.example.test.") for number in range(10)))
    await view.find_zone("n1.example.test")

    assert {zone.name for zone in found} == {"example.test"}
    assert [str(endpoint) for endpoint in found[0].nameservers] == [
        f"ns1.example.test (127.0.0.2:{bed.resolver.port})",
        f"ns2.example.test (127.0.0.3:{bed.resolver.port})",
    ]
    kinds = [kind for _, _, kind in bed.resolver.asked]
    assert [kinds.count(kind) for kind in ("SOA", "NS", "A", "AAAA")] == [10, 1, 2, 2]


async def test_of_many_name_servers_and_addresses_some_are_enough(world: Callable[..., Awaitable[World]]) -> None:
    bed = await world(**{f"ns{number:02}": ["127.0.0.2"] for number in range(20)})
    zone = await bed.view.find_zone(NAME)
    assert [endpoint.name for endpoint in zone.nameservers] == [f"ns{n:02}.example.test" for n in range(16)]
    assert len([kind for _, _, kind in bed.resolver.asked if kind == "A"]) == 16

    bed = await world(ns1=[f"127.0.1.{number}" for number in range(1, 9)])
    assert len((await bed.view.find_zone(NAME)).nameservers) == 4


@pytest.mark.parametrize("dead", [1, 2])
async def test_name_servers_whose_names_cannot_be_looked_up_leave_the_others(
    start: Start, zones: type[Zones], reply: Reply, dead: int
) -> None:
    """The zone of its name is lame, as the resolver says by SERVFAIL; the CA's resolver turns to the other."""
    hosts = [f"ns{number}.lame.test" for number in range(dead)]
    records: dict[str, Any] = {"example.test": {"NS": [f"{host}." for host in (*hosts, "ns.example.test")]}}
    records["ns.example.test"] = {"A": ["127.0.0.1"]}
    known = zones(("example.test",), records)

    def answer(question: dns.message.Message, protocol: str) -> Answer:
        if question.question[0].name.to_text().endswith(".lame.test."):
            return reply(question, rcode="SERVFAIL", aa=False)
        return known(question, protocol)

    zone = await DnsView(resolvers=[str(await start(answer))], timeout=4).find_zone(NAME)
    assert [endpoint.name for endpoint in zone.nameservers] == ["ns.example.test"]
    assert zone.unresolved == tuple(hosts)


async def test_if_none_can_be_looked_up_it_is_said_why(start: Start, zones: type[Zones], reply: Reply) -> None:
    known = zones(("example.test",), {"example.test": {"NS": ["ns.lame.test."]}})

    def answer(question: dns.message.Message, protocol: str) -> Answer:
        if question.question[0].name.to_text().endswith(".lame.test."):
            return reply(question, rcode="SERVFAIL", aa=False)
        return known(question, protocol)

    with pytest.raises(ResolutionFailed, match="SERVFAIL"):
        await DnsView(resolvers=[str(await start(answer))], timeout=4).find_zone(NAME)


@pytest.mark.parametrize(("nameservers", "why"), [({}, "lists no name server"), ({"ns1": []}, "have no address")])
async def test_a_zone_that_nobody_serves_is_not_found(
    world: Callable[..., Awaitable[World]], nameservers: dict[str, list[str]], why: str
) -> None:
    bed = await world(**nameservers)
    with pytest.raises(ZoneNotFound, match=why):
        await bed.view.find_zone(NAME)


async def test_the_next_resolver_is_asked_and_then_preferred(
    start: Start, zones: type[Zones], unused_tcp_port: int
) -> None:
    refusing = await start(zones((), {}))
    good = await start(zones(("example.test",), {}))
    view = DnsView(resolvers=[f"127.0.0.1:{unused_tcp_port}", str(refusing), str(good)], timeout=20)

    assert await view.follow_cname("a.example.test") == "a.example.test"
    assert await view.follow_cname("b.example.test") == "b.example.test"
    assert len(refusing.asked) == 1
    assert len(good.asked) == 2


async def test_when_no_resolver_answers_each_says_why(start: Start, zones: type[Zones], unused_tcp_port: int) -> None:
    refusing = await start(zones((), {}))
    with pytest.raises(ResolutionFailed, match=r"connection refused.*REFUSED"):
        await DnsView(resolvers=[f"127.0.0.1:{unused_tcp_port}", str(refusing)]).follow_cname("a.example.test")


@pytest.mark.parametrize("steps", [0, 1, 8])
async def test_aliases_are_followed_to_their_end(start: Start, zones: type[Zones], steps: int) -> None:
    records = {f"c{step}.example.test": {"CNAME": [f"C{step + 1}.example.test."]} for step in range(steps)}
    server = await start(zones(("example.test",), records))
    assert await DnsView(resolvers=[str(server)]).follow_cname("C0.example.test.") == f"c{steps}.example.test"


async def test_an_alias_that_a_wildcard_makes_is_not_followed(start: Start, reply: Reply) -> None:
    def wildcard(question: dns.message.Message, _: str) -> dns.message.Message:
        name = question.question[0].name.to_text()
        target = "delegated.acme.test." if name == "_acme-challenge.a.apps.test." else "ingress.test."
        return reply(question, *([f"{name} 60 IN CNAME {target}"] if name.endswith(".apps.test.") else []))

    view = DnsView(resolvers=[str(await start(wildcard))])
    assert await view.follow_cname("_acme-challenge.b.apps.test") == "_acme-challenge.b.apps.test"
    # One that somebody made beside the wildcard is followed.
    assert await view.follow_cname("_acme-challenge.a.apps.test") == "delegated.acme.test"


async def test_more_aliases_than_anybody_needs_are_an_error(start: Start, zones: type[Zones]) -> None:
    records = {f"c{step}.example.test": {"CNAME": [f"c{step + 1}.example.test."]} for step in range(20)}
    server = await start(zones(("example.test",), records))
    with pytest.raises(CnameLoop, match="longer than"):
        await DnsView(resolvers=[str(server)]).follow_cname("c0.example.test")
    assert len([name for _, name, _ in server.asked if name.startswith("c")]) == 9


async def test_an_alias_that_is_longer_than_any_status_holds_once_it_is_written_out_is_an_error(
    start: Start, zones: type[Zones]
) -> None:
    target = ".".join(["\\000" * 60, "\\000" * 60, "example.test."])
    server = await start(zones(("example.test",), {"a.example.test": {"CNAME": [target]}}))
    with pytest.raises(InvalidName, match=r"a\.example\.test is an alias of a name that is 494 characters long"):
        await DnsView(resolvers=[str(server)]).follow_cname("a.example.test")


async def test_a_loop_of_aliases_is_shown(start: Start, zones: type[Zones]) -> None:
    records = {
        "a.example.test": {"CNAME": ["b.example.test."]},
        "b.example.test": {"CNAME": ["A.example.test."]},
    }
    server = await start(zones(("example.test",), records))
    with pytest.raises(CnameLoop, match=r"a\.example\.test -> b\.example\.test -> a\.example\.test"):
        await DnsView(resolvers=[str(server)]).follow_cname("a.example.test")


@pytest.mark.parametrize("option", ["resolvers", "authoritative"])
def test_a_server_that_is_none_is_refused_when_it_is_configured(option: str) -> None:
    with pytest.raises(InvalidServer, match="bad"):
        DnsView(**{option: ["bad server"]})  # type: ignore[arg-type]  # one option as well as the other


async def test_the_resolvers_of_the_system_are_the_default(
    start: Start, zones: type[Zones], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = await start(zones(("example.test",), {"a.example.test": {"CNAME": ["b.example.test."]}}))
    monkeypatch.setattr("certwright.dns.resolvers._system_servers", lambda: (Server("127.0.0.1", system.port),))
    assert await DnsView().follow_cname("a.example.test") == "b.example.test"


async def test_a_system_without_resolvers_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(self: object, **_: object) -> None:
        del self
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr("dns.resolver.Resolver.__init__", unreadable)
    with pytest.raises(ResolutionFailed, match=r"resolv\.conf lists no resolver"):
        await DnsView().follow_cname("a.example.test")


async def test_resolvers_without_an_address_are_named() -> None:
    with pytest.raises(ResolutionFailed, match=r"no resolver to ask: .*no-such-host\.invalid"):
        await DnsView(resolvers=["no-such-host.invalid"]).follow_cname("a.example.test")


async def test_a_configured_name_server_without_an_address_is_shown(start: Start, zones: type[Zones]) -> None:
    server = await start(zones(("example.test",), {NAME: {"TXT": ['"wanted"']}}))
    both = DnsView(authoritative=[str(server), "no-such-host.invalid"], resolvers=[str(server)])
    (seen,) = await both.check([RECORD])
    assert seen.complete
    assert "no-such-host.invalid:53 gave no answer" in seen.describe()

    (lost,) = await DnsView(authoritative=["no-such-host.invalid"], resolvers=[str(server)]).check([RECORD])
    assert not lost.complete
    assert "no-such-host.invalid" in lost.describe()


async def test_configured_name_servers_stand_in_for_those_of_the_zone(start: Start, zones: type[Zones]) -> None:
    server = await start(zones(("example.test",), {}))
    view = DnsView(resolvers=[str(server)], authoritative=["127.0.0.9:5353"])
    zone = await view.find_zone(NAME)
    assert (zone.name, [str(endpoint) for endpoint in zone.nameservers]) == ("example.test", ["127.0.0.9:5353"])


async def test_resolvers_are_asked_once_the_authoritative_servers_have_the_record(
    start: Start, zones: type[Zones]
) -> None:
    """A resolver remembers for minutes that a record was missing."""
    authority = await start(zones(("example.test",), {NAME: {"TXT": ['"stale"']}}))
    resolver = await start(zones(("example.test",), {NAME: {"TXT": ['"stale"']}}))
    view = DnsView(authoritative=[str(authority)], resolvers=[str(resolver)], views=["authoritative", "recursive"])
    (seen,) = await view.check([RECORD])
    assert not seen.complete
    assert resolver.asked == []

    authority.handler = zones(("example.test",), {NAME: {"TXT": ['"wanted"']}})
    (seen,) = await view.check([RECORD])
    assert not seen.complete, "the resolver does not have it yet"
    assert seen.describe() == f"the resolver {resolver} has 1 other value; {authority} has it"

    resolver.handler = authority.handler
    (seen,) = await view.check([RECORD])
    assert seen.complete


async def test_the_recursive_view_alone_asks_every_resolver_and_no_other_server(
    start: Start, zones: type[Zones]
) -> None:
    """Split horizon: what the zone's servers say here is not what the world sees."""
    inside = await start(zones(("example.test",), {NAME: {"TXT": ['"inside"']}}))
    public = [await start(zones(("example.test",), {NAME: {"TXT": ['"wanted"']}})) for _ in range(2)]
    view = DnsView(authoritative=[str(inside)], resolvers=[*map(str, public)], views=["recursive"])
    (seen, again) = await view.check([RECORD, RECORD])
    assert seen.complete
    assert again.complete
    assert inside.asked == []
    assert [server.asked for server in public] == [[("UDP", NAME, "TXT")]] * 2

    public[1].handler = zones(("example.test",), {})
    (seen,) = await view.check([RECORD])
    assert not seen.complete, "one resolver without the record is enough to fail"


async def test_a_dead_resolver_leaves_the_others(start: Start, zones: type[Zones]) -> None:
    alive = await start(zones(("example.test",), {NAME: {"TXT": ['"wanted"']}}))
    view = DnsView(resolvers=[str(alive), f"127.0.0.2:{alive.port}"], views=["recursive"], timeout=2)
    (seen,) = await view.check([RECORD])
    assert seen.complete
    assert "connection refused" in seen.describe()


async def test_a_resolver_may_find_the_record_behind_a_cname(start: Start, reply: Reply) -> None:
    """With cnameStrategy None the record stands at a name that is an alias for the world."""
    resolver = await start(
        lambda question, _: reply(
            question, f"{NAME}. 60 IN CNAME x.acme.test.", 'x.acme.test. 60 IN TXT "wanted"', aa=False
        )
    )
    (seen,) = await DnsView(resolvers=[str(resolver)], views=["recursive"]).check([RECORD])
    assert seen.complete


@pytest.mark.parametrize("views", [[], ["recursive", "local"]])
def test_a_view_is_one_of_two(views: list[Any]) -> None:
    with pytest.raises(ValueError, match="authoritative, recursive"):
        DnsView(views=views)
