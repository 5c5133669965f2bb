"""A small DNS server in the test's own loop, for everything that a good server would not do."""

from __future__ import annotations

import asyncio
import struct
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

# Given the question and "UDP" or "TCP": the answer, raw bytes, or None for silence.
Answer: TypeAlias = dns.message.Message | bytes | None
Handler: TypeAlias = "Callable[[dns.message.Message, str], Answer]"


class FakeNameserver:
    """Answers over UDP and TCP on one port with what its handler says, and remembers what it was asked."""

    def __init__(self, handler: Handler, address: str = "127.0.0.1", *, keyring: object = None) -> None:
        self.handler = handler
        self.address = address
        self.keyring = keyring
        self.port = 0
        self.asked: list[tuple[str, str, str]] = []
        self.writers: set[asyncio.StreamWriter] = set()

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"

    def respond(self, wire: bytes, protocol: str) -> bytes | None:
        question = dns.message.from_wire(wire, keyring=self.keyring, continue_on_error=self.keyring is None)
        section = question.sections[0][0]
        self.asked.append((protocol, section.name.to_text(omit_final_dot=True), section.rdtype.name))
        answer = self.handler(question, protocol)
        return answer.to_wire() if isinstance(answer, dns.message.Message) else answer

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[FakeNameserver]:
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            tcp = await asyncio.start_server(self._serve, self.address, port)
            stack.push_async_callback(self._stop, tcp)
            self.port = tcp.sockets[0].getsockname()[1]
            udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(self.address, self.port))
            stack.callback(udp.close)
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer = self.respond(await reader.readexactly(length), "TCP")
            if answer is None:
                # Silence lasts until the client has enough of it.
                await reader.read()
                return
            writer.write(struct.pack("!H", len(answer)) + answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            self.writers.discard(writer)

    async def _stop(self, server: asyncio.Server) -> None:
        server.close()
        for writer in tuple(self.writers):
            writer.close()
        await server.wait_closed()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: FakeNameserver) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self.server.respond(data, "UDP")
        if answer is not None:
            self.transport.sendto(answer, addr)


def reply(
    question: dns.message.Message,
    *answers: str,
    authority: tuple[str, ...] = (),
    rcode: str = "NOERROR",
    aa: bool = True,
) -> dns.message.Message:
    """An answer with records in the zone file's form."""
    message = dns.message.make_response(question)
    message.set_rcode(dns.rcode.from_text(rcode))
    if aa:
        message.flags |= dns.flags.AA
    for section, lines in ((message.answer, answers), (message.authority, authority)):
        for line in lines:
            name, ttl, _, rdtype, data = line.split(" ", 4)
            section.append(dns.rrset.from_text(name, int(ttl), "IN", rdtype, data))
    return message


class Zones:
    """A handler over a few records: `{"www.example.test": {"TXT": ['"x"']}}`, with the zones they are in."""

    def __init__(self, zones: tuple[str, ...], records: dict[str, dict[str, list[str]]]) -> None:
        self.zones = sorted(zones, key=len, reverse=True)
        self.records = records

    def __call__(self, question: dns.message.Message, protocol: str) -> Answer:
        del protocol
        section = question.question[0]
        name = section.name.to_text(omit_final_dot=True).lower()
        zone = next((zone for zone in self.zones if name == zone or name.endswith(f".{zone}")), None)
        if zone is None:
            return reply(question, rcode="REFUSED", aa=False)
        soa = f"{zone}. 60 IN SOA ns1.{zone}. host.{zone}. 1 60 60 60 1"
        rdtype = section.rdtype.name
        if rdtype == "SOA" and name == zone:
            return reply(question, soa)
        here = self.records.get(name, {})
        found = [
            f"{name}. 60 IN {kind} {data}" for kind in dict.fromkeys((rdtype, "CNAME")) for data in here.get(kind, ())
        ]
        if found:
            return reply(question, *found)
        return reply(question, authority=(soa,), rcode="NOERROR" if here else "NXDOMAIN")


Reply: TypeAlias = "Callable[..., dns.message.Message]"
Start: TypeAlias = "Callable[..., Awaitable[FakeNameserver]]"
