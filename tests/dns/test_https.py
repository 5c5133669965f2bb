"""DNS over HTTPS (RFC 8484): what is sent, and what becomes of every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dns.message
import pytest

from certwright.dns import DnsView, InvalidServer, MalformedAnswer, NameserverUnreachable, TxtRecord
from certwright.dns.https import MEDIA_TYPE, HttpsResolver
from certwright.dns.query import Questioner
from certwright.dns.resolvers import parse_resolver
from certwright.http.errors import (
    AddressRefused,
    ConnectionFailed,
    InvalidProxy,
    MalformedResponse,
    ResponseTooLarge,
    TimedOut,
    UntrustedServer,
)
from certwright.http.message import Headers, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fakes.dns import Zones

URL = "https://dns.example.net/account-4711/dns-query"
NAME = "_acme-challenge.www.example.test"


class FakeTransport:
    """Answers as a resolver that knows some zones, or as it is told."""

    def __init__(self, zones: Callable[[dns.message.Message, str], Any]) -> None:
        self.zones = zones
        self.sent: list[tuple[str, str, dict[str, str], bytes]] = []
        self.failure: Exception | None = None
        self.change: Callable[[Response], Response] = lambda response: response

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        assert content is not None
        assert max_bytes <= 64 * 1024
        self.sent.append((method, url, dict(headers), content))
        if self.failure is not None:
            raise self.failure
        answer = self.zones(dns.message.from_wire(content), "HTTPS")
        body = answer if isinstance(answer, bytes) else answer.to_wire()
        return self.change(Response(200, Headers({"Content-Type": MEDIA_TYPE}), body, url))

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.fixture
def transport(zones: type[Zones]) -> FakeTransport:
    return FakeTransport(zones(("example.test",), {NAME: {"TXT": ['"wanted"']}}))


def view(transport: FakeTransport) -> DnsView:
    return DnsView(resolvers=[URL], views=["recursive"], transport=lambda: transport)


async def ask(transport: FakeTransport) -> dns.message.Message:
    return await Questioner(transport=lambda: transport).ask(HttpsResolver(URL), NAME, "TXT", recursive=True)


async def test_a_query_is_a_post_that_caches_can_recognise(transport: FakeTransport) -> None:
    answer = await ask(transport)
    ((method, url, headers, content),) = transport.sent
    assert (method, url) == ("POST", URL)
    assert headers == {"Content-Type": "application/dns-message", "Accept": "application/dns-message"}
    assert content[:2] == b"\0\0", "RFC 8484 section 4.1: the id is 0"
    assert [rrset.to_text() for rrset in answer.answer] == [f'{NAME}. 60 IN TXT "wanted"']


async def test_a_record_is_seen_over_https(transport: FakeTransport) -> None:
    found, missing = await view(transport).check([TxtRecord(NAME, "wanted"), TxtRecord(NAME, "other")])
    assert found.complete
    assert found.describe() == "the resolver https://dns.example.net has it"
    assert not missing.complete
    assert missing.describe() == "the resolver https://dns.example.net has 1 other value"
    assert len(transport.sent) == 1, "one name is asked for once"


async def test_zones_and_cnames_are_looked_up_over_https_as_well(zones: type[Zones]) -> None:
    records = {NAME: {"CNAME": ["x.acme.example.test."]}, "example.test": {"NS": ["ns1.example.test."]}}
    transport = FakeTransport(zones(("example.test",), records))
    assert await view(transport).follow_cname(NAME) == "x.acme.example.test"


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ConnectionFailed("Cannot connect to dns.example.net", host="x", request_sent=False), "Cannot connect"),
        (TimedOut("dns.example.net did not answer in time", host="x"), "did not answer in time"),
        (
            UntrustedServer("The certificate of dns.example.net is not trusted", host="x", reason="unknown issuer"),
            "is not trusted",
        ),
        (AddressRefused("169.254.169.254 is a link-local address", host="x"), "link-local"),
        (ResponseTooLarge("dns.example.net sent more than 65536 bytes", host="x"), "sent more than"),
        (InvalidProxy("The proxy URL is invalid"), "proxy"),
    ],
)
async def test_a_connection_that_fails_is_told_and_the_path_is_not(
    transport: FakeTransport, failure: Exception, said: str
) -> None:
    transport.failure = failure
    with pytest.raises(NameserverUnreachable, match=said) as caught:
        await ask(transport)
    assert caught.value.server == "https://dns.example.net"
    assert caught.value.timed_out is isinstance(failure, TimedOut)
    assert "4711" not in str(caught.value), "providers put an account into the path"


@pytest.mark.parametrize("status", [301, 403, 429, 500])
async def test_another_status_than_200_is_no_answer(transport: FakeTransport, status: int) -> None:
    transport.change = lambda response: Response(status, response.headers, response.body)
    with pytest.raises(NameserverUnreachable, match=f"HTTP {status}"):
        await ask(transport)


async def test_a_page_of_a_captive_portal_is_no_answer(transport: FakeTransport) -> None:
    transport.change = lambda _: Response(200, Headers({"Content-Type": "text/html"}), b"<html>log in</html>")
    with pytest.raises(MalformedAnswer, match="content type") as caught:
        await ask(transport)
    assert "log in" not in str(caught.value)


async def test_a_compressed_answer_is_malformed_and_no_fault_of_the_ca(transport: FakeTransport) -> None:
    transport.failure = MalformedResponse(
        "dns.example.net sent a body with the content coding gzip", url=URL, status=200
    )
    with pytest.raises(MalformedAnswer, match="gzip") as caught:
        await ask(transport)
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"garbage", b"\0" * 12, b"\xff" * 600])
async def test_garbage_is_a_malformed_answer(transport: FakeTransport, body: bytes) -> None:
    transport.change = lambda response: Response(200, response.headers, body)
    with pytest.raises(MalformedAnswer):
        await ask(transport)


async def test_an_answer_to_another_question_is_not_taken(transport: FakeTransport, zones: type[Zones]) -> None:
    other = dns.message.make_query("else.example.test", "TXT")
    other.id = 0
    answer = zones(("example.test",), {"else.example.test": {"TXT": ['"wanted"']}})(other, "HTTPS")
    assert isinstance(answer, dns.message.Message)
    wire = answer.to_wire()
    transport.change = lambda response: Response(200, response.headers, wire)
    with pytest.raises(MalformedAnswer, match="to another question"):
        await ask(transport)


@pytest.mark.parametrize(
    "text", ["https://", "https://user:word@dns.example.net/", "https://dns.example.net/#x", "https://dns example/"]
)
def test_what_is_no_https_url_is_refused(text: str) -> None:
    with pytest.raises(InvalidServer):
        parse_resolver(text)


def test_urls_and_addresses_are_told_apart() -> None:
    assert parse_resolver(" HTTPS://dns.example.net/dns-query ") == HttpsResolver("HTTPS://dns.example.net/dns-query")
    assert str(parse_resolver("192.0.2.53")) == "192.0.2.53:53"
