"""The self-check against real web servers on loopback, each with a mistake of its own."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from certwright.challenges.response import FileResponse
from certwright.http.addresses import AddressPolicy
from certwright.http01 import self_check as module
from certwright.http01 import tls_check
from certwright.http01.addresses import Addresses
from certwright.http01.self_check import HttpSighting, SelfCheck
from certwright.http01.tls_check import TlsSelfCheck
from certwright.runtime.turns import TENANT, Turns
from tests.fakes.http01 import file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

FILE = file("localhost", "abc")
SECRET = "what a web server shows to nobody"


GOALS = {
    "-moved": FILE.path,
    "-port": f"http://localhost:22{SECRET.replace(' ', '')}",
    "-elsewhere": "http://localhost:2222/?secret",
    "-ftp": "ftp://localhost/x",
    "-address": "http://127.0.0.1/",
    "-mapped": "http://[::ffff:169.254.169.254]/latest/",
    "-number": "http://2852039166/latest/",
    "-short": "http://127.1/",
    "-hex": "http://0x7f.0.0.0x1/",
    "-quoted": "http://%31%32%37.0.0.1/",
    "-wide": "http://\uff11\uff12\uff17.0.0.1/",
}
ANSWERS: defaultdict[str, Callable[[], web.Response]] = defaultdict(
    lambda: lambda: web.Response(status=500),
    {
        "": lambda: web.Response(text=FILE.key_authorization),
        "-newline": lambda: web.Response(text="abc-newline.thumbprint\r\n"),
        "-other": lambda: web.Response(text=SECRET, content_type="text/html"),
        "-typed": lambda: web.Response(headers={"Content-Type": f"what/{SECRET}"}),
        "-longer": lambda: web.Response(text="abc-longer.thumbprint" + SECRET * 1000),
        "-gone": lambda: web.Response(status=404, text=SECRET),
        "-odd": lambda: web.Response(status=299, text=SECRET),
        "-bad-gateway": lambda: web.Response(status=502, text=SECRET),
    },
)


class Names(AbstractResolver):
    """The DNS: everything leads here, but for what is below .invalid and what leads nowhere good."""

    hosts: ClassVar[dict[str, list[str]]] = {}
    """Those that lead elsewhere."""

    def __init__(self, _nameservers: object) -> None: ...

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host.startswith("silent."):
            await asyncio.sleep(60)
        if host.endswith(".invalid"):
            raise OSError(None, f"{host} has no address in the DNS")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=family and 0,
                flags=0,
            )
            for address in self.hosts.get(host, ["127.0.0.1"])
        ]

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def dns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Addresses", Names)
    monkeypatch.setattr(Names, "hosts", {})


@pytest.fixture
def seen() -> list[web.Request]:
    return []


@pytest.fixture
async def port(seen: list[web.Request]) -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        mistake = request.path.removeprefix(FILE.path)
        if mistake in GOALS:
            return web.Response(status=302, headers={"Location": GOALS[mistake]})
        match mistake:
            case "-loop":
                return web.Response(status=302, headers={"Location": request.path})
            case "-slower" if len(seen) > 1:
                await asyncio.sleep(60)
            case "-slower":
                return web.Response(status=302, headers={"Location": request.path})
            case "-closed":
                assert request.transport is not None
                request.transport.close()
            case "-body" if len(seen) == 1:
                response = web.StreamResponse(status=302, headers={"Location": request.path})
                await response.prepare(request)
                await asyncio.sleep(60)
            case "-hang":
                await asyncio.sleep(60)
        return ANSWERS[mistake]()

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
        ("-elsewhere", False, "a redirect to port 2222, which no CA follows: only 80 and 443"),
        ("-ftp", False, "a redirect to something that is neither HTTP nor HTTPS"),
        ("-port", False, "a redirect to an invalid URL"),
        ("-address", False, "a redirect to an IP address, which CAs do not follow"),
        ("-mapped", False, "a redirect to an IP address, which CAs do not follow"),
        ("-number", False, "a redirect to an IP address, which CAs do not follow"),
        ("-short", False, "a redirect to an IP address, which CAs do not follow"),
        ("-hex", False, "a redirect to an IP address, which CAs do not follow"),
        ("-quoted", False, "a redirect to an invalid URL"),
        ("-wide", False, "a redirect to an invalid URL"),
        ("-body", False, "redirected to http://localhost: HTTP 500"),
        ("-typed", False, "HTTP 200 with other content than the key authorization at 127.0.0.1"),
        ("-closed", False, "the connection was closed without an answer at 127.0.0.1"),
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


@pytest.fixture
async def stranger(port: int) -> AsyncIterator[str]:
    """Another web server at the same port of another address, whose files are its own."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=SECRET)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.2", port).start()
    yield "127.0.0.2"
    await runner.cleanup()


@pytest.mark.parametrize("reverse", [True, False])
async def test_an_address_that_leads_elsewhere_is_found_whichever_comes_first(
    port: int, stranger: str, *, reverse: bool
) -> None:
    """An AAAA record of an earlier host: the CA prefers it, and counts the failure."""
    Names.hosts["localhost"] = ["127.0.0.1", stranger][:: -1 if reverse else 1]
    [seen] = await SelfCheck(port=port).look([FILE])
    assert not seen.complete
    assert seen.describe().startswith(
        "HTTP 200 with other content (text/plain) than the key authorization at 127.0.0.2"
    )
    expected = ", while 127.0.0.1 answered as expected: a CA may ask any of them"
    assert seen.describe().endswith(expected) is not reverse


async def test_an_address_that_does_not_answer_at_all_is_named(port: int) -> None:
    Names.hosts["localhost"] = ["127.0.0.1", "127.0.0.3"]
    [seen] = await SelfCheck(port=port).look([FILE])
    assert not seen.complete
    assert seen.describe().startswith("the connection was refused at 127.0.0.3, while 127.0.0.1 answered")


async def test_every_address_that_answers_is_asked_once_in_a_look(port: int, seen: list[web.Request]) -> None:
    Names.hosts["localhost"] = ["127.0.0.1", "::ffff:127.0.0.1"]
    [found] = await SelfCheck(port=port).look([FILE])
    assert found.complete
    assert found.describe() == "the right answer"
    assert len(seen) == 2


async def test_where_any_address_will_do_the_first_that_answers_does(port: int, stranger: str) -> None:
    Names.hosts["localhost"] = ["127.0.0.1", stranger]
    [seen] = await SelfCheck(port=port, every_address=False).look([FILE])
    assert seen.complete


async def test_an_address_without_a_route_from_here_is_not_held_against_the_name_but_said(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names.hosts["localhost"] = ["192.0.2.1", "127.0.0.1"]
    _without_route(monkeypatch, "192.0.2.1")
    [seen] = await SelfCheck(port=port).look([FILE])
    assert seen.complete
    assert seen.remark == "there is no route from here to localhost at 192.0.2.1, where the CA may connect"
    Names.hosts["localhost"] = ["192.0.2.1"]
    [seen] = await SelfCheck(port=port).look([FILE])
    assert not seen.complete
    assert seen.describe().startswith("no connection: Network is unreachable")


def _without_route(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Have connections to an address fail as they do in a pod without an address of that family."""
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def fail(sock: socket.socket, where: tuple[str, int]) -> None:
        if where[0] == address:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        await connect(sock, where)

    monkeypatch.setattr(loop, "sock_connect", fail)


async def test_a_redirect_to_an_address_inside_that_the_host_does_not_have_is_not_followed(
    port: int, stranger: str, seen: list[web.Request]
) -> None:
    """A tenant must not choose which Service of the cluster the operator asks, and learn its status."""
    Names.hosts["inside.test"] = [stranger]
    GOALS["-inside"] = "http://inside.test/"
    [found] = await SelfCheck(port=port).look([file("localhost", "abc-inside")])
    assert len(seen) == 1
    assert found.describe().startswith(
        "redirected to http://inside.test: inside.test has the private address 127.0.0.2, which localhost does not "
        "have: Certwright does not follow redirects there"
    )


async def test_a_host_in_a_redirect_is_shown_in_part(port: int) -> None:
    GOALS["-long"] = f"http://{'secret.' * 30}invalid/"
    [found] = await SelfCheck(port=port).look([file("localhost", "abc-long")])
    assert found.describe().count("secret") < 40
    [via] = [word for word in found.describe().split() if word.startswith("http://")]
    assert len(via) < 80


async def test_a_server_that_does_not_answer_costs_its_seconds_and_no_more(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 2)
    seen = await SelfCheck(port=port).look([file("localhost", "abc-hang"), FILE])
    assert [one.describe() for one in seen] == ["no answer within 2 s at 127.0.0.1", "the right answer"]


async def test_redirects_that_are_slow_one_after_the_other_are_given_up(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_OF_REDIRECTS", 2.0)
    [seen] = await SelfCheck(port=port).look([file("localhost", "abc-slower")])
    assert "redirected to http://localhost: no answer within 2 s at 127.0.0.1" in seen.describe()
    assert seen.redirected


async def test_a_dns_that_is_silent_is_told_from_a_web_server_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.1)
    [seen] = await SelfCheck(port=80).look([file("silent.test")])
    assert seen.describe() == "the DNS did not resolve silent.test within 0.1 s"


async def test_names_are_not_looked_up_in_the_threads_that_keys_are_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen names whose name servers are down would hold up every Certificate there is."""
    monkeypatch.setattr(module, "Addresses", Addresses)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the C library was asked"))
    with socket.socket(type=socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nameserver = f"127.0.0.1:{closed.getsockname()[1]}"
    [seen] = await SelfCheck(nameservers=[nameserver]).look([file("a.example.test")])
    assert "no resolver could say what A records a.example.test has" in seen.describe()


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


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
async def test_a_tenant_whose_servers_are_silent_takes_no_place_of_others_and_no_memory_without_end(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A hundred Certificates with ten names each, behind a server that redirects to https and is silent there."""
    of, check = (module, SelfCheck) if kind == "http-01" else (tls_check, TlsSelfCheck)
    monkeypatch.setattr(of, "LOOKS", Turns(8, kept=2))
    begun: list[str] = []
    ended = asyncio.Event()

    async def _look(_: object, file: FileResponse, *__: object) -> HttpSighting:
        begun.append(file.host)
        if "evil" in file.host:
            await ended.wait()
        return HttpSighting(file, complete=True, seen="the right answer")

    monkeypatch.setattr(check, "_look", _look)
    options = {} if kind == "http-01" else {"nameservers": (), "every_address": True, "addresses": AddressPolicy()}
    made: list[Any] = [check(port=80, **options) for _ in range(101)]  # type: ignore[arg-type]

    async def for_tenant(tenant: str, one: Any) -> list[HttpSighting]:
        TENANT.set(tenant)
        found: list[HttpSighting] = await one.look(
            [FileResponse(f"n{number}.{tenant}.test", "t", "t.x") for number in range(10)]
        )
        return found

    evil = [asyncio.create_task(for_tenant("evil", one)) for one in made[:100]]
    good = await asyncio.create_task(for_tenant("good", made[100]))
    assert all(seen.complete for seen in good)
    assert sum("evil" in host for host in begun) == 6, "so many at a time; the others wait"
    ended.set()
    assert sum(len(seen) for seen in await asyncio.gather(*evil)) == 1000
