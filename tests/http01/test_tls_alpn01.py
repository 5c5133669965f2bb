"""tls-alpn-01: the responder and the self-check by real handshakes, and the objects in the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import os
import re
import ssl
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme import ACME_TLS_1, Challenge, ChallengeStatus, Identifier, validation_certificate
from certwright.certificates.order.responses import response_fields, response_of
from certwright.challenges import tls_responder
from certwright.challenges.holders import Holders
from certwright.challenges.response import FileResponse, TlsAlpnResponse
from certwright.challenges.tls_responder import TlsResponder
from certwright.http.addresses import AddressPolicy
from certwright.http01.addresses import Addresses
from certwright.http01.self_check import HttpSighting
from certwright.http01.server_names import ServerNames
from certwright.http01.settings import Owner, OwnService, PodSettings, Settings, SharedSettings, TlsRoute
from certwright.http01.tls_alpn01 import TlsAlpn01Presenter, shared_tls_look_up
from certwright.http01.tls_check import TlsSelfCheck, objection_to
from certwright.resources import AuthorizationStatus
from tests.fakes.http01 import FakeObjects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ONE, ADDRESS = TlsAlpnResponse("a.example.test", "t1", "t1.thumb"), TlsAlpnResponse("127.0.0.1", "t2", "t2.thumb")
SIX = TlsAlpnResponse("2001:db8::1", "t3", "t3.thumb")
OWNER = Owner("shop", "web", "uid-web", {"kind": "Certificate", "name": "web", "uid": "uid-web"})
ROUTE = TlsRoute(({"name": "front", "namespace": "gateways"},))
HOSTNAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""As the Gateway API's CRD has it."""
PATIENCE = dt.timedelta(seconds=60)


@pytest.fixture
def answers() -> Holders[FileResponse]:
    return Holders()


@pytest.fixture
async def port(answers: Holders[FileResponse]) -> AsyncIterator[int]:
    responder = TlsResponder(shared_tls_look_up(answers))
    yield await responder.start("127.0.0.1", 0)
    await responder.stop()


@pytest.fixture
def at_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(_: object, host: str, port: int = 0, *__: object) -> list[dict[str, Any]]:
        return [{"host": "127.0.0.1", "port": port, "hostname": host}]

    monkeypatch.setattr(Addresses, "resolve", resolve)


def check(port: int) -> TlsSelfCheck:
    return TlsSelfCheck(port=port, nameservers=(), every_address=True, addresses=AddressPolicy(allow_loopback=True))


async def handshake(port: int, name: str, *protocols: str) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        assert await reader.read() == b"", "nothing follows the handshake"
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return tls.selected_alpn_protocol()
    finally:
        writer.transport.abort()


@pytest.mark.usefixtures("at_loopback")
@pytest.mark.parametrize("response", [ONE, ADDRESS])
async def test_the_responder_presents_what_the_self_check_looks_for(
    answers: Holders[FileResponse], port: int, response: TlsAlpnResponse
) -> None:
    [before] = await check(port).look([response])
    assert not before.complete
    assert "no TLS handshake" in before.seen
    await answers.hold("uid-web", [response])
    [seen] = await check(port).look([response])
    assert (seen.complete, seen.seen) == (True, "the validation certificate")
    answers.forget("uid-web")
    [after] = await check(port).look([response])
    assert not after.complete


@pytest.mark.usefixtures("at_loopback")
async def test_a_certificate_for_another_challenge_is_told(answers: Holders[FileResponse], port: int) -> None:
    await answers.hold("uid-web", [ONE])
    [seen] = await check(port).look([replace(ONE, key_authorization="t1.other")])
    assert (seen.complete, seen.seen) == (False, "a validation certificate for another challenge at 127.0.0.1")


async def test_every_connection_is_closed_and_only_acme_tls_is_negotiated(
    answers: Holders[FileResponse], port: int
) -> None:
    await answers.hold("uid-web", [ONE])
    assert await handshake(port, "a.example.test", ACME_TLS_1) == ACME_TLS_1
    assert await handshake(port, "a.example.test", "h2", "http/1.1") is None
    assert await handshake(port, "a.example.test") is None
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await handshake(port, "b.example.test", ACME_TLS_1)


def client_hello(name: str | None = "a.example.test") -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([ACME_TLS_1])
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("sent", [0, 1, 100, 10_000])
async def test_hundreds_of_clients_that_never_complete_a_handshake_keep_no_ca_out(
    answers: Holders[FileResponse], monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    """Each would take memory for as long as a handshake may take, and a solver pod has little."""
    monkeypatch.setattr(tls_responder, "SECONDS", 600.0)
    await answers.hold("uid-web", [ONE])
    responder = TlsResponder(shared_tls_look_up(answers))
    port = await responder.start("127.0.0.1", 0)
    clients = []
    for _ in range(300):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(client_hello()[:sent])
        clients.append((reader, writer))
    assert await handshake(port, "a.example.test", ACME_TLS_1) == ACME_TLS_1
    async with asyncio.timeout(60):
        for reader, writer in clients[: -tls_responder.MAX_CONNECTIONS]:
            with contextlib.suppress(ConnectionError):
                while await reader.read(1000):
                    pass
            writer.close()
    await responder.stop()
    for _, writer in clients:
        writer.close()


async def test_a_handshake_that_comes_in_pieces_is_a_handshake_and_an_endless_one_is_ended(
    answers: Holders[FileResponse], port: int
) -> None:
    await answers.hold("uid-web", [ONE])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in client_hello():
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.readexactly(1))[0] == 0x16, "the server's hello"
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # A message of the handshake with 16 MiB, in records of 16 KiB.
    first = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(16 * 1024 - 4)
    with contextlib.suppress(ConnectionError):
        writer.write(first + (b"\x16\x03\x01\x40\x00" + bytes(16 * 1024)) * 1024)
        async with asyncio.timeout(60):
            while await reader.read(1000):
                pass
    writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_each_version_of_tls_that_a_ca_may_speak_is_served(
    answers: Holders[FileResponse], port: int, version: ssl.TLSVersion
) -> None:
    await answers.hold("uid-web", [ONE])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([ACME_TLS_1])
    context.minimum_version = context.maximum_version = version
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="A.Example.test")
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    assert (tls.selected_alpn_protocol(), tls.version()) == (ACME_TLS_1, version.name.replace("_", "."))
    writer.transport.abort()


@pytest.mark.parametrize("name", [None, "a." * 120 + "test", "127.0.0.1"])
async def test_whoever_names_no_name_or_another_is_sent_an_alert(
    answers: Holders[FileResponse], port: int, name: str | None
) -> None:
    await answers.hold("uid-web", [ONE])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(client_hello(name))
    alert = await asyncio.wait_for(reader.read(), 60)
    assert (alert[0], alert[-1]) == (21, ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
    writer.close()


@pytest.mark.parametrize(
    "name",
    [
        b"\xff" * 14,
        b"\0" * 14,
        b"a.example.\r\nx:",
        "\u202e".encode() * 4 + b"ab",
        b"." * 14,
        b"1.2.3.ip6.arpa",
        b"9" * 14,
    ],
)
async def test_a_server_name_that_is_none_ends_the_handshake_and_nothing_is_printed(
    answers: Holders[FileResponse], port: int, name: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Anybody may connect, and send what no TLS library would."""
    await answers.hold("uid-web", [ONE])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(client_hello().replace(b"a.example.test", name))
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer[:1] in {b"", b"\x15"}, "an alert, and no certificate"
    assert capfd.readouterr() == ("", "")
    assert await handshake(port, "a.example.test", ACME_TLS_1) == ACME_TLS_1, "others are answered"


async def test_a_hundred_domains_and_addresses_of_both_families_have_routes_that_the_gateway_api_takes() -> None:
    """Hostnames of the Gateway API are domains in lower case, 16 a route; an address stands in its reverse zone."""
    objects = FakeObjects()
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    hosts = [longest, *(f"n{number}.example.test" for number in range(59))]
    hosts += [f"192.0.2.{number}" for number in range(20)] + [f"2001:db8::{number:x}" for number in range(20)]
    made = presenter(objects)
    responses = [TlsAlpnResponse(host, f"t{number}", f"t{number}.x") for number, host in enumerate(hosts)]
    await made.present(responses)
    routes = [body["spec"]["hostnames"] for (kind, _), body in objects.held.items() if kind == "TLSRoute"]
    named = [name for route in routes for name in route]
    assert len(set(named)) == len(named) == 100
    assert max(map(len, routes)) <= 16
    assert all(HOSTNAME.fullmatch(name) and len(name) <= 253 for name in named)
    await made.clean_up(responses)
    assert objects.held == {}


@pytest.mark.usefixtures("at_loopback")
async def test_nothing_listening_and_a_server_of_another_kind_are_told(unused_tcp_port: int) -> None:
    [refused] = await check(unused_tcp_port).look([ONE])
    assert refused.seen == "the connection was refused at 127.0.0.1"

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", unused_tcp_port):
        [seen] = await check(unused_tcp_port).look([ONE])
    assert "no TLS handshake" in seen.seen


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"),  # a version that there is not
        (b"\x82\x0ea.example.test", b"\xa3\x0ea.example.test"),  # an X.400 address
        (b"\x30\x10\x82\x0ea.ex", b"\x30\x90\x82\x0ea.ex"),
    ],
)
def test_certificates_that_no_library_reads_are_told_as_another_one(old: bytes, new: bytes) -> None:
    made = validation_certificate(Identifier.dns(ONE.host), ONE.key_authorization)
    der = x509.load_pem_x509_certificate(made.certificate_pem).public_bytes(Encoding.DER)
    assert objection_to(ONE, ACME_TLS_1, der) == ""
    assert der.count(old) == 1
    said = "another certificate than one for a validation"
    assert objection_to(ONE, ACME_TLS_1, der.replace(old, new)) == said


async def test_addresses_that_are_refused_are_not_connected_to() -> None:
    strict = TlsSelfCheck(port=1, nameservers=(), every_address=True, addresses=AddressPolicy(allow_loopback=False))
    [seen] = await strict.look([ADDRESS])
    assert not seen.complete
    assert "refused" not in seen.seen


async def test_the_addresses_of_a_name_are_asked_at_the_same_time(
    answers: Holders[FileResponse], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are dead take five seconds each; a name may have eight, and an order a hundred names."""
    addresses = [f"127.0.0.{number}" for number in range(1, 9)]

    async def resolve(_: object, host: str, port: int = 0, *__: object) -> list[dict[str, Any]]:
        return [{"host": address, "port": port, "hostname": host} for address in addresses]

    asked: set[str] = set()
    together = asyncio.Event()
    connect = asyncio.open_connection

    async def open_connection(address: str, *args: Any, **options: Any) -> Any:
        asked.add(address)
        if len(asked) == len(addresses):
            together.set()
        await together.wait()
        if address != "127.0.0.1":
            raise ConnectionRefusedError
        return await connect(address, *args, **options)

    monkeypatch.setattr(Addresses, "resolve", resolve)
    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    await answers.hold("uid-web", [ONE])
    [seen] = await check(port).look([ONE])
    assert "the connection was refused at 127.0.0.4 and 4 more" in seen.seen
    assert "while 127.0.0.1 answered as expected" in seen.seen
    anywhere = TlsSelfCheck(
        port=port, nameservers=(), every_address=False, addresses=AddressPolicy(allow_loopback=True)
    )
    [seen] = await anywhere.look([ONE])
    assert (seen.complete, seen.seen) == (True, "the validation certificate")


def presenter(objects: FakeObjects, **settings: Any) -> TlsAlpn01Presenter:
    made = Settings(**{"responder": PodSettings("certwright:1"), "route": ROUTE, **settings})
    return TlsAlpn01Presenter(objects, OWNER, made, patience=PATIENCE, answers=Holders(), names=ServerNames())


async def test_a_pod_a_service_and_a_route_by_server_name_answer_for_an_order() -> None:
    objects = FakeObjects()
    made = presenter(objects)
    listed = [(one.kind, one.name) for one in made.objects_for([ONE, SIX])]
    await made.present([ONE, SIX])
    assert sorted(objects.held) == sorted(listed)
    assert [kind for kind, _ in listed] == ["Pod", "Service", "TLSRoute"]
    name = listed[0][1]
    route = objects.held["TLSRoute", name]["spec"]
    assert route["hostnames"] == sorted(["a.example.test", "1.0.0.0." + "0.0.0.0." * 5 + "8.b.d.0.1.0.0.2.ip6.arpa"])
    assert route["rules"] == [{"backendRefs": [{"name": name, "port": 443}]}]
    [container] = objects.held["Pod", name]["spec"]["containers"]
    assert container["args"][-1] == "--tls-alpn-01"
    assert "PRIVATE KEY" not in str(objects.held), "the pod makes its keys"
    assert objects.held["Service", name]["spec"]["ports"][0] == {
        "name": "tls",
        "port": 443,
        "targetPort": 8089,
        "protocol": "TCP",
    }
    await made.clean_up([ONE, SIX])
    assert objects.held == {}


async def test_many_names_have_several_routes() -> None:
    objects = FakeObjects()
    responses = [TlsAlpnResponse(f"n{number}.example.test", f"t{number}", f"t{number}.x") for number in range(20)]
    made = presenter(objects)
    await made.present(responses)
    assert sorted(len(body["spec"]["hostnames"]) for (kind, _), body in objects.held.items() if kind == "TLSRoute") == [
        4,
        16,
    ]


async def test_a_service_of_its_own_needs_no_route() -> None:
    objects = FakeObjects()
    made = presenter(objects, route=OwnService("NodePort", 30443, None))
    await made.present([ONE])
    assert sorted(kind for kind, _ in objects.held) == ["Pod", "Service"]
    [spec] = [body["spec"] for (kind, _), body in objects.held.items() if kind == "Service"]
    assert (spec["type"], spec["ports"][0]["nodePort"]) == ("NodePort", 30443)


async def test_the_shared_responder_is_led_to_by_an_endpoint_slice() -> None:
    objects = FakeObjects()
    made = presenter(objects, responder=SharedSettings("192.0.2.1", 8089, 8443))
    await made.present([ONE])
    [ports] = [body["ports"] for (kind, _), body in objects.held.items() if kind == "EndpointSlice"]
    assert ports == [{"name": "tls", "port": 8443, "protocol": "TCP"}]


async def test_a_route_that_no_gateway_takes_is_told() -> None:
    objects = FakeObjects()
    made = presenter(objects)
    await made.present([ONE])
    [name] = {name for _, name in objects.held}
    assert "no Gateway has accepted the TLSRoute" in await made._route_trouble([name])
    objects.held.pop(("TLSRoute", name))
    assert await made._route_trouble([name]) == "the solver's TLSRoute is gone; the operator creates it again"


class Looks:
    """A self-check that sees what it is told to."""

    seen = "the connection was refused at 192.0.2.1"

    async def look(self, files: list[FileResponse]) -> list[HttpSighting]:
        return [HttpSighting(one, complete=False, seen=self.seen) for one in files]


async def test_a_load_balancer_that_does_not_come_or_is_elsewhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    objects, looks = FakeObjects(), Looks()
    made = presenter(objects, responder=SharedSettings("192.0.2.1", 8089, 8443), route=OwnService("LoadBalancer"))
    monkeypatch.setattr(made, "_self_check", looks)
    monkeypatch.setattr(made, "_monotonic", itertools.count(1000, 100).__next__)
    await made.present([ONE])
    [seen] = await made.check([ONE])
    assert "has no load balancer yet: check that the cluster provides them" in seen.cause
    [service] = [body for (kind, _), body in objects.held.items() if kind == "Service"]
    status = {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}
    apply = objects.apply

    async def with_status(manifest: Any) -> Any:
        return {**await apply(manifest), "status": status}

    monkeypatch.setattr(objects, "apply", with_status)
    [seen] = await made.check([ONE])
    assert seen.cause == (
        f"the load balancer of the Service {service['metadata']['name']} is at 198.51.100.7: check that the domain "
        "points there"
    )
    looks.seen = "a validation certificate for another challenge at 192.0.2.1"
    objects.policies = [{"metadata": {"name": "deny"}, "spec": {"podSelector": {}}}]
    made = presenter(objects)  # with a pod, which is not there yet
    monkeypatch.setattr(made, "_self_check", looks)
    monkeypatch.setattr(made, "_monotonic", itertools.count(9000, 100).__next__)
    [seen] = await made.check([ONE])
    assert "another order for the same domain is answered" in seen.describe()


async def test_without_a_self_check_a_load_balancer_has_to_be_there_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes minutes, and the CA counts a failure."""
    objects, shared = FakeObjects(), SharedSettings("192.0.2.1", 8089, 8443)
    made = presenter(objects, responder=shared, route=OwnService("LoadBalancer"), self_check="off")
    monkeypatch.setattr(made, "_monotonic", itertools.count(1000, 100).__next__)
    await made.present([ONE])
    for _ in range(3):
        [seen] = await made.check([ONE])
        assert not seen.complete
    assert "has no load balancer yet" in seen.cause
    apply = objects.apply

    async def with_status(manifest: Any) -> Any:
        return {**await apply(manifest), "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}}}

    monkeypatch.setattr(objects, "apply", with_status)
    await made.check([ONE])
    [seen] = await made.check([ONE])
    assert seen.complete


def test_a_response_is_known_again_after_a_restart() -> None:
    challenge = Challenge("tls-alpn-01", "https://ca.example/1", ChallengeStatus.PENDING, "t1")
    assert presenter(FakeObjects()).respond("a.example.test", "a.example.test", challenge, "t1.thumb") == ONE
    for response in (ONE, ADDRESS, SIX):
        entry = AuthorizationStatus(name=response.host, state="pending", **response_fields(response))
        assert response_of(entry) == response
    assert FileResponse("a.example.test", "t1", "t1.thumb") != ONE


async def test_the_program_of_the_pod_answers_by_tls(unused_tcp_port: int) -> None:
    program = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            "from certwright.cli.main import main; main()",
            "solver",
            "--tls-alpn-01",
            "--host=127.0.0.1",
            f"--port={unused_tcp_port}",
        ),
        env={**os.environ, "CERTWRIGHT_SOLVER_ANSWERS": "127.0.0.1 t2.thumb"},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        assert b"answering for 1 challenges" in await program.stdout.readline()
        [seen] = await check(unused_tcp_port).look([ADDRESS])
        assert seen.complete, seen.seen
        assert await program.stdout.readline() == b"200 127.0.0.1\n"
    finally:
        program.terminate()
        assert await program.wait() == 128 + 15
