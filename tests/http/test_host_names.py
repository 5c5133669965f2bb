"""Names are looked up as absolute ones, whatever a search domain would answer; TLS and HTTP do without the dot."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from certwright.dns import NameserverUnreachable, Server
from certwright.http import host_names
from certwright.http.errors import ConnectionFailed
from certwright.http.host_names import lookup_names
from certwright.http.transport import HttpxTransport
from tests.fakes.tls import OK, QUICK, Issued, answering, issue, serving

if TYPE_CHECKING:
    from pathlib import Path

HIJACKED = "127.0.0.2"


class Resolver:
    """A pod's: names without their final dot get the wildcard of a search domain."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.asked: list[str] = []

    def __call__(self, host: Any, port: Any, *arguments: Any, **options: Any) -> list[tuple[Any, ...]]:
        name = host.decode() if isinstance(host, bytes) else host
        if name[0].isdigit():
            return self.original(host, port, *arguments, **options)
        self.asked.append(name)
        if name in self.names:
            address = "127.0.0.1"
        elif name.endswith("."):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        else:
            address = HIJACKED
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))]

    original = staticmethod(socket.getaddrinfo)


@pytest.fixture
def hosts_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost # ca.commented.test\n::1\tCA.overridden.test other.test\n")
    monkeypatch.setattr(host_names, "_HOSTS_FILE", path)
    return path


@pytest.mark.usefixtures("hosts_file")
@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("acme.example.com", ("acme.example.com.",)),
        ("ACME.Example.com", ("ACME.Example.com.",)),
        ("acme.example.com.", ("acme.example.com.",)),
        ("ca.ns.svc.cluster.local", ("ca.ns.svc.cluster.local.",)),
        ("example.com", ("example.com.", "example.com")),
        ("ca.ns", ("ca.ns.", "ca.ns")),
        ("ca.ns.svc", ("ca.ns.svc",)),
        ("ca.ns.SVC", ("ca.ns.SVC",)),
        ("pebble", ("pebble",)),
        ("localhost", ("localhost",)),
        ("ca.localhost", ("ca.localhost",)),
        ("ca.overridden.test", ("ca.overridden.test",)),
        ("ca.commented.test", ("ca.commented.test.",)),
        ("192.0.2.1", ("192.0.2.1",)),
        ("127.1", ("127.1",)),
        ("2001:db8::1", ("2001:db8::1",)),
        ("fe80::1%eth0", ("fe80::1%eth0",)),
    ],
)
def test_what_a_host_is_looked_up_as(host: str, names: tuple[str, ...]) -> None:
    assert lookup_names(host) == names


def test_a_hosts_file_that_changes_is_read_again(hosts_file: Path) -> None:
    assert lookup_names("new.example.test") == ("new.example.test.",)
    hosts_file.write_text("127.0.0.1 new.example.test\n")
    assert lookup_names("new.example.test") == ("new.example.test",)
    hosts_file.unlink()
    assert lookup_names("new.example.test") == ("new.example.test.",)


@pytest.fixture
def named(tmp_path: Path) -> Issued:
    return issue(tmp_path, "named", host="ca.example.test", ca=True)


@pytest.mark.parametrize("host", ["ca.example.test", "ca.example.test."])
async def test_a_ca_is_reached_by_its_absolute_name_and_verified_without_the_dot(
    monkeypatch: pytest.MonkeyPatch, named: Issued, host: str
) -> None:
    resolver = Resolver("ca.example.test.")
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    async with (
        serving(answering(OK), named) as server,
        HttpxTransport(ca_bundle=named.pem, timeout=QUICK) as transport,
    ):
        url = f"https://{host}:{server.port}/dir"
        answer = await transport.request("GET", url, headers={}, max_bytes=100)
    assert answer.status == 200
    assert set(resolver.asked) == {"ca.example.test."}
    assert f"Host: ca.example.test:{server.port}\r\n".encode() in server.requests[0]


async def test_a_ca_that_does_not_exist_is_not_replaced_by_a_search_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    async with HttpxTransport(timeout=QUICK) as transport:
        with pytest.raises(ConnectionFailed, match=r"Cannot connect to ca\.example\.test"):
            await transport.request("GET", "https://ca.example.test/dir", headers={}, max_bytes=100)
    assert set(resolver.asked) == {"ca.example.test."}


async def test_a_service_in_the_cluster_is_still_found_by_its_short_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver("ca.tools", "ca.tools.svc", "ca")
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    async with (
        serving(answering(OK), None) as server,
        HttpxTransport(timeout=QUICK, allow_insecure=True) as transport,
    ):
        for host in ("ca", "ca.tools", "ca.tools.svc"):
            answer = await transport.request("GET", f"http://{host}:{server.port}/", headers={}, max_bytes=100)
            assert answer.status == 200
    assert list(dict.fromkeys(resolver.asked)) == ["ca", "ca.tools.", "ca.tools", "ca.tools.svc"]


async def test_a_proxy_is_reached_by_its_absolute_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver("proxy.example.test.")
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    async with serving(answering(OK), None) as server:
        proxy = f"http://proxy.example.test:{server.port}"
        async with HttpxTransport(timeout=QUICK, allow_insecure=True, proxy=proxy) as transport:
            await transport.request("GET", "http://ca.example.test/", headers={}, max_bytes=100)
    assert set(resolver.asked) == {"proxy.example.test."}


async def test_a_dns_server_is_reached_by_its_absolute_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver("ns1.example.test.", "coredns.kube-system")
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    for text in ("ns1.example.test", "ns1.example.test.", "coredns.kube-system"):
        (endpoint,) = await Server.parse(text).endpoints(seconds=20)
        assert endpoint.address == "127.0.0.1"
    with pytest.raises(NameserverUnreachable, match="no address"):
        await Server.parse("ns2.example.test").endpoints(seconds=20)
