from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.dns import Endpoint, InvalidServer, NameserverUnreachable, Server


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 53),
        ("192.0.2.1:5353", "192.0.2.1", 5353),
        ("[::1]:53", "::1", 53),
        ("[2001:db8::1]", "2001:db8::1", 53),
        ("2001:db8::1", "2001:db8::1", 53),
        ("ns1.example.test", "ns1.example.test", 53),
        ("ns1.example.test.:65535", "ns1.example.test.", 65535),
        (" coredns.kube-system.svc:1053 ", "coredns.kube-system.svc", 1053),
    ],
)
def test_a_server_is_read_in_every_form_people_write(text: str, host: str, port: int) -> None:
    assert Server.parse(text) == Server(host, port)
    assert Server.parse(str(Server(host, port))) == Server(host, port)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "host name or an address"),
        (":53", "host name or an address"),
        ("https://dns.example.test", "1 to 65535"),
        ("a b", "host name or an address"),
        ("ns1..example.test", "host name or an address"),
        (".example.test", "host name or an address"),
        (f"{'a' * 64}.test", "host name or an address"),
        (f"{'a.' * 127}a", "host name or an address"),
        ("ns1:", "1 to 65535"),
        ("ns1:0", "1 to 65535"),
        ("ns1:65536", "1 to 65535"),
        ("ns1:+53", "1 to 65535"),
        ("ns1:٥٣", "1 to 65535"),
        ("ns1:53:53", "1 to 65535"),
        ("[::1", "IPv6"),
        ("[::1]53", "IPv6"),
        ("[ns1]:53", "IPv6"),
        ("[::1]:x", "1 to 65535"),
    ],
)
def test_what_is_no_server_is_refused_with_the_remedy(text: str, remedy: str) -> None:
    with pytest.raises(InvalidServer, match=remedy):
        Server.parse(text)


@given(st.text(max_size=40))
def test_any_text_is_a_server_or_a_typed_error(text: str) -> None:
    try:
        server = Server.parse(text)
    except InvalidServer:
        return
    assert Server.parse(str(server)) == server


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (Endpoint("ns1.example.test", "192.0.2.1"), "ns1.example.test (192.0.2.1)"),
        (Endpoint("ns1.example.test", "::1", 5353), "ns1.example.test ([::1]:5353)"),
        (Endpoint("192.0.2.1:53", "192.0.2.1"), "192.0.2.1"),
        (Endpoint("127.0.0.1:5353", "127.0.0.1", 5353), "127.0.0.1:5353"),
    ],
)
def test_an_endpoint_reads_well(endpoint: Endpoint, text: str) -> None:
    assert str(endpoint) == text


async def test_an_address_is_an_endpoint_without_a_lookup() -> None:
    assert await Server.parse("[::1]:5353").endpoints(seconds=0.001) == (Endpoint("[::1]:5353", "::1", 5353),)


async def test_a_host_name_is_looked_up() -> None:
    assert Endpoint("localhost:5353", "127.0.0.1", 5353) in await Server("localhost", 5353).endpoints(seconds=5)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "ns1..invalid", f"{'a' * 64}.invalid"])
async def test_a_host_name_without_an_address_is_unreachable(host: str) -> None:
    with pytest.raises(NameserverUnreachable, match=f"{re.escape(host)}:53 .* has no address"):
        await Server(host).endpoints(seconds=5)
