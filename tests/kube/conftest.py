"""An API server that answers as it is told to, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from certwright.kube.api import KubeApi
from certwright.kube.client import KubeClient, Patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class ApiServer:
    """Answers with what is in `replies`, then with 200 and an empty object."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    replies: deque[web.Response | str] = field(default_factory=deque)

    def reply(self, status: int = 200, body: Any = None, **headers: str) -> None:
        """Answer a further request with this: an object, or raw bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies.append(web.Response(status=status, body=content, headers=fields, content_type="application/json"))

    def refuse(self, status: int, reason: str, message: str, **headers: str) -> None:
        """Answer a further request with a Status object."""
        self.reply(status, {"kind": "Status", "status": "Failure", "reason": reason, "message": message}, **headers)

    def hang(self) -> None:
        """Never answer a further request."""
        self.replies.append("hang")

    def drop(self) -> None:
        """Close the connection of a further request without an answer."""
        self.replies.append("drop")

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.seen.append(
            Seen(request.method, request.raw_path.partition("?")[0], dict(request.query), request.headers, body)
        )
        reply = self.replies.popleft() if self.replies else web.json_response({})
        if isinstance(reply, web.Response):
            return reply
        if reply == "drop":
            assert request.transport is not None
            request.transport.close()
        else:
            await asyncio.Event().wait()
        return web.Response()


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    api_server = ApiServer()
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", api_server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api_server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield api_server
    await runner.cleanup()


@pytest.fixture
async def api(server: ApiServer) -> AsyncIterator[ApiClient]:
    configuration = Configuration(host=server.url, api_key={"BearerToken": "Bearer made-up"})
    configuration.retries = None
    client = ApiClient(configuration)
    yield client
    await client.close()  # type: ignore[no-untyped-call]  # the library has no types here


@pytest.fixture
def counted() -> list[tuple[str, str]]:
    """What `client` told of its tries: method and status."""
    return []


@pytest.fixture
def make_client(api: ApiClient, counted: list[tuple[str, str]]) -> Callable[[Patience], KubeClient]:
    return lambda patience: KubeClient(api, on_request=lambda *told: counted.append(told), patience=patience)


@pytest.fixture
def client(make_client: Callable[[Patience], KubeClient]) -> KubeClient:
    """A client that goes on trying as often as the real one does, with shorter pauses."""
    return make_client(Patience(first_pause=0.002, longest_pause=0.05))


@pytest.fixture
def impatient(make_client: Callable[[Patience], KubeClient]) -> KubeClient:
    """The same for servers that never answer."""
    return make_client(Patience(request=0.2, first_pause=0.002, longest_pause=0.05))


@pytest.fixture
def kube_api(client: KubeClient) -> KubeApi:
    return KubeApi(client, group="certwright.io", version="v1")
