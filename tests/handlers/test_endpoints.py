from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiohttp
import pytest

from certwright.handlers import endpoints as module
from certwright.handlers.endpoints import Endpoints
from certwright.handlers.errors import OperatorFailed
from certwright.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Readiness:
    why: str | None = "the watches are not running"

    def __call__(self) -> str | None:
        return self.why


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
async def session(readiness: Readiness) -> AsyncIterator[aiohttp.ClientSession]:
    metrics = Metrics()
    metrics.failed("DNSFailed")
    endpoints = Endpoints(metrics, why_not_ready=readiness)
    port = await endpoints.start("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        yield client
    await endpoints.stop()


async def test_healthz_says_yes_as_long_as_anybody_answers(session: aiohttp.ClientSession) -> None:
    async with session.get("/healthz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_readyz_says_how_it_is(session: aiohttp.ClientSession, readiness: Readiness) -> None:
    seen = []
    for why in ("the watches are not running", None, "it is stopping"):
        readiness.why = why
        async with session.get("/readyz") as answer:
            seen.append((answer.status, await answer.text()))
    assert seen == [
        (503, "not ready: the watches are not running\n"),
        (200, "ok\n"),
        (503, "not ready: it is stopping\n"),
    ]


async def test_metrics_are_in_prometheus_text_format(session: aiohttp.ClientSession) -> None:
    async with session.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert 'certwright_issuance_failures_total{reason="DNSFailed"} 1.0' in await answer.text()


async def test_nothing_else_is_served(session: aiohttp.ClientSession) -> None:
    async with session.get("/") as found, session.post("/metrics", data=b"x") as posted:
        assert (found.status, posted.status) == (404, 405)


async def test_a_port_that_is_taken_is_said() -> None:
    first, second = (Endpoints(Metrics(), why_not_ready=lambda: None) for _ in range(2))
    port = await first.start("127.0.0.1", 0)
    try:
        with pytest.raises(OperatorFailed, match=rf"cannot serve on 127\.0\.0\.1:{port}: .*in use"):
            await second.start("127.0.0.1", port)
    finally:
        await first.stop()
        await first.stop()


@pytest.fixture
async def serving() -> AsyncIterator[tuple[Endpoints, int]]:
    endpoints = Endpoints(Metrics(), why_not_ready=lambda: None)
    yield endpoints, await endpoints.start("127.0.0.1", 0)
    await endpoints.stop()


async def test_unfinished_requests_are_ended_and_keep_no_probe_out(serving: tuple[Endpoints, int]) -> None:
    endpoints, port = serving
    unfinished = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
    for _, writer in unfinished:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client, client.get("/healthz") as answer:
        assert answer.status == 200
    assert len(endpoints._server) <= module.MAX_CONNECTIONS
    for reader, _ in unfinished[: -module.MAX_CONNECTIONS]:
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b"", "the eldest were ended"
    for _, writer in unfinished:
        writer.close()


@pytest.mark.parametrize(
    "sent", [b"", b"GET /metrics HTTP/1.1\r\n", b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n"]
)
async def test_a_request_that_is_never_finished_is_ended_after_its_seconds(
    serving: tuple[Endpoints, int], monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", serving[1])
    writer.write(sent)
    assert await reader.read() == b""
    writer.close()


async def test_a_head_of_a_request_that_is_too_large_is_refused(serving: tuple[Endpoints, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", serving[1])
    writer.write(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000)
    with contextlib.suppress(ConnectionResetError):
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()
