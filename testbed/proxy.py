"""A proxy in front of the API server or of Pebble that counts, watches and interferes.

Tests use it to end a program after its n-th write, to lose an answer, to count the requests of an issuance.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from .exchanges import Action, Drop, Forward, Hold, OnRequest, OnResponse, Request, Response
from .interference import interfere
from .kubeconfig import write_kubeconfig
from .ports import LOOPBACK, allocator

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from types import TracebackType

    from .certificates import BedAuthority, KeyPair
    from .parts.apiserver import ApiServer
    from .parts.pebble import Pebble

T = TypeVar("T")
MAX_BODY = 16 << 20
CALL_TIMEOUT = 60.0
END_GRACE = 1.0
HOLD_SECONDS = 0.02
# Hop-by-hop fields (RFC 9110, section 7.6.1); lengths are computed again.
_HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})


class RecordingProxy:
    """Forwards requests and records them.

    The two hooks may be set at any time. They run in the proxy's thread, one at a time: while one runs,
    nothing passes, so its effect (ending a process, say) comes before any further request.

    Args:
        upstream: https URL of the server behind, without a path.
        authority: issues the proxy's own certificate, and verifies that of the server behind.
        client: client certificate shown to the server behind, in place of all credentials of the client.
        address: at which clients reach it.
    """

    def __init__(
        self, upstream: str, authority: BedAuthority, *, client: KeyPair | None = None, address: str = LOOPBACK
    ) -> None:
        self._upstream = upstream
        self._address = address
        self._authority = authority
        self._client = client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="testbed-proxy", daemon=True)
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.port = allocator.take()
        self.requests: list[Request] = []
        self.on_request: OnRequest = lambda _: Forward()
        self.on_response: OnResponse = lambda _, __: Forward()
        self._hook_errors: list[Exception] = []

    @classmethod
    def for_apiserver(cls, apiserver: ApiServer, *, client: KeyPair | None = None) -> Self:
        """Return a proxy for the API server, which sees `client`, by default an administrator."""
        return cls(apiserver.url, apiserver.site.authority, client=client or apiserver.admin)

    @classmethod
    def for_pebble(cls, pebble: Pebble) -> Self:
        """Return a proxy for Pebble, which takes its URLs from the Host header and so names the proxy.

        Where the bed has a node, pods reach it as they reach Pebble.
        """
        upstream = pebble.directory_url.removesuffix("/dir")
        return cls(upstream, pebble.site.authority, address=pebble.site.address)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"https://{self._address}:{self.port}"

    @property
    def directory_url(self) -> str:
        """Where ACME clients begin."""
        return f"{self.url}/dir"

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that goes through the proxy, and return its path."""
        # Any credentials will do: the proxy has its own.
        return write_kubeconfig(path, server=self.url, ca=self._authority.pem, token="any")  # noqa: S106

    def counts(self) -> Counter[tuple[str, str]]:
        """Return how many requests came in, by method and path."""
        return Counter((request.method, request.path) for request in list(self.requests))

    @property
    def connections(self) -> int:
        """How many connections clients hold open."""
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    def reset(self) -> None:
        """Forget the requests seen so far, and the hooks."""
        self.requests = []
        self.on_request = lambda _: Forward()
        self.on_response = lambda _, __: Forward()

    def break_connections(self) -> None:
        """Reset every connection of every client, watches included; new ones are accepted."""
        self._loop.call_soon_threadsafe(self._abort_connections)

    def start(self) -> None:
        """Serve, in a thread of its own."""
        self._thread.start()
        self._call(self._open())

    def stop(self) -> None:
        """Close all connections and end the thread.

        Raises:
            ExceptionGroup: what the hooks raised; their requests were dropped.
        """
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_TIMEOUT)
        self._loop.close()
        if self._hook_errors:
            raise ExceptionGroup("a hook of the proxy failed", self._hook_errors)

    def __enter__(self) -> Self:
        """Serve."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.stop()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CALL_TIMEOUT)

    async def _open(self) -> None:
        tls = self._authority.client_context(self._client)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
            skip_auto_headers=["Accept", "Accept-Encoding", "Content-Type", "User-Agent"],
        )
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=END_GRACE
        )
        await self._runner.setup()
        server = self._authority.server_context(self._authority.server(f"proxy-{self.port}", [self._address]))
        await web.TCPSite(self._runner, self._address, self.port, ssl_context=server).start()

    async def _close(self) -> None:
        if self._runner is not None:
            # A clean end of TLS would wait for clients that keep their connections; the loop ends before that.
            self._abort_connections()
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        # A connection that is just being accepted has a task of its own.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # lets what was closed or aborted say goodbye

    def _abort_connections(self) -> None:
        server = None if self._runner is None else self._runner.server
        for connection in [] if server is None else server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    async def _handle(self, incoming: web.Request) -> web.StreamResponse:
        path, _, query = incoming.raw_path.partition("?")
        request = Request(incoming.method, path, query, CIMultiDict(incoming.headers), await incoming.read())
        self.requests.append(request)
        action = self._ask(self.on_request, request)
        if not isinstance(action, Forward):
            return await interfere(incoming, action)
        try:
            if request.is_watch:
                return await self._stream(incoming, request)
            # The server may have the request even if the client goes away.
            answer = await asyncio.shield(asyncio.ensure_future(self._exchange(request)))
        except aiohttp.ClientError:
            return await interfere(incoming, Drop())
        action = self._ask(self.on_response, request, answer)
        if isinstance(action, Hold):
            while not action.until.is_set():  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(HOLD_SECONDS)
        elif not isinstance(action, Forward):
            return await interfere(incoming, action)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _exchange(self, request: Request) -> Response:
        async with self._send(request) as answer:
            return Response(answer.status, _end_to_end(answer.headers), await answer.read())

    async def _stream(self, incoming: web.Request, request: Request) -> web.StreamResponse:
        async with self._send(request) as answer:
            headers = _end_to_end(answer.headers)
            action = self._ask(self.on_response, request, Response(answer.status, headers, b""))
            if not isinstance(action, Forward):
                return await interfere(incoming, action)
            outgoing = web.StreamResponse(status=answer.status, headers=headers)
            await outgoing.prepare(incoming)
            async for chunk in answer.content.iter_any():
                await outgoing.write(chunk)
            await outgoing.write_eof()
            return outgoing

    def _send(self, request: Request) -> aiohttp.client._RequestContextManager:
        if self._session is None:
            raise RuntimeError("the proxy is not started")
        headers = _end_to_end(request.headers)
        if self._client is not None:
            headers.pop("Authorization", None)
        target = f"{self._upstream}{request.path}" + (f"?{request.query}" if request.query else "")
        return self._session.request(
            request.method,
            URL(target, encoded=True),
            data=request.body or None,
            headers=headers,
            allow_redirects=False,
            server_hostname=urlsplit(self._upstream).hostname,
        )

    def _ask(self, hook: Callable[..., Action], *arguments: object) -> Action:
        try:
            return hook(*arguments)
        except Exception as error:  # noqa: BLE001 - raised in the test's thread, when the proxy is stopped
            self._hook_errors.append(error)
            return Drop()


def _end_to_end(headers: MultiMapping[str]) -> CIMultiDict[str]:
    # Several headers of one name stay several: Pebble sends more than one Link.
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)
