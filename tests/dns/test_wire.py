"""No DNS answer is more than a moment's work, whoever sends it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

import dns.message
import pytest

from certwright.dns.endpoint import Endpoint
from certwright.dns.errors import MalformedAnswer
from certwright.dns.query import MAX_STRAYS, Questioner, send_udp
from certwright.dns.wire import MAX_MESSAGE_BYTES, LaboriousMessage, measure
from tests.fakes.hostile import dns_name, laborious_answer

if TYPE_CHECKING:
    from tests.fakes.dns import Reply, Start

QUESTION = dns.message.make_query("a.example.test", "TXT")
CPU_SECONDS = 0.2
NS, CNAME, NAPTR, HIP = 2, 5, 35, 55


def test_the_answers_that_we_ask_for_are_easy(reply: Reply) -> None:
    values = [f'a.example.test. 60 IN TXT "{number:043d}"' for number in range(20)]
    soa = "example.test. 60 IN SOA ns1.example.test. host.example.test. 1 60 60 60 1"
    found = measure(reply(QUESTION, *values, authority=(soa,)).to_wire())
    assert (found.records, found.is_easy) == (22, True)


def test_a_hundred_values_at_one_name_are_read(reply: Reply) -> None:
    values = [f'a.example.test. 60 IN TXT "{number:043d}"' for number in range(200)]
    assert measure(reply(QUESTION, *values).to_wire()).records == 201


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"", "less than a header"),
        (b"\0" * 11, "less than a header"),
        (bytes(MAX_MESSAGE_BYTES + 1), "the limit is 16384"),
        (b"\0\0\x84\0\0\0\0\1\0\0\0\0", "cut off"),
        (b"\0\0\x84\0\0\0\1\1\0\0\0\0" + bytes(257 * 11), "257 records; the limit is 256"),
        (b"\0\0\x84\0\0\0\0\1\0\0\0\0\xc0\x0c" + bytes(10), "compression leads nowhere"),
        (b"\0\0\x84\0\0\0\0\1\0\0\0\0\xc0\x0e\xc0\x0c" + bytes(10), "compression leads nowhere"),
        (b"\0\0\x84\0\0\0\0\1\0\0\0\0\x41a" + bytes(10), "label of an unknown type"),
        (b"\0\0\x84\0\0\0\0\1\0\0\0\0\0\0\x10\0\1\0\0\0\0\xff\xff", "cut off"),
    ],
)
def test_damage_is_found_before_anything_is_parsed(wire: bytes, reason: str) -> None:
    with pytest.raises(LaboriousMessage, match=reason):
        measure(wire)


@pytest.mark.parametrize("rdtype", [16, NS, CNAME, NAPTR, HIP])
@pytest.mark.parametrize("size", [0xFFFF, MAX_MESSAGE_BYTES, 2048])
def test_what_compression_multiplies_is_counted(rdtype: int, size: int) -> None:
    wire = laborious_answer(QUESTION.to_wire(), size=size, rdtype=rdtype)
    started = time.thread_time()
    with pytest.raises(LaboriousMessage):
        measure(wire)
    assert time.thread_time() - started < CPU_SECONDS


def test_a_list_of_names_in_a_type_that_nobody_asks_for_is_counted() -> None:
    first = dns_name(126) + b"\0\x10\0\1\0\0\0\0\0\0"
    servers = b"\0\0\0\0" + b"\xc0\x0c" * 5000  # HIP (RFC 8005): any number of names
    record = b"\0\0\x37\0\1\0\0\0\0" + len(servers).to_bytes(2, "big") + servers
    with pytest.raises(LaboriousMessage, match="labels"):
        measure(b"\0\0\x84\0\0\0\0\2\0\0\0\0" + first + record)


@pytest.mark.parametrize("labels", [15, 16, 126])
def test_what_passes_is_parsed_in_a_moment(labels: int) -> None:
    size = 12 + 20 + 2 * labels + 12 * (4096 // labels - 8)
    wire = laborious_answer(QUESTION.to_wire(), labels=labels, size=min(size, 13 * 250))
    measure(wire)
    started = time.thread_time()
    dns.message.from_wire(wire)
    assert time.thread_time() - started < 5 * CPU_SECONDS


async def _longest_stall(started: asyncio.Event) -> float:
    """Return for how long at most the loop did nothing else, until cancelled."""
    longest, loop = 0.0, asyncio.get_running_loop()
    started.set()
    try:
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            longest = max(longest, loop.time() - before - 0.01)
    except asyncio.CancelledError:
        return longest


@pytest.mark.parametrize("rdtype", [16, NS])
@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
async def test_the_worst_answer_stops_nothing(start: Start, rdtype: int, protocol: str) -> None:
    def answer(question: dns.message.Message, asked: str) -> bytes | None:
        if protocol != asked:
            return b""
        return laborious_answer(question.to_wire(), rdtype=rdtype, size=0xFFFF if asked == "TCP" else 9000)

    server = await start(answer)
    begun = asyncio.Event()
    watch = asyncio.create_task(_longest_stall(begun))
    await begun.wait()
    started = time.thread_time()
    with pytest.raises(MalformedAnswer, match="invalid DNS response"):
        await Questioner(timeout=2).ask(
            Endpoint("ns", server.address, server.port), "a.example.test", "TXT", recursive=True
        )
    spent = time.thread_time() - started
    watch.cancel()
    assert await watch < 1.0
    assert spent < 1.0


async def test_a_flood_of_datagrams_that_are_no_answer_ends_the_wait_for_one() -> None:
    class Flood(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.DatagramTransport", transport)

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            for _ in range(2 * MAX_STRAYS):
                self.transport.sendto(laborious_answer(data, size=1200), addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Flood, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    started = loop.time()
    try:
        with pytest.raises(MalformedAnswer, match="again and again"):
            await send_udp(QUESTION, Endpoint("ns", "127.0.0.1", port), 60)
    finally:
        transport.close()
    assert loop.time() - started < 10
