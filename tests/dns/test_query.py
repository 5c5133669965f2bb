from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import dns.flags
import dns.message
import pytest

from certwright.dns import Endpoint, MalformedAnswer, NameserverUnreachable
from certwright.dns.query import Questioner

if TYPE_CHECKING:
    from tests.fakes.dns import Answer, Start

NAME = "_acme-challenge.example.test"


def answer_with(*, udp: str, tcp: str = "good") -> object:
    """A server that is good or bad over each of the protocols."""

    def handler(question: dns.message.Message, protocol: str) -> Answer:
        kind = udp if protocol == "UDP" else tcp
        message = dns.message.make_response(question)
        if kind == "truncated":
            message.flags |= dns.flags.TC
        if kind == "another id":
            message.id = (message.id + 1) % 65536
        return {"silent": None, "garbage": b"\x00" * 5}.get(kind, message)

    return handler


@pytest.mark.parametrize("udp", ["truncated", "silent", "garbage", "another id"])
async def test_what_udp_does_not_bring_comes_over_tcp(start: Start, udp: str) -> None:
    server = await start(answer_with(udp=udp))
    answer = await Questioner(timeout=4).ask(Endpoint("s", server.address, server.port), NAME, "TXT", recursive=False)

    assert answer.rcode() == 0
    assert server.asked == [("UDP", NAME, "TXT"), ("TCP", NAME, "TXT")]


class Forger(asyncio.DatagramProtocol):
    """A server with somebody beside it who is quicker, and has to guess."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        for identity in (question.id ^ 1, question.id):
            answer = dns.message.make_response(question)
            answer.id = identity
            self.transport.sendto(answer.to_wire(), addr)


async def test_a_forged_datagram_is_waited_out() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Forger, local_addr=("127.0.0.1", 0))
    try:
        port = transport.get_extra_info("sockname")[1]
        # Nobody answers over TCP there.
        answer = await Questioner(timeout=10).ask(Endpoint("s", "127.0.0.1", port), NAME, "TXT", recursive=False)
    finally:
        transport.close()
    assert answer.rcode() == 0


async def test_one_datagram_is_enough_for_a_good_server(start: Start) -> None:
    server = await start(answer_with(udp="good"))
    await Questioner().ask(Endpoint("s", server.address, server.port), NAME, "TXT", recursive=True)
    assert server.asked == [("UDP", NAME, "TXT")]


@pytest.mark.parametrize("recursive", [True, False])
async def test_recursion_is_asked_for_only_where_it_is_wanted(start: Start, *, recursive: bool) -> None:
    wanted: list[bool] = []

    def handler(question: dns.message.Message, _: str) -> Answer:
        wanted.append(bool(question.flags & dns.flags.RD))
        return dns.message.make_response(question)

    server = await start(handler)
    await Questioner().ask(Endpoint("s", server.address, server.port), NAME, "TXT", recursive=recursive)
    assert wanted == [recursive]


async def test_silence_ends_in_the_given_time(start: Start) -> None:
    server = await start(answer_with(udp="silent", tcp="silent"))
    with pytest.raises(NameserverUnreachable, match=r"127\.0\.0\.1.* no answer over TCP within 0\.1 s") as caught:
        await Questioner(timeout=0.2).ask(Endpoint("s", server.address, server.port), NAME, "TXT", recursive=False)

    assert caught.value.timed_out


async def test_a_closed_port_is_told_as_such_and_not_waited_for(unused_tcp_port: int) -> None:
    with pytest.raises(NameserverUnreachable, match="connection refused") as caught:
        await Questioner(timeout=3600).ask(Endpoint("s", "127.0.0.1", unused_tcp_port), NAME, "TXT", recursive=False)

    assert not caught.value.timed_out


async def test_garbage_over_tcp_is_no_answer(start: Start) -> None:
    server = await start(answer_with(udp="truncated", tcp="garbage"))
    with pytest.raises(MalformedAnswer, match="invalid DNS response"):
        await Questioner(timeout=20).ask(Endpoint("s", server.address, server.port), NAME, "TXT", recursive=False)
