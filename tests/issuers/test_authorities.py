from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from certwright.acme import AcmeError, AcmeServer, UnsafeUrl
from certwright.issuers import authorities as module
from certwright.issuers.authorities import Authorities, Authority
from certwright.issuers.host_places import KEPT_REQUESTS, MAX_REQUESTS
from certwright.issuers.transports import MAX_OPEN
from certwright.runtime.leadership import Leadership
from certwright.runtime.turns import TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sized

    from certwright.http.message import Response

ONE = Authority("https://one.example/directory", None, skip_tls_verify=False)
TWO = Authority("https://two.example/directory", None, skip_tls_verify=False)
PEM = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


class Transport:
    """Stands in for the real one, which needs 30 ms to be made."""

    made: list[Transport]

    def __init__(self, **options: object) -> None:
        self.options = options
        self.closed = False
        self.made.append(self)

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Transport]:
    Transport.made = []
    monkeypatch.setattr(module, "HttpxTransport", Transport)
    return Transport.made


@pytest.fixture
async def authorities() -> AsyncIterator[Authorities]:
    connections = Authorities(user_agent="test/1", on_request=lambda _record: None, leadership=Leadership.unlimited())
    yield connections
    await connections.aclose()


async def test_a_connection_is_made_once_for_all_who_ask(authorities: Authorities, made: list[Transport]) -> None:
    servers = await asyncio.gather(*(authorities.server(authority) for authority in (ONE, TWO, ONE, ONE)))
    assert [servers.index(server) for server in servers] == [0, 1, 0, 0]
    assert len(made) == 2
    assert [server.directory_url for server in servers[:2]] == [ONE.server, TWO.server]


async def test_what_the_issuer_says_of_trust_reaches_the_transport(
    authorities: Authorities, made: list[Transport]
) -> None:
    await authorities.server(Authority(ONE.server, PEM, skip_tls_verify=False))
    await authorities.server(Authority(ONE.server, None, skip_tls_verify=True))
    seen = [(transport.options["ca_bundle"], transport.options["verify"]) for transport in made]
    assert seen == [(PEM, True), (None, False)]
    assert {transport.options["user_agent"] for transport in made} == {"test/1"}
    assert {transport.options["trust_env"] for transport in made} == {True}


async def test_connections_that_nobody_uses_are_closed(authorities: Authorities, made: list[Transport]) -> None:
    one = await authorities.server(ONE)
    await authorities.server(TWO)
    await authorities.keep_only([ONE, Authority("https://never.example/directory", None, skip_tls_verify=False)])
    assert [transport.closed for transport in made] == [False, True]
    assert await authorities.server(ONE) is one
    await authorities.aclose()
    assert [transport.closed for transport in made] == [True, True]


async def test_a_bundle_that_cannot_be_loaded_is_said_each_time(authorities: Authorities) -> None:
    for _ in range(2):
        with pytest.raises(AcmeError):
            await authorities.server(Authority(ONE.server, PEM, skip_tls_verify=False))


async def test_a_url_that_must_not_be_asked_leaves_no_connection_behind(
    authorities: Authorities, made: list[Transport]
) -> None:
    with pytest.raises(UnsafeUrl):
        await authorities.server(Authority("http://plain.example/directory", None, skip_tls_verify=False))
    assert [transport.closed for transport in made] == [True]


async def test_one_host_is_sent_a_bounded_number_of_requests_whatever_issuers_they_are_for(
    made: list[Transport], authorities: Authorities
) -> None:
    """Issuers with a CA bundle of their own have connections of their own."""
    gate, sent = asyncio.Event(), []

    async def request(_self: Transport, _method: str, url: str, **_: object) -> Response:
        sent.append((url, TENANT.get()))
        await gate.wait()
        raise ConnectionError

    Transport.request = request  # type: ignore[attr-defined]

    async def ask(authority: Authority, tenant: str) -> None:
        TENANT.set(tenant)
        await (await authorities.server(authority)).directory()

    hostile = [replace(ONE, ca_bundle_pem=f"bundle {number}") for number in range(30)]
    tasks = [asyncio.create_task(ask(authority, "hostile")) for authority in hostile]
    await until_still(made, at_least=30)
    await until_still(sent, at_least=MAX_REQUESTS - KEPT_REQUESTS)
    assert len(made) == 30
    assert len(sent) == MAX_REQUESTS - KEPT_REQUESTS
    tasks.append(asyncio.create_task(ask(ONE, "neighbour")))
    tasks.append(asyncio.create_task(ask(TWO, "hostile")))
    await until_still(sent, at_least=MAX_REQUESTS - KEPT_REQUESTS + 2)
    assert sent[-2:] == [(ONE.server, "neighbour"), (TWO.server, "hostile")]
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(authorities._places) == 0


async def until_still(seen: Sized, *, at_least: int) -> None:
    before = -1
    while len(seen) != before or before < at_least:
        before = len(seen)
        await asyncio.sleep(0.1)


async def test_a_namespace_with_a_thousand_issuers_has_a_bounded_number_of_connections(
    made: list[Transport], authorities: Authorities
) -> None:
    """Each with another client certificate, or proxy: a transport with trust of its own is a megabyte."""
    answering(made)
    shared = await asked(authorities, ONE, "good")
    opened = list(made)
    for number in range(1000):
        await asked(authorities, replace(TWO, proxy=f"http://proxy-{number}.example:3128"), "evil")
    assert len(still_open(made)) <= MAX_OPEN
    assert not opened[0].closed  # the neighbour's stays, although it was used least recently
    assert await asked(authorities, ONE, "good") is shared
    assert len(made) == 1001


async def test_a_connection_that_was_closed_is_opened_again_when_it_is_needed(
    made: list[Transport], authorities: Authorities
) -> None:
    answering(made)
    several = [replace(TWO, proxy=f"http://proxy-{number}.example:3128") for number in range(MAX_OPEN + 1)]
    servers = [await asked(authorities, one, "team") for one in several]
    assert made[0].closed
    with pytest.raises(ConnectionError, match="answered"):
        await servers[0].directory()
    assert len(made) == MAX_OPEN + 2
    await authorities.keep_only(several[1:])
    with pytest.raises(AcmeError, match="closed on our side"):
        await servers[0].directory()
    await authorities.aclose()
    assert not still_open(made)


async def test_a_connection_in_use_is_not_closed_for_another_one(
    made: list[Transport], authorities: Authorities
) -> None:
    gate = asyncio.Event()
    answering(made, gate)
    busy = await authorities.server(ONE)
    asking = asyncio.create_task(busy.directory())
    await asyncio.sleep(0)
    gate_of_others = [replace(TWO, proxy=f"http://proxy-{number}.example:3128") for number in range(2 * MAX_OPEN)]
    for one in gate_of_others:
        await authorities.server(one)
    assert not made[0].closed
    gate.set()
    await asyncio.gather(asking, return_exceptions=True)


def answering(made: list[Transport], gate: asyncio.Event | None = None) -> None:
    """Transports break each request, once the gate is open."""

    async def request(_self: Transport, *_: object, **__: object) -> Response:
        if gate is not None:
            await gate.wait()
        raise ConnectionError("answered")

    assert not made
    Transport.request = request  # type: ignore[attr-defined]


async def asked(authorities: Authorities, authority: Authority, tenant: str) -> AcmeServer:
    TENANT.set(tenant)
    server = await authorities.server(authority)
    with contextlib.suppress(ConnectionError):
        await server.directory()
    return server


def still_open(made: list[Transport]) -> list[Transport]:
    return [transport for transport in made if not transport.closed]
