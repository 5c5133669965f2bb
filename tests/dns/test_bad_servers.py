"""Servers and zones in trouble: each is told in words of its own, with the server that has it and what to do."""

from __future__ import annotations

import asyncio
import errno
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import dns.flags
import dns.message
import pytest

from certwright.dns import DnsView, NameserverUnreachable, ResolutionFailed, TxtRecord, ZoneNotFound
from certwright.dns import query as module
from certwright.dns.endpoint import Endpoint
from certwright.dns.query import Questioner
from certwright.http.addresses import AddressPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fakes.dns import Answer, FakeNameserver, Reply, Start, Zones

NAME = "_acme-challenge.www.example.test"
RECORD = TxtRecord(NAME, "wanted")
IN_POD = AddressPolicy(allow_loopback=False)


class Datagrams(asyncio.DatagramProtocol):
    """A server that only knows UDP, and does not do that well either."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.elsewhere: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = dns.message.make_response(dns.message.from_wire(data))
        if self.fault == "cut off":
            answer.flags |= dns.flags.TC
        if self.fault == "another ID":
            answer.id ^= 1
        (self.elsewhere or self.transport).sendto(answer.to_wire(), addr)


@asynccontextmanager
async def datagrams(fault: str) -> AsyncIterator[int]:
    """Run such a server; yield its port, at which nobody listens over TCP."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: Datagrams(fault), local_addr=("127.0.0.1", 0))
    other, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.2", 0))
    if fault == "another address":
        server.elsewhere = other
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
        other.close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            "cut off",
            "its answer over UDP is cut off, and connection refused (TCP): it has to answer over TCP as well",
        ),
        (
            "another ID",
            "what it sent over UDP answers another question, or has another message ID; connection refused (TCP)",
        ),
        ("another address", "connection refused (TCP)"),
    ],
)
async def test_what_a_server_without_tcp_does_wrong_over_udp_is_told(fault: str, said: str) -> None:
    async with datagrams(fault) as port:
        with pytest.raises(NameserverUnreachable) as caught:
            await Questioner(timeout=1.0).ask(Endpoint("ns1.example", "127.0.0.1", port), NAME, "TXT", recursive=False)
    assert caught.value.reason == said


async def test_name_servers_with_ipv6_addresses_that_there_is_no_way_to_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NoRoute:
        async def make_socket(self, *_: Any, **__: Any) -> Any:
            raise OSError(errno.ENETUNREACH, "network is unreachable")

    monkeypatch.setattr(module, "_BACKEND", NoRoute())
    with pytest.raises(NameserverUnreachable) as caught:
        await Questioner().ask(Endpoint("ns1.example", "2001:db8::1"), NAME, "TXT", recursive=False)
    assert caught.value.reason == "there is no way from here to IPv6 addresses (TCP)"


def bogus(question: dns.message.Message, protocol: str) -> Answer:
    """Answer as a resolver that validates, and finds wrong signatures."""
    del protocol
    answer = dns.message.make_response(question)
    if not question.flags & dns.flags.CD:
        answer.set_rcode(dns.rcode.SERVFAIL)
    return answer


async def test_broken_dnssec_is_told_apart_from_other_failures_of_a_resolver(start: Start, reply: Reply) -> None:
    validating = await start(bogus)
    failing = await start(lambda question, _: reply(question, rcode="SERVFAIL"))
    for resolver, is_dnssec in ((validating, True), (failing, False)):
        view = DnsView(resolvers=[str(resolver)], views=["recursive"])
        with pytest.raises(ResolutionFailed, match="SERVFAIL") as caught:
            await view.follow_cname(NAME)
        [seen] = await view.check([RECORD])
        for text in (str(caught.value), seen.describe()):
            assert str(resolver) in text
            assert ("the DNSSEC of the zone is broken" in text) == is_dnssec
    assert len(validating.asked) == 4, "once more for each, without validation"


async def test_ten_thousand_values_are_not_read_and_it_is_said_what_to_do(start: Start, reply: Reply) -> None:
    many = [f'{NAME}. 60 IN TXT "{number:010d}"' for number in range(300)]

    def handler(question: dns.message.Message, protocol: str) -> Answer:
        answer = reply(question, *(many if protocol == "TCP" else ()))
        if protocol == "UDP":
            answer.flags |= dns.flags.TC
        return answer

    few, lots = await start(handler), await start(handler)
    many_bytes = [f'{NAME}. 60 IN TXT "{number:0200d}"' for number in range(250)]
    lots.handler = lambda question, protocol: (
        reply(question, *many_bytes) if protocol == "TCP" else handler(question, protocol)
    )
    for server, said in ((few, "with 301 records; the limit is 256"), (lots, "bytes; the limit is 16384")):
        [seen] = await DnsView(authoritative=[str(server)]).check([RECORD])
        assert not seen.complete
        assert f"{said} (remove values at the name that nobody needs any more)" in seen.describe()
        assert str(server) in seen.describe()


async def world(start: Start, zones: type[Zones], **nameservers: list[str]) -> FakeNameserver:
    """A resolver that knows example.test, with name servers at these addresses."""
    records: dict[str, Any] = {
        f"{host}.example.test": {
            "A": [one for one in addresses if ":" not in one],
            "AAAA": [one for one in addresses if ":" in one],
        }
        for host, addresses in nameservers.items()
    }
    records["example.test"] = {"NS": [f"{host}.example.test." for host in nameservers]}
    return await start(zones(("example.test",), records))


async def test_name_servers_at_addresses_of_nobody_else_are_not_asked(start: Start, zones: type[Zones]) -> None:
    inside = ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "0.0.0.0", "fd00:ec2::254"]  # noqa: S104 - not listened at
    nameservers = {f"ns{number}": [address] for number, address in enumerate(inside)}
    resolver = await world(start, zones, **nameservers)
    view = DnsView(resolvers=[str(resolver)], nameserver_port=resolver.port, addresses=IN_POD)
    with pytest.raises(ZoneNotFound) as caught:
        await view.find_zone(NAME)
    for number, address in enumerate(inside):
        assert f"ns{number}.example.test: its address " in str(caught.value), address
    assert "Correct the addresses of its NS records" in str(caught.value)
    [seen] = await view.check([RECORD])
    assert "169.254.169.254 is none of a public DNS server" in seen.describe()
    assert not seen.complete
    assert "TXT" not in {rdtype for _, _, rdtype in resolver.asked}, "it listens at one of these addresses itself"


async def test_one_name_server_at_such_an_address_counts_as_silent(start: Start, zones: type[Zones]) -> None:
    resolver = await world(start, zones, ns1=["127.0.0.3"], ns2=["169.254.169.254"])
    records = {NAME: {"TXT": ['"wanted"']}}
    await start(zones(("example.test",), records), address="127.0.0.3", port=resolver.port)
    view = DnsView(resolvers=[str(resolver)], nameserver_port=resolver.port)
    [seen] = await view.check([RECORD])
    assert seen.complete
    said = "ns2.example.test gave no answer: its address 169.254.169.254 is none of a public DNS server"
    assert said in seen.describe()


async def test_a_zone_cut_at_the_name_is_told(start: Start, zones: type[Zones]) -> None:
    records = {
        NAME: {"NS": ["ns.child.test."]},
        "ns.child.test": {"A": ["127.0.0.4"]},
    }
    resolver = await start(zones(("example.test", NAME, "child.test"), records))
    await start(zones((NAME,), {}), address="127.0.0.4", port=resolver.port)
    [seen] = await DnsView(resolvers=[str(resolver)], nameserver_port=resolver.port).check([RECORD])
    assert seen.describe() == (
        f"ns.child.test (127.0.0.4:{resolver.port}) has no such record; the name is a zone of its own, with these "
        "servers, so that the record has to be created there"
    )


@pytest.mark.parametrize(("ttl", "said"), [(600, "10 min"), (30, "a minute")])
async def test_how_long_a_resolver_remembers_that_there_is_no_record_is_told(
    start: Start, reply: Reply, ttl: int, said: str
) -> None:
    soa = f"example.test. {ttl} IN SOA ns1.example.test. host.example.test. 1 60 60 60 86400"
    resolver = await start(lambda question, _: reply(question, authority=(soa,), rcode="NXDOMAIN"))
    [seen] = await DnsView(resolvers=[str(resolver)], views=["recursive"]).check([RECORD])
    assert seen.describe() == f"the resolver {resolver} has no such record and remembers that for {said}"
