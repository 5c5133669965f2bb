from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from certwright.acme import AcmeError, UnsafeUrl
from certwright.issuers import authorities as module
from certwright.issuers.authorities import Authorities, Authority
from certwright.issuers.host_places import KEPT_REQUESTS, MAX_REQUESTS
from certwright.runtime.leadership import Leadership
from certwright.runtime.turns import TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    await until_still(sent)
    assert len(made) == 30
    assert len(sent) == MAX_REQUESTS - KEPT_REQUESTS
    tasks.append(asyncio.create_task(ask(ONE, "neighbour")))
    tasks.append(asyncio.create_task(ask(TWO, "hostile")))
    await until_still(sent)
    assert sent[-2:] == [(ONE.server, "neighbour"), (TWO.server, "hostile")]
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(authorities._places) == 0


async def until_still(sent: list[tuple[str, str]]) -> None:
    before = -1
    while len(sent) != before:
        before = len(sent)
        await asyncio.sleep(0.1)
