"""The servers that answer http-01 (RFC 8555 section 8.3) and tls-alpn-01 (RFC 8737)."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from certwright.challenges.listener import MAX_CONNECTIONS, Listener
from certwright.client import CannotListen, Http01Server, TlsAlpn01Server

if TYPE_CHECKING:
    from tests.fakes.challenges import MakeProof

HOST = "127.0.0.1"
PATH = "/.well-known/acme-challenge/token"


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()


class TestHttp01:
    async def test_it_answers_what_is_asked_for_and_nothing_else(self, proof: MakeProof) -> None:
        server = Http01Server(host=HOST, port=0)
        await server.present([proof()])
        try:
            answer = await ask(server.port, f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Content-Length: 16\r\n" in head + b"\r\n"
            assert body == b"token.thumbprint"
            for request, status in (
                (f"HEAD {PATH} HTTP/1.1", b"200"),
                (f"GET {PATH}?x=1 HTTP/1.1", b"200"),
                (f"GET {PATH}/ HTTP/1.1", b"404"),
                ("GET / HTTP/1.1", b"404"),
                ("GET /.well-known/acme-challenge/../../etc/passwd HTTP/1.1", b"404"),
                (f"POST {PATH} HTTP/1.1", b"405"),
                ("nonsense", b"400"),
            ):
                said = await ask(server.port, f"{request}\r\nHost: x\r\n\r\n".encode())
                assert said.split(b" ")[1] == status, request
                assert b"token.thumbprint" not in said or request.startswith(f"GET {PATH}?")
        finally:
            await server.clean_up([proof()])

    async def test_it_closes_after_the_last_and_opens_again(self, proof: MakeProof) -> None:
        server = Http01Server(host=HOST, port=0)
        first, second = proof(token="one"), proof(token="two")
        await server.present([first, second])
        await server.present([second])
        port = server.port
        await server.clean_up([first])
        assert b"404" in await ask(port, b"GET /.well-known/acme-challenge/one HTTP/1.1\r\n\r\n")
        assert b"200" in await ask(port, b"GET /.well-known/acme-challenge/two HTTP/1.1\r\n\r\n")
        await server.clean_up([second])
        await server.clean_up([second])
        with pytest.raises(ConnectionRefusedError):
            await ask(port, b"GET / HTTP/1.1\r\n\r\n")
        await server.present([first])
        assert b"200" in await ask(server.port, b"GET /.well-known/acme-challenge/one HTTP/1.1\r\n\r\n")
        await server.clean_up([first])

    async def test_a_port_that_is_taken_is_told_with_what_to_do(self, proof: MakeProof) -> None:
        one = Http01Server(host=HOST, port=0)
        await one.present([proof()])
        other = Http01Server(host=HOST, port=one.port)
        with pytest.raises(CannotListen, match=f"port {one.port}: address already in use; stop the server"):
            await other.present([proof()])
        await other.clean_up([proof()])
        await one.clean_up([proof()])

    @pytest.mark.parametrize("junk", [b"\r\n", b"GET", b"x" * 20_000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200])
    async def test_whoever_does_not_speak_http_is_hung_up_on(self, proof: MakeProof, junk: bytes) -> None:
        server = Http01Server(host=HOST, port=0)
        await server.present([proof()])
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(junk)
        writer.write_eof()
        try:
            said = await reader.read()
        except ConnectionResetError:
            said = b""
        assert b"token.thumbprint" not in said
        writer.close()
        assert b"200" in await ask(server.port, f"GET {PATH} HTTP/1.1\r\n\r\n".encode())
        await server.clean_up([proof()])


async def test_connections_are_bounded_and_silent_ones_keep_no_others_out() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))

    listener = Listener(handle, host=HOST, port=0)
    await listener.hold(1)
    opened = [await asyncio.open_connection(HOST, listener.port) for _ in range(MAX_CONNECTIONS + 20)]
    assert await asyncio.gather(*(reader.read() for reader, _ in opened[:20])) == [b""] * 20
    for _, writer in opened[20:]:
        writer.write(b"x")
    assert await asyncio.gather(*(reader.read() for reader, _ in opened[20:])) == [b"x"] * MAX_CONNECTIONS
    for _, writer in opened:
        writer.close()
    await listener.let_go(1)


class TestTlsAlpn01:
    @staticmethod
    async def handshake(port: int, server_name: str, protocols: list[str]) -> tuple[str | None, bytes]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(protocols)
        _, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=server_name)
        try:
            connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
            return connection.selected_alpn_protocol(), connection.getpeercert(binary_form=True) or b""
        finally:
            writer.close()

    async def test_each_name_gets_its_certificate(self, proof: MakeProof) -> None:
        server = TlsAlpn01Server(host=HOST, port=0)
        proofs = [proof("a.example.com", "tls-alpn-01", token="a"), proof("192.0.2.1", "tls-alpn-01", token="b")]
        await server.present(proofs)
        try:
            for name, token in (("a.example.com", b"a"), ("1.2.0.192.in-addr.arpa", b"b")):
                protocol, der = await self.handshake(server.port, name, ["acme-tls/1"])
                assert protocol == "acme-tls/1"
                certificate = x509.load_der_x509_certificate(der)
                extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
                assert extension.value.public_bytes()[2:] == hashlib.sha256(token + b".thumbprint").digest()
            # An alert, or what asyncio makes of one: it may close before the alert is out.
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await self.handshake(server.port, "b.example.com", ["acme-tls/1"])
        finally:
            await server.clean_up(proofs)

    async def test_another_protocol_is_not_answered_with_a_guess(self, proof: MakeProof) -> None:
        server = TlsAlpn01Server(host=HOST, port=0)
        proofs = [proof("a.example.com", "tls-alpn-01")]
        await server.present(proofs)
        try:
            protocol, _ = await self.handshake(server.port, "a.example.com", ["h2", "http/1.1"])
            assert protocol is None
        finally:
            await server.clean_up(proofs)
