"""/healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from certwright.handlers.errors import OperatorFailed
from certwright.http.server import BoundedServer, Bounds, read_request, write_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.metrics import Metrics

MAX_CONNECTIONS: Final = 64
"""Open at a time, probes and scrapes together; beyond that the eldest is ended, so that nobody is kept out."""
REQUEST_SECONDS: Final = 10.0
"""For one request and its answer: a probe takes milliseconds, a scrape of ten thousand Certificates a second or two."""
TEXT: Final = "text/plain; charset=utf-8"


class Endpoints:
    """A small HTTP server for probes and Prometheus: one request a connection, bounded in size, time and number.

    Args:
        metrics: What ``/metrics`` shows.
        why_not_ready: What keeps ``/readyz`` from saying yes; None if nothing does.
        notice: What it tells besides; None if there is nothing to tell.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        why_not_ready: Callable[[], str | None],
        notice: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._metrics = metrics
        self._why_not_ready = why_not_ready
        self._notice = notice
        self._server = BoundedServer(self._exchange, lambda: Bounds(MAX_CONNECTIONS, REQUEST_SECONDS))

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Raises:
            OperatorFailed: The address is taken or not ours.
        """
        try:
            return await self._server.start(host, port)
        except OSError as error:
            raise OperatorFailed(f"cannot serve on {host}:{port}: {error.strerror or error}") from error

    async def stop(self) -> None:
        """Listen no more."""
        await self._server.stop()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, _ = await read_request(reader)
        status, body, content_type = await self._respond(method, path)
        await write_answer(writer, method, status, body, content_type=content_type)

    async def _respond(self, method: str, path: str) -> tuple[str, bytes, str]:
        if not method:
            return "400 Bad Request", b"not an HTTP request of sane size\n", TEXT
        if path not in {"/healthz", "/readyz", "/metrics"}:
            return "404 Not Found", b"only /healthz, /readyz and /metrics\n", TEXT
        if method not in {"GET", "HEAD"}:
            return "405 Method Not Allowed", b"only GET and HEAD\n", TEXT
        if path == "/metrics":
            return "200 OK", await asyncio.to_thread(self._metrics.render), self._metrics.content_type
        # That the event loop answers is what liveness means; the API server's absence is no reason for a restart.
        why = self._why_not_ready() if path == "/readyz" else None
        if why is None:
            notice = self._notice() if path == "/readyz" else None
            return "200 OK", b"ok\n" if notice is None else f"ok\n{notice}\n".encode(), TEXT
        return "503 Service Unavailable", f"not ready: {why}\n".encode(), TEXT
