"""The self-check against real web servers on loopback, each with a mistake of its own."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from certwright.solvers.http01 import self_check as module
from certwright.solvers.http01.self_check import SelfCheck

from .conftest import file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FILE = file("localhost", "abc")
SECRET = "what a web server shows to nobody"


@pytest.fixture
def seen() -> list[web.Request]:
    return []


@pytest.fixture
async def port(seen: list[web.Request]) -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.StreamResponse:  # noqa: PLR0911 - one for each mistake
        seen.append(request)
        match request.path.removeprefix(FILE.path):
            case "":
                return web.Response(text=FILE.key_authorization)
            case "-newline":
                return web.Response(text="abc-newline.thumbprint\r\n")
            case "-other":
                return web.Response(text=SECRET, content_type="text/html")
            case "-longer":
                return web.Response(text="abc-longer.thumbprint" + SECRET * 1000)
            case "-gone":
                return web.Response(status=404, text=SECRET)
            case "-odd":
                return web.Response(status=299, text=SECRET)
            case "-bad-gateway":
                return web.Response(status=502, text=SECRET)
            case "-moved":
                return web.Response(status=301, headers={"Location": FILE.path})
            case "-loop":
                return web.Response(status=302, headers={"Location": request.path})
            case "-port":
                return web.Response(status=302, headers={"Location": f"http://localhost:22{SECRET.replace(' ', '')}"})
            case "-elsewhere":
                return web.Response(status=302, headers={"Location": "http://localhost:2222/?secret"})
            case "-ftp":
                return web.Response(status=302, headers={"Location": "ftp://localhost/x"})
            case "-hang":
                await asyncio.sleep(60)
        return web.Response(status=500)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


@pytest.mark.parametrize(
    ("suffix", "complete", "words"),
    [
        ("", True, "the right answer"),
        ("-newline", True, "the right answer"),
        ("-moved", False, "redirected to http://localhost: HTTP 200 with other content (text/plain) than the key"),
        ("-other", False, "HTTP 200 with other content (text/html) than the key authorization"),
        ("-longer", False, "HTTP 200 with other content (text/plain) than the key authorization"),
        ("-gone", False, "HTTP 404 Not Found at 127.0.0.1"),
        ("-odd", False, "HTTP 299"),
        ("-bad-gateway", False, "HTTP 502 Bad Gateway"),
        ("-loop", False, "more than 10 redirects, redirected to http://localhost and http://localhost and"),
        ("-elsewhere", False, "a redirect to port 2222, which no CA follows: only 80 and 443 are"),
        ("-ftp", False, "a redirect to something that is neither HTTP nor HTTPS"),
        ("-port", False, "no usable answer (ValueError)"),
    ],
)
async def test_what_was_seen_is_said_and_nothing_of_its_content(
    port: int, suffix: str, words: str, *, complete: bool
) -> None:
    [seen] = await SelfCheck(port=port).look([file("localhost", f"abc{suffix}")])
    assert words in seen.describe()
    assert seen.complete is complete
    assert SECRET not in seen.describe()


async def test_it_follows_a_redirect_to_the_right_answer(port: int) -> None:
    resource = file("localhost", "abc-moved")
    from dataclasses import replace  # noqa: PLC0415 - for this test alone

    [seen] = await SelfCheck(port=port).look([replace(resource, key_authorization=FILE.key_authorization)])
    assert seen.complete
    assert seen.describe() == "redirected to http://localhost: the right answer"


async def test_a_server_that_does_not_answer_costs_its_seconds_and_no_more(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 2)
    seen = await SelfCheck(port=port).look([file("localhost", "abc-hang"), FILE])
    assert [one.describe() for one in seen] == ["no answer within 2 s at 127.0.0.1", "the right answer"]


async def test_a_refused_connection_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        [seen] = await SelfCheck(port=taken.getsockname()[1]).look([file("127.0.0.1")])
    assert seen.describe() == "the connection was refused"


async def test_a_name_without_address_is_said() -> None:
    [seen] = await SelfCheck(port=80).look([file("nowhere.invalid")])
    assert seen.describe() == "nowhere.invalid has no address in the DNS"


async def test_it_says_who_it_is(port: int, seen: list[web.Request]) -> None:
    await SelfCheck(port=port).look([FILE])
    assert seen[0].headers["User-Agent"] == "certwright self-check"
