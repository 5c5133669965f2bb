"""The transport against real TLS servers on the loopback interface."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from certwright.http import network
from certwright.http.addresses import AddressPolicy
from certwright.http.errors import (
    AddressRefused,
    ConnectionFailed,
    InvalidProxy,
    InvalidTrustBundle,
    MalformedResponse,
    ResponseTooLarge,
    TimedOut,
    UnsafeUrl,
    UntrustedServer,
)
from certwright.http.transport import HttpxTransport, Timeouts
from certwright.http.trust import ClientCertificate, ClientCertificatePem
from tests.fakes.tls import OK, QUICK, Issued, answering, issue, listening, serving, tunnelling

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("pki"), "Test Root")


@pytest.fixture(scope="module")
def leaf(tmp_path_factory: pytest.TempPathFactory, root: Issued) -> Issued:
    return issue(tmp_path_factory.mktemp("pki"), "server", issuer=root)


async def silent(_request: bytes, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def test_it_sends_what_it_is_told_and_reads_the_answer(root: Issued, leaf: Issued) -> None:
    content = (
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nReplay-Nonce: abc\r\n"
        b"Link: <https://a/>;rel=up\r\nLink: <https://b/>;rel=up\r\nSet-Cookie: a=b\r\n\r\n{}"
    )
    async with serving(answering(content), leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
        for _ in range(2):
            response = await transport.request(
                "POST", f"{server.url}/new", headers={"Accept-Language": "en"}, content=b"body", max_bytes=100
            )
    assert (response.status, response.body, response.url) == (201, b"{}", f"{server.url}/new")
    assert response.headers.get("replay-nonce") == "abc"
    assert response.headers.get_all("link") == ("<https://a/>;rel=up", "<https://b/>;rel=up")
    request = server.requests[1].lower()
    assert request.startswith(b"post /new http/1.1\r\n")
    assert request.endswith(b"body")
    assert b"\r\nuser-agent: certwright/" in request
    assert b"\r\naccept-language: en\r\n" in request
    assert b"\r\naccept-encoding: identity\r\n" in request
    assert b"cookie" not in request


class NotAllowed(asyncio.CancelledError):
    """What ends a request on our side, as the end of a task would."""


async def test_it_asks_before_it_writes_a_request(root: Issued, leaf: Issued) -> None:
    asked = 0
    allowed = True

    def before_send() -> None:
        nonlocal asked
        asked += 1
        if not allowed:
            raise NotAllowed

    async with (
        serving(answering(OK), leaf) as server,
        HttpxTransport(ca_bundle=root.pem, before_send=before_send) as transport,
    ):
        await transport.request("POST", server.url, headers={}, content=b"body", max_bytes=100)
        assert asked == 2, "before the head and before the body"
        allowed = False
        with pytest.raises(NotAllowed):
            await transport.request("POST", server.url, headers={}, content=b"body", max_bytes=100)
        allowed = True
        await transport.request("POST", server.url, headers={}, content=b"body", max_bytes=100)
    assert len(server.requests) == 2


async def test_it_asks_after_the_connection_is_made(root: Issued, leaf: Issued) -> None:
    """Making one may take as long as it likes, and what was allowed before it is not any more."""

    def before_send() -> None:
        raise NotAllowed

    async with (
        serving(answering(OK), leaf) as server,
        HttpxTransport(ca_bundle=root.pem, before_send=before_send) as transport,
    ):
        for _ in range(20):
            with pytest.raises(NotAllowed):
                await transport.request("GET", server.url, headers={}, max_bytes=100)
    assert server.requests == []


NO_LOOPBACK = AddressPolicy(allow_loopback=False)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"])
async def test_a_host_at_a_refused_address_is_sent_nothing_whatever_it_is_called(
    root: Issued, leaf: Issued, host: str
) -> None:
    async with (
        serving(answering(OK), leaf) as server,
        HttpxTransport(ca_bundle=root.pem, addresses=NO_LOOPBACK) as transport,
    ):
        with pytest.raises(AddressRefused, match="leads to a loopback address, to which no request is sent from here"):
            await transport.request("GET", f"https://{host}:{server.port}/", headers={}, max_bytes=100)
    assert server.requests == []


async def test_what_counts_is_where_the_connection_led_and_not_what_the_dns_said_before(
    root: Issued, leaf: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: a look-up of our own would have found a harmless address."""

    async def harmless(*_: object, **__: object) -> None:
        pytest.fail("a second look-up is no proof")

    async with (
        serving(answering(OK), leaf) as server,
        HttpxTransport(ca_bundle=root.pem, addresses=NO_LOOPBACK) as transport,
    ):
        monkeypatch.setattr(network, "resolve", harmless)
        with pytest.raises(AddressRefused):
            await transport.request("GET", server.url, headers={}, max_bytes=100)


async def test_open_and_closed_ports_at_a_refused_address_cannot_be_told_apart(root: Issued, leaf: Issued) -> None:
    async with (
        serving(answering(OK), leaf) as server,
        HttpxTransport(ca_bundle=root.pem, addresses=NO_LOOPBACK) as transport,
    ):
        said = set()
        for port in (server.port, 1):
            with pytest.raises(AddressRefused) as caught:
                await transport.request("GET", f"https://localhost:{port}/", headers={}, max_bytes=100)
            said.add(str(caught.value).replace(f":{port}", ""))
    assert len(said) == 1


async def test_an_allowed_address_is_asked_and_a_proxy_may_be_anywhere(root: Issued, leaf: Issued) -> None:
    asked: list[bytes] = []
    async with serving(answering(OK), leaf) as server, tunnelling(asked, server) as proxy:
        async with HttpxTransport(ca_bundle=root.pem, addresses=AddressPolicy()) as transport:
            assert (await transport.request("GET", server.url, headers={}, max_bytes=100)).status == 200
        way = f"http://127.0.0.1:{proxy}"
        async with HttpxTransport(ca_bundle=root.pem, addresses=NO_LOOPBACK, proxy=way) as transport:
            assert (await transport.request("GET", server.url, headers={}, max_bytes=100)).status == 200
            with pytest.raises(AddressRefused, match="metadata service"):
                await transport.request("GET", "https://169.254.169.254/", headers={}, max_bytes=100)
    assert len(asked) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_proxy_that_others_chose_may_not_be_where_nothing_may_be(root: Issued, leaf: Issued, host: str) -> None:
    asked: list[bytes] = []
    async with serving(answering(OK), leaf) as server, tunnelling(asked, server) as proxy:
        way = f"http://user:s3cr3t@{host}:{proxy}"
        async with HttpxTransport(ca_bundle=root.pem, proxy=way, proxy_addresses=NO_LOOPBACK) as transport:
            with pytest.raises(AddressRefused, match="loopback") as caught:
                await transport.request("GET", server.url, headers={}, max_bytes=100)
        assert "s3cr3t" not in str(caught.value)
        async with HttpxTransport(ca_bundle=root.pem, proxy=way, proxy_addresses=AddressPolicy()) as transport:
            assert (await transport.request("GET", server.url, headers={}, max_bytes=100)).status == 200
    assert len(asked) == 1, "a refused proxy is told nothing"


@pytest.mark.parametrize("path", ["/a|b/{c}", "/a%7eb/%2F", "/a/../b/./c", "//double", "/q?x=%20&y=[1]&z", "", "?q"])
async def test_the_url_goes_out_byte_for_byte(root: Issued, leaf: Issued, path: str) -> None:
    async with serving(answering(OK), leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
        await transport.request("GET", server.url + path, headers={}, max_bytes=100)
    line, host = server.requests[0].split(b"\r\n")[:2]
    expected = path if path.startswith("/") else f"/{path}"
    assert line == f"GET {expected} HTTP/1.1".encode()
    assert host.lower() == f"host: localhost:{server.port}".encode()


async def test_one_connection_serves_many_requests(root: Issued, leaf: Issued) -> None:
    connections = set()

    async def handler(_request: bytes, writer: asyncio.StreamWriter) -> None:
        connections.add(writer.get_extra_info("peername"))
        writer.write(OK)

    async with serving(handler, leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
        for _ in range(5):
            await transport.request("GET", server.url, headers={}, max_bytes=100)
    assert len(connections) == 1


class TestTrust:
    async def test_a_private_ca_is_not_trusted_without_its_bundle(self, leaf: Issued) -> None:
        async with serving(answering(OK), leaf) as server, HttpxTransport(timeout=QUICK) as transport:
            with pytest.raises(UntrustedServer) as caught:
                await transport.request("GET", server.url, headers={}, max_bytes=100)
        assert caught.value.host == f"localhost:{server.port}"
        assert caught.value.reason == "unable to get local issuer certificate"
        assert str(caught.value) == (
            f"The certificate of localhost:{server.port} is not trusted: unable to get local issuer certificate."
            " If this is a private CA, set its root as the CA bundle"
        )

    async def test_an_intermediate_in_the_bundle_is_an_anchor(self, tmp_path: Path, root: Issued) -> None:
        intermediate = issue(tmp_path, "intermediate", issuer=root, ca=True)
        identity = issue(tmp_path, "below", issuer=intermediate)
        async with serving(answering(OK), identity) as server:
            async with HttpxTransport(ca_bundle=intermediate.pem) as transport:
                assert (await transport.request("GET", server.url, headers={}, max_bytes=100)).status == 200
            async with HttpxTransport(ca_bundle=root.pem) as transport:
                with pytest.raises(UntrustedServer):
                    await transport.request("GET", server.url, headers={}, max_bytes=100)

    async def test_a_self_signed_certificate_is_not_trusted(self, tmp_path: Path, root: Issued) -> None:
        identity = issue(tmp_path, "self-signed")
        async with serving(answering(OK), identity) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            with pytest.raises(UntrustedServer, match="self-signed certificate"):
                await transport.request("GET", server.url, headers={}, max_bytes=100)

    async def test_an_expired_certificate_is_not_trusted(self, tmp_path: Path, root: Issued) -> None:
        identity = issue(tmp_path, "expired", issuer=root, days=-1)
        async with serving(answering(OK), identity) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            with pytest.raises(UntrustedServer, match=r"certificate has expired$"):
                await transport.request("GET", server.url, headers={}, max_bytes=100)

    async def test_a_certificate_for_another_host_is_not_trusted(self, tmp_path: Path, root: Issued) -> None:
        identity = issue(tmp_path, "other", issuer=root, host="other.test")
        async with serving(answering(OK), identity) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            with pytest.raises(UntrustedServer, match="Hostname mismatch"):
                await transport.request("GET", server.url, headers={}, max_bytes=100)

    async def test_verification_can_be_switched_off(self, leaf: Issued) -> None:
        async with serving(answering(OK), leaf) as server, HttpxTransport(verify=False) as transport:
            assert (await transport.request("GET", server.url, headers={}, max_bytes=100)).status == 200

    async def test_a_client_certificate_is_shown(self, tmp_path: Path, root: Issued, leaf: Issued) -> None:
        certificate, key = issue(tmp_path, "client", issuer=root).files
        async with (
            serving(answering(OK), leaf, client_ca=root) as server,
            HttpxTransport(ca_bundle=root.pem, client_certificate=ClientCertificate(certificate, key)) as transport,
            HttpxTransport(ca_bundle=root.pem) as anonymous,
        ):
            assert (await transport.request("GET", server.url, headers={}, max_bytes=100)).status == 200
            with pytest.raises(ConnectionFailed):
                await anonymous.request("GET", server.url, headers={}, max_bytes=100)

    async def test_a_client_certificate_that_is_only_in_memory_is_shown(
        self, tmp_path: Path, root: Issued, leaf: Issued
    ) -> None:
        certificate, key = (path.read_bytes() for path in issue(tmp_path, "client", issuer=root).files)
        shown = ClientCertificatePem(certificate, key)
        async with (
            serving(answering(OK), leaf, client_ca=root) as server,
            HttpxTransport(ca_bundle=root.pem, client_certificate=shown) as transport,
        ):
            assert (await transport.request("GET", server.url, headers={}, max_bytes=100)).status == 200
        assert "PRIVATE" not in repr(shown)

    @pytest.mark.parametrize(
        "bundle", ["", "nonsense", "é", "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----"]
    )
    def test_a_broken_bundle_is_refused(self, bundle: str) -> None:
        with pytest.raises(InvalidTrustBundle, match="CA bundle"):
            HttpxTransport(ca_bundle=bundle)

    async def test_comments_in_a_bundle_do_not_matter(self, root: Issued, leaf: Issued) -> None:
        bundle = f"# Unsere Würzelzertifikate\n{root.pem}\n# Ende\n{root.pem}"
        async with serving(answering(OK), leaf) as server, HttpxTransport(ca_bundle=bundle) as transport:
            assert (await transport.request("GET", server.url, headers={}, max_bytes=100)).status == 200

    def test_a_client_certificate_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidTrustBundle, match=r"missing\.crt"):
            HttpxTransport(client_certificate=ClientCertificate(tmp_path / "missing.crt", tmp_path / "missing.key"))

    async def test_a_server_without_tls_is_told_as_such(self, root: Issued) -> None:
        async with (
            serving(answering(OK), None) as server,
            HttpxTransport(ca_bundle=root.pem, timeout=Timeouts(connect=0.5)) as transport,
        ):
            with pytest.raises((ConnectionFailed, TimedOut)) as caught:
                await transport.request("GET", server.url, headers={}, max_bytes=100)
        assert f"localhost:{server.port}" in str(caught.value)


class TestUrls:
    async def test_plain_http_is_refused_unless_allowed(self) -> None:
        async with serving(answering(OK), None) as server:
            url = f"http://localhost:{server.port}/dir"
            async with HttpxTransport() as transport:
                with pytest.raises(UnsafeUrl, match="not https"):
                    await transport.request("GET", url, headers={}, max_bytes=100)
            assert server.requests == []
            async with HttpxTransport(allow_insecure=True) as transport:
                assert (await transport.request("GET", url, headers={}, max_bytes=100)).status == 200

    async def test_a_redirect_is_returned_and_not_followed(self, root: Issued, leaf: Issued) -> None:
        content = b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
        async with serving(answering(content), leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            for method in ("GET", "POST"):
                response = await transport.request(method, server.url, headers={}, content=b"", max_bytes=100)
                assert response.status == 307
        assert len(server.requests) == 2

    async def test_a_host_that_no_dns_name_can_be_is_refused(self) -> None:
        async with HttpxTransport(timeout=QUICK) as transport:
            with pytest.raises((UnsafeUrl, ConnectionFailed)):
                await transport.request("GET", "https://xn--a.test/", headers={}, max_bytes=100)


class TestBounds:
    async def test_a_body_of_just_the_allowed_length_is_read(self, root: Issued, leaf: Issued) -> None:
        content = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
        async with serving(answering(content), leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            assert len((await transport.request("GET", server.url, headers={}, max_bytes=100)).body) == 100
            with pytest.raises(ResponseTooLarge, match="more than 99 bytes"):
                await transport.request("GET", server.url, headers={}, max_bytes=99)

    @pytest.mark.parametrize("status", [200, 500])
    async def test_an_endless_body_is_read_to_the_cap_only(self, root: Issued, leaf: Issued, status: int) -> None:
        async def endless(_request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\nRetry-After: 5\r\n\r\n" % status)
            while True:
                writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
                await writer.drain()

        async with serving(endless, leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            if status == 200:
                with pytest.raises(ResponseTooLarge):
                    await transport.request("GET", server.url, headers={}, max_bytes=20_000)
            else:
                response = await transport.request("GET", server.url, headers={}, max_bytes=20_000)
                assert (response.status, len(response.body)) == (500, 20_000)
                assert response.headers.get("Retry-After") == "5"

    async def test_a_server_that_says_nothing_times_out(self, root: Issued, leaf: Issued) -> None:
        timeouts = Timeouts(connect=20, read=0.2, total=60)
        async with serving(silent, leaf) as server, HttpxTransport(ca_bundle=root.pem, timeout=timeouts) as transport:
            with pytest.raises(TimedOut, match=f"localhost:{server.port} did not answer in time"):
                await transport.request("GET", server.url, headers={}, max_bytes=100)

    async def test_a_server_that_dribbles_meets_the_total(self, root: Issued, leaf: Issued) -> None:
        async def dribble(_request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.05)

        timeouts = Timeouts(connect=20, read=20, total=0.4)
        async with serving(dribble, leaf) as server, HttpxTransport(ca_bundle=root.pem, timeout=timeouts) as transport:
            with pytest.raises(TimedOut, match=r"within 0\.4 s"):
                await transport.request("GET", server.url, headers={}, max_bytes=100_000)

    async def test_a_port_that_never_shakes_hands_times_out(self, root: Issued) -> None:
        async def mute(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        timeouts = Timeouts(connect=0.2, read=20, total=60)
        async with listening(mute) as port, HttpxTransport(ca_bundle=root.pem, timeout=timeouts) as transport:
            with pytest.raises(TimedOut, match="did not accept a connection in time"):
                await transport.request("GET", f"https://localhost:{port}", headers={}, max_bytes=100)

    @pytest.mark.parametrize("end", ["breaks off", "stops"])
    async def test_an_error_page_without_its_end_does_not_hide_the_status(
        self, root: Issued, leaf: Issued, end: str
    ) -> None:
        async def half_a_page(_request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 429 X\r\nRetry-After: 5\r\nContent-Length: 100\r\n\r\nhalf")
            if end == "breaks off":
                writer.close()
            else:
                await asyncio.sleep(60)

        timeouts = Timeouts(connect=20, read=1 if end == "stops" else 20, total=60)
        async with (
            serving(half_a_page, leaf) as server,
            HttpxTransport(ca_bundle=root.pem, timeout=timeouts, max_connections=1) as transport,
        ):
            for _ in range(2):
                response = await transport.request("GET", server.url, headers={}, max_bytes=100)
                assert (response.status, response.body) == (429, b"half")
                assert response.headers.get("Retry-After") == "5"

    async def test_a_compressed_error_page_does_not_hide_the_status(self, root: Issued, leaf: Issued) -> None:
        content = b"HTTP/1.1 503 X\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb"
        async with serving(answering(content), leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            response = await transport.request("GET", server.url, headers={}, max_bytes=100)
        assert (response.status, response.body) == (503, b"")

    async def test_a_coding_without_a_body_is_no_coding(self, root: Issued, leaf: Issued) -> None:
        content = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nReplay-Nonce: abc\r\n\r\n"
        async with serving(answering(content), leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            response = await transport.request("HEAD", server.url, headers={}, max_bytes=100)
        assert response.headers.get("Replay-Nonce") == "abc"

    async def test_header_fields_of_any_octets_are_read(self, root: Issued, leaf: Issued) -> None:
        content = b"HTTP/1.1 200 OK\r\nA: \xc3\xa9\r\nB: \xe9\r\nContent-Length: 0\r\n\r\n"
        async with serving(answering(content), leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            response = await transport.request("GET", server.url, headers={}, max_bytes=100)
        assert (response.headers.get("A"), response.headers.get("B")) == ("é", "\ufffd")

    async def test_a_compressed_body_is_refused_unread(self, root: Issued, leaf: Issued) -> None:
        content = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb"
        async with serving(answering(content), leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            with pytest.raises(MalformedResponse, match="gzip"):
                await transport.request("GET", server.url, headers={}, max_bytes=100)


class TestConnections:
    async def test_a_refused_connection_sent_nothing(self, unused_tcp_port: int) -> None:
        async with HttpxTransport(timeout=QUICK) as transport:
            with pytest.raises(ConnectionFailed, match="Connection refused") as caught:
                await transport.request("GET", f"https://127.0.0.1:{unused_tcp_port}", headers={}, max_bytes=100)
        assert caught.value.request_sent is False

    async def test_a_proxy_is_used_if_given_and_not_taken_from_the_environment(
        self, root: Issued, leaf: Issued, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = f"http://127.0.0.1:{unused_tcp_port}"
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        async with (
            serving(answering(OK), leaf) as server,
            HttpxTransport(ca_bundle=root.pem) as direct,
            HttpxTransport(ca_bundle=root.pem, proxy=proxy) as proxied,
            HttpxTransport(ca_bundle=root.pem, trust_env=True) as trusting,
        ):
            assert (await direct.request("GET", server.url, headers={}, max_bytes=100)).status == 200
            for transport in (proxied, trusting):
                with pytest.raises(ConnectionFailed) as caught:
                    await transport.request("GET", server.url, headers={}, max_bytes=100)
                assert str(caught.value) == (
                    f"Cannot connect to localhost:{server.port} through the proxy 127.0.0.1:{unused_tcp_port}:"
                    " Connection refused"
                )
                assert caught.value.request_sent is False
            monkeypatch.setenv("NO_PROXY", "localhost")
            async with HttpxTransport(ca_bundle=root.pem, trust_env=True) as excepted:
                assert (await excepted.request("GET", server.url, headers={}, max_bytes=100)).status == 200

    async def test_a_tunnel_leads_through_a_proxy(self, root: Issued, leaf: Issued) -> None:
        asked: list[bytes] = []
        async with (
            serving(answering(OK), leaf) as server,
            tunnelling(asked, server) as port,
            HttpxTransport(ca_bundle=root.pem, proxy=f"http://user:pass-words@127.0.0.1:{port}") as transport,
        ):
            for _ in range(2):
                response = await transport.request("GET", f"{server.url}/a/../b", headers={}, max_bytes=100)
                assert response.status == 200
        assert len(asked) == 1
        assert asked[0].startswith(f"CONNECT localhost:{server.port} HTTP/1.1\r\n".encode())
        assert b"\r\nproxy-authorization: basic " in asked[0].lower()
        assert server.requests[1].startswith(b"GET /a/../b HTTP/1.1\r\n")
        assert b"proxy-authorization" not in server.requests[1].lower()

    async def test_a_proxy_that_refuses_is_told_and_nothing_was_sent(self, root: Issued) -> None:
        no = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        async with serving(answering(no), None) as proxy:
            url = f"http://user:pass-words@localhost:{proxy.port}"
            async with HttpxTransport(ca_bundle=root.pem, proxy=url) as transport:
                with pytest.raises(
                    ConnectionFailed, match=f"through the proxy localhost:{proxy.port}: .*407"
                ) as caught:
                    await transport.request("GET", "https://ca.test/dir", headers={}, max_bytes=100)
        assert caught.value.request_sent is False
        assert "pass-words" not in str(caught.value)

    async def test_a_proxy_for_plain_http_is_told_the_whole_url(self) -> None:
        async with serving(answering(OK), None) as proxy:
            url = f"http://localhost:{proxy.port}"
            async with HttpxTransport(proxy=url, allow_insecure=True) as transport:
                await transport.request("GET", "http://ca.test/a/../b?c", headers={}, max_bytes=100)
        assert proxy.requests[0].startswith(b"GET http://ca.test/a/../b?c HTTP/1.1\r\nHost: ca.test\r\n")

    @pytest.mark.parametrize("proxy", ["nonsense", "ftp://a.test:1", "http://u:pass-words@[::1", "socks5://a.test:1"])
    @pytest.mark.parametrize("source", ["argument", "environment"])
    def test_a_proxy_that_cannot_be_used_is_refused(
        self, proxy: str, source: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "socksio", None)
        # Without a scheme it is one for http in the environment, as everywhere.
        monkeypatch.setenv("HTTPS_PROXY", proxy if "://" in proxy else f"{proxy}://")
        from_environment = source == "environment"
        with pytest.raises(InvalidProxy) as caught:
            HttpxTransport(trust_env=from_environment, proxy=None if from_environment else proxy)
        assert "pass-words" not in str(caught.value)
        assert ("socksio" in str(caught.value)) is proxy.startswith("socks5")

    async def test_closed_connections_are_not_opened_again(self, root: Issued, leaf: Issued) -> None:
        async with serving(answering(OK), leaf) as server:
            async with HttpxTransport(ca_bundle=root.pem) as transport:
                await transport.request("GET", server.url, headers={}, max_bytes=100)
            with pytest.raises(ConnectionFailed, match="closed on our side") as caught:
                await transport.request("GET", server.url, headers={}, max_bytes=100)
        assert caught.value.request_sent is False
        assert len(server.requests) == 1

    async def test_an_idle_connection_that_the_server_closed_is_replaced(self, root: Issued, leaf: Issued) -> None:
        peers = []

        async def answer_once(_: bytes, writer: asyncio.StreamWriter) -> None:
            peers.append(writer.get_extra_info("peername"))
            writer.write(OK)  # without `Connection: close`, as a server that is restarted
            if len(peers) != 2:
                asyncio.get_running_loop().call_later(0.02, writer.transport.abort)

        async with serving(answer_once, leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            for _ in range(3):
                response = await transport.request("POST", server.url, headers={}, content=b"x", max_bytes=100)
                assert response.status == 200
                await asyncio.sleep(0.05)  # for the close to arrive
        assert len(set(peers)) == 2, "the second answer left its connection open: the third request uses it"
        assert peers[1] == peers[2]

    async def test_many_hosts_cost_no_memory(self, root: Issued, unused_tcp_port: int) -> None:
        async with HttpxTransport(ca_bundle=root.pem, timeout=QUICK) as transport:
            for number in range(1, 200):
                with pytest.raises(ConnectionFailed):
                    await transport.request(
                        "GET", f"https://127.0.0.{number}:{unused_tcp_port}", headers={}, max_bytes=1
                    )
            assert len(transport._routes) <= 64

    async def test_an_unknown_host_is_named(self) -> None:
        async with HttpxTransport(timeout=QUICK) as transport:
            with pytest.raises((ConnectionFailed, TimedOut), match=r"nowhere\.invalid"):
                await transport.request("GET", "https://nowhere.invalid/dir", headers={}, max_bytes=100)

    @pytest.mark.parametrize(
        "content", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"SSH-2.0-x\r\n\r\n"]
    )
    async def test_a_connection_that_breaks_may_have_done_something(
        self, root: Issued, leaf: Issued, content: bytes
    ) -> None:
        async def hang_up(_request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(content)
            writer.close()

        async with serving(hang_up, leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            with pytest.raises(ConnectionFailed) as caught:
                await transport.request("GET", server.url, headers={}, max_bytes=1000)
        assert caught.value.request_sent is True

    @pytest.mark.parametrize(
        "content",
        [
            b"220 secret-words ESMTP\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nsecret-words: \x00\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret-words\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nA: " + b"secret-words" * 20_000,
        ],
    )
    async def test_what_is_no_http_is_not_quoted(self, root: Issued, leaf: Issued, content: bytes) -> None:
        async with serving(answering(content), leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            with pytest.raises(ConnectionFailed) as caught:
                await transport.request("GET", server.url, headers={}, max_bytes=1000)
        assert str(caught.value) == (
            f"The connection broke while talking to localhost:{server.port}: its answer is not valid HTTP"
        )

    async def test_who_hangs_up_is_told_as_such(self, root: Issued, leaf: Issued) -> None:
        async def hang_up(_request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with serving(hang_up, leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            with pytest.raises(ConnectionFailed, match="it closed the connection before its answer was complete"):
                await transport.request("GET", server.url, headers={}, max_bytes=1000)

    async def test_an_outer_time_out_is_not_mistaken_for_the_servers(self, root: Issued, leaf: Issued) -> None:
        async with serving(silent, leaf) as server, HttpxTransport(ca_bundle=root.pem) as transport:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await transport.request("GET", server.url, headers={}, max_bytes=100)
