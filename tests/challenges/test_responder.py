from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from certwright.challenges import responder as module
from certwright.challenges.responder import Responder
from certwright.well_known import WELL_KNOWN_PATH as PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWERS = {("a.example.test", "token-1"): "token-1.print", ("b.example.test", "token-2"): "token-2.print"}


@pytest.fixture
def told() -> list[tuple[str, int]]:
    return []


@pytest.fixture
async def port(told: list[tuple[str, int]]) -> AsyncIterator[int]:
    responder = Responder(lambda *asked: ANSWERS.get(asked), on_answer=lambda *what: told.append(what))
    yield await responder.start("127.0.0.1", 0)
    await responder.stop()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


def get(path: str, host: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nUser-Agent: ca\r\nHost: {host}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (get(f"{PATH}token-1", "a.example.test"), b"200 OK", b"token-1.print"),
        (get(f"{PATH}token-1", "A.EXAMPLE.test:80"), b"200 OK", b"token-1.print"),
        (get(f"{PATH}token-1", "a.example.test."), b"200 OK", b"token-1.print"),
        (get(f"{PATH}token-1", "a.example.test.:8080"), b"200 OK", b"token-1.print"),
        (get(f"{PATH}token-1?x=y", "a.example.test"), b"200 OK", b"token-1.print"),
        (get(f"http://A.example.test:80{PATH}token-1", "proxy.test"), b"200 OK", b"token-1.print"),
        (get(f"{PATH}token-1", "a.example.test\r\nCF-IPCity: M\u00fcnchen"), b"200 OK", b"token-1.print"),
        (f"GET {PATH}token-1 HTTP/1.0\r\nHost: a.example.test\r\n\r\n".encode(), b"200 OK", b"token-1.print"),
        (get(f"{PATH}token-1", "a.example.test", "HEAD"), b"200 OK", b""),
        (get("/healthz", "whatever"), b"200 OK", b"ok\n"),
        (get(f"{PATH}token-2", "a.example.test"), b"404 Not Found", b"no challenge"),
        (get(f"{PATH}token-1", "b.example.test"), b"404 Not Found", b"no challenge"),
        (get(f"{PATH}../token-1", "a.example.test"), b"404 Not Found", b"no challenge"),
        (get("/", "a.example.test"), b"200 OK", b"ok\n"),
        (get("/?probe", "203.0.113.7"), b"200 OK", b"ok\n"),
        (get("/", "a.example.test", "HEAD"), b"200 OK", b""),
        (get("/index.html", "a.example.test"), b"404 Not Found", b"no challenge"),
        (get("token-1", "a.example.test"), b"404 Not Found", b"no challenge"),
        (get(f"{PATH}token-1", "[::1]:80"), b"404 Not Found", b"no challenge"),
        (b"GET / HTTP/1.1\r\n\r\n", b"200 OK", b"ok\n"),
        (get(f"{PATH}token-1", "a.example.test", "POST"), b"405 Method Not Allowed", b"only GET"),
        (b"hello\r\n\r\n", b"400 Bad Request", b"not an HTTP"),
        (b"GET / SPDY/3\r\n\r\n", b"400 Bad Request", b"not an HTTP"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"404 Not Found", b"no challenge"),
        (get("http://a.example.test", "a.example.test"), b"404 Not Found", b"no challenge"),
        (get("http://a.example.test/", "a.example.test"), b"200 OK", b"ok\n"),
        (get("/" + "x" * 20_000, "a.example.test"), b"400 Bad Request", b"not an HTTP"),
    ],
)
async def test_it_answers_its_own_hosts_and_tokens_and_health_checks_and_nothing_else(
    port: int, request_: bytes, status: bytes, body: bytes
) -> None:
    answer = await ask(port, request_)
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert content.startswith(body)
    assert bool(content) is bool(body)
    assert b"Connection: close" in head


async def test_what_was_answered_is_told(port: int, told: list[tuple[str, int]]) -> None:
    await ask(port, get(f"{PATH}token-1", "a.example.test"))
    await ask(port, get("/x", "evil.test"))
    assert told == [("a.example.test", 200), ("evil.test", 404)]


async def test_a_silent_client_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.05)
    assert await ask(port, b"GET / HT") == b""


async def test_silent_clients_do_not_keep_others_out(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 8)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    assert b"200 OK" in await ask(port, get("/healthz", "x"))
    for reader, _ in silent[:12]:
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b"", "the eldest of more than there are places for is let go"
    for _, writer in silent:
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


def test_the_program_of_a_solver_pod_needs_the_standard_library_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import certwright.cli.main, certwright.http01.program; "
        "print([name for name in set(sys.modules) - before "
        "if name.partition('.')[0] not in sys.stdlib_module_names and not name.startswith('certwright')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter and code
    assert done.stdout.strip() == "[]"
