"""/healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from certwright.handlers.errors import OperatorFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.metrics import Metrics

SHUTDOWN_SECONDS: Final = 2.0


class Endpoints:
    """A small HTTP server for probes and Prometheus.

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
        app = web.Application(client_max_size=1024)
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._show_metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Raises:
            OperatorFailed: The address is taken or not ours.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise OperatorFailed(f"cannot serve on {host}:{port}: {error.strerror or error}") from error
        address: tuple[str, int] = self._runner.addresses[0]
        return address[1]

    async def stop(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        # That the event loop answers is what liveness means; the API server's absence is no reason for a restart.
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        why = self._why_not_ready()
        if why is None:
            notice = self._notice()
            return web.Response(text="ok\n" if notice is None else f"ok\n{notice}\n")
        return web.Response(status=503, text=f"not ready: {why}\n")

    async def _show_metrics(self, _: web.Request) -> web.Response:
        body = await asyncio.to_thread(self._metrics.render)
        return web.Response(body=body, headers={"Content-Type": self._metrics.content_type})
