"""Servers and proxies that refuse a connection: a typed error says why, in plain words, and shows no password."""

from __future__ import annotations

import base64
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest

from certwright.http.errors import ConnectionFailed, InvalidProxy
from certwright.http.transport import HttpxTransport
from certwright.http.trust import ClientCertificatePem, tls_failure
from tests.fakes.tls import QUICK, Issued, answering, issue, listening, serving

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path

PASSWORD: Final = "s3cr3t"
ENCODED: Final = base64.b64encode(f"user:{PASSWORD}".encode())
VERSIONS: Final = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@pytest.fixture
def root(tmp_path: Path) -> Issued:
    return issue(tmp_path, "root", ca=True)


@pytest.fixture
def leaf(tmp_path: Path, root: Issued) -> Issued:
    return issue(tmp_path, "leaf", issuer=root)


def pem_of(issued: Issued) -> ClientCertificatePem:
    certificate, key = issued.files
    return ClientCertificatePem(certificate.read_bytes(), key.read_bytes())


@asynccontextmanager
async def demanding(leaf: Issued, client_ca: Issued, version: ssl.TLSVersion) -> AsyncIterator[str]:
    """A server that requires a client certificate of one CA, says so by an alert, and does not hang up before it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*leaf.files)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=client_ca.pem)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        refused = False
        while data := await reader.read(65536):
            incoming.write(data)
            try:
                if not refused:
                    tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                refused = True
            writer.write(outgoing.read())

    async with listening(talk) as port:
        yield f"https://127.0.0.1:{port}/"


async def refusal(url: str, **settings: object) -> str:
    async with HttpxTransport(timeout=QUICK, **settings) as transport:  # type: ignore[arg-type]  # of one test each
        with pytest.raises(ConnectionFailed) as caught:
            await transport.request("GET", url, headers={}, max_bytes=100)
    return str(caught.value)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
class TestClientCertificates:
    async def test_one_of_another_ca(self, tmp_path: Path, root: Issued, leaf: Issued, version: ssl.TLSVersion) -> None:
        stranger = issue(tmp_path, "stranger", issuer=issue(tmp_path, "other", ca=True))
        async with demanding(leaf, root, version) as url:
            said = await refusal(url, ca_bundle=root.pem, client_certificate=pem_of(stranger))
        assert said.endswith("it does not trust the CA of the client certificate")

    async def test_one_that_has_expired(
        self, tmp_path: Path, root: Issued, leaf: Issued, version: ssl.TLSVersion
    ) -> None:
        expired = issue(tmp_path, "expired", issuer=root, days=-1)
        async with demanding(leaf, root, version) as url:
            said = await refusal(url, ca_bundle=root.pem, client_certificate=pem_of(expired))
        assert said.endswith("it says that the client certificate has expired")

    async def test_none(self, root: Issued, leaf: Issued, version: ssl.TLSVersion) -> None:
        async with demanding(leaf, root, version) as url:
            said = await refusal(url, ca_bundle=root.pem)
        assert said.endswith("requires a client certificate")


async def test_a_port_that_does_not_speak_tls(root: Issued) -> None:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        await reader.read()

    async with listening(hello) as port:
        said = await refusal(f"https://127.0.0.1:{port}/", ca_bundle=root.pem)
    assert said.endswith("it does not speak TLS at this port")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"407 Proxy-Authorization: Basic " + ENCODED, "the proxy wants another user name or password (407)"),
        (b"407 " + PASSWORD.encode(), "the proxy wants another user name or password (407)"),
        (b"403 no", "the proxy does not allow connections to this host (403)"),
        (b"502 user:" + PASSWORD.encode(), "the proxy answered 502 (Bad Gateway)"),
        (b"500 \xe2\x80\xae\x1b[2J", "the proxy answered 500 (Internal Server Error)"),
        (b"599 " + PASSWORD.encode(), "the proxy refused"),
        (b"302 Found", "the proxy answered 302 (Found)"),
    ],
)
async def test_nothing_that_a_proxy_says_is_repeated(root: Issued, answer: bytes, said: str) -> None:
    no = b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(no), None) as proxy:
        url = f"http://user:{PASSWORD}@localhost:{proxy.port}"
        message = await refusal("https://ca.test/", ca_bundle=root.pem, proxy=url)
    assert message == f"Cannot connect to ca.test through the proxy localhost:{proxy.port}: {said}"


async def test_a_proxy_that_hangs_up_in_its_own_tunnel(root: Issued) -> None:
    async def cut(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        writer.close()

    async with serving(cut, None) as proxy:
        said = await refusal("https://ca.test/", ca_bundle=root.pem, proxy=f"http://localhost:{proxy.port}")
    assert "through the proxy" in said
    assert "ConnectError" not in said


def test_a_port_that_no_proxy_has_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidProxy) as caught:
        HttpxTransport(proxy=f"http://user:{PASSWORD}@proxy.test:99999")
    assert PASSWORD not in str(caught.value)


def test_an_alert_that_nobody_has_heard_of_is_named() -> None:
    error = ssl.SSLError(1, "[SSL: TLSV1_ALERT_USER_CANCELLED] tlsv1 alert user cancelled (_ssl.c:1)")
    error.reason = "TLSV1_ALERT_USER_CANCELLED"
    assert tls_failure(error) == "it ended the TLS connection (user cancelled)"
