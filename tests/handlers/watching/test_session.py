from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import kopf
import pytest
from aiohttp import web

from certwright.handlers.registrations import SECRETS
from certwright.handlers.watching import session as module
from certwright.handlers.watching.health import Watches
from certwright.handlers.watching.session import Login, open_session
from certwright.kube.resource import CERTIFICATES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIST = "/apis/certwright.io/v1/certificates"
STATUS = {"kind": "Status", "reason": "Forbidden", "message": "no"}


class Told(Watches):
    """Notes what the session tells."""

    def __init__(self) -> None:
        async def ignore(*_: object) -> None:
            """Nothing is known that could be gone."""

        super().__init__(
            [CERTIFICATES, SECRETS],
            on_list=ignore,
            on_failure=lambda resource, status: self.notes.append((resource, status)),
        )
        self.notes: list[tuple[str, str]] = []


class Brings:
    """Credentials with one token after the other."""

    server, namespace, tls_server_name, proxy = "https://api", "tools", None, None

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.rejections = 0
        self.tls = ssl.create_default_context()

    async def authorization(self) -> str:
        return f"Bearer {self.tokens[0]}"

    def rejected(self) -> None:
        self.rejections += 1
        self.tokens = self.tokens[1:] or self.tokens


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """An API server that does what its caller asks for in the query."""

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["User-Agent"] == "certwright"
        assert request.headers["Authorization"] == "Bearer token"
        status = int(request.query.get("status", "200"))
        if status == 503:
            return web.Response(status=503, text="upstream connect error")
        body = (
            STATUS if status >= 400 else {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"uid": "u"}}]}
        )
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get(LIST, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}{LIST}"
    await runner.cleanup()


@pytest.fixture
async def session(told: Told) -> AsyncIterator[aiohttp.ClientSession]:
    opened = open_session(Brings("token"), told)  # type: ignore[arg-type]  # as far as it is needed
    assert opened.server == "https://api"
    yield opened.aiohttp_session
    await opened.aiohttp_session.close()


async def get(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as answer:
        return await answer.json()


async def test_a_list_is_told_and_given_on(session: aiohttp.ClientSession, told: Told, url: str) -> None:
    assert (await get(session, url))["items"] == [{"metadata": {"uid": "u"}}]
    assert told.watching(CERTIFICATES)
    assert told.notes == []


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "HTTP 403 Forbidden: no"), (503, "HTTP 503")],
    ids=["in the API server's words", "in a proxy's"],
)
async def test_a_refusal_is_told_with_the_api_servers_words(
    session: aiohttp.ClientSession, told: Told, url: str, status: int, words: str
) -> None:
    try:
        assert await get(session, f"{url}?status={status}") == STATUS
    except aiohttp.ContentTypeError:
        assert status == 503
    assert told.notes == [("certificates", str(status))]
    assert f"the list of certificates.certwright.io has not arrived: {words};" in str(told.trouble)


async def test_a_watch_is_told_when_it_begins(session: aiohttp.ClientSession, told: Told, url: str) -> None:
    await get(session, url)
    await get(session, f"{url}?status=403")
    assert not told.watching(CERTIFICATES)
    async with session.get(f"{url}?watch=true"):
        assert told.watching(CERTIFICATES)


async def test_no_answer_is_told(session: aiohttp.ClientSession, told: Told, url: str, unused_tcp_port: int) -> None:
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(session, url.replace(url.split("/")[2], f"127.0.0.1:{unused_tcp_port}"))
    assert told.notes == [("certificates", "none")]
    assert "certificates.certwright.io has not arrived: no answer: ClientConnectorError" in str(told.trouble)


async def test_in_a_pod_the_api_server_is_found_by_its_address(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    info = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="token", default_namespace="tools")
    monkeypatch.setattr(kopf, "login_with_service_account", lambda **_: info)
    found = await Login(told, None).log_in(settings=kopf.OperatorSettings())
    assert found is not None
    assert (found.server, found.default_namespace) == ("https://10.96.0.1:443", "tools")
    await found.aiohttp_session.close()


async def test_refused_credentials_are_brought_again_and_the_same_only_after_a_pause(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    credentials = Brings("old", "old", "new")
    login = Login(told, credentials)  # type: ignore[arg-type]  # as far as it is needed
    seen = []
    for _ in range(3):
        found = await login.log_in()
        assert found is not None
        assert (found.server, found.default_namespace) == ("https://api", "tools")
        seen.append((await credentials.authorization(), len(pauses)))
        await found.aiohttp_session.close()
    assert seen == [("Bearer old", 0), ("Bearer old", 1), ("Bearer new", 1)]
    assert pauses == [module.PAUSE_SECONDS]
    assert credentials.rejections == 2


async def test_a_request_has_the_token_of_its_time(told: Told, url: str) -> None:
    credentials = Brings("wrong", "token")
    opened = open_session(credentials, told)  # type: ignore[arg-type]  # as far as it is needed
    async with opened.aiohttp_session as session:
        credentials.rejected()
        assert (await get(session, url))["items"]


async def test_without_credentials_there_is_no_session(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kopf, "login_with_service_account", lambda **_: None)
    assert await Login(told, None).log_in() is None
