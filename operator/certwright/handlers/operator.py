"""The operator as a whole: kopf's watches, the controller, the HTTP endpoints, from start to graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import kopf

from certwright.handlers.controller import Controller
from certwright.handlers.endpoints import Endpoints
from certwright.handlers.watch import make_registry
from certwright.kube.login import connect, in_cluster
from certwright.resources import MANAGED_LABEL, MANAGED_VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

SELECTOR: Final = f"{MANAGED_LABEL}={MANAGED_VALUE}"


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        operator_namespace: Where the Secrets of ClusterIssuers are.
        namespaces: Namespaces to serve; empty for all of them.
        http_host: Address for the health and metrics endpoints.
        http_port: Their port; 0 picks a free one.
        workers: How many objects are looked at at once.
        user_agent: For requests to CAs.
    """

    operator_namespace: str
    namespaces: Sequence[str]
    http_host: str
    http_port: int
    workers: int
    user_agent: str


async def run_operator(options: Options) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        NoCredentials: There is no API server to talk to.
        OSError: The HTTP port is taken.
    """
    async with contextlib.AsyncExitStack() as stack:
        api = await connect()
        stack.push_async_callback(api.close)
        controller = Controller(
            api,
            operator_namespace=options.operator_namespace,
            user_agent=options.user_agent,
            workers=options.workers,
        )
        ready = asyncio.Event()
        endpoints = Endpoints(controller.metrics, is_ready=lambda: ready.is_set() and not stop.is_set())
        stop = asyncio.Event()
        port = await endpoints.start(options.http_host, options.http_port)
        stack.push_async_callback(endpoints.stop)
        logger.info(
            "serving /healthz, /readyz and /metrics on %s:%d; watching %s",
            options.http_host,
            port,
            ", ".join(options.namespaces) or "all namespaces",
        )
        await _run_until_stopped(controller, options, ready, stop)


async def _run_until_stopped(
    controller: Controller, options: Options, ready: asyncio.Event, stop: asyncio.Event
) -> None:
    kopf_ready, kopf_stop = asyncio.Event(), asyncio.Event()
    watches = asyncio.create_task(
        kopf.operator(
            registry=_registry(controller),
            settings=_settings(),
            standalone=True,
            clusterwide=not options.namespaces,
            namespaces=list(options.namespaces),
            ready_flag=kopf_ready,
            stop_flag=kopf_stop,
        ),
        name="watches",
    )
    work = asyncio.create_task(controller.run(stop), name="controller")
    started = asyncio.create_task(kopf_ready.wait(), name="started")
    await asyncio.wait({watches, work, started}, return_when=asyncio.FIRST_COMPLETED)
    if started.done():
        # kopf has set its own handlers by now; ours let the work come to a safe point before the watches end.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        ready.set()
        logger.info("ready")
    started.cancel()
    await asyncio.wait({watches, work}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await work
    kopf_stop.set()
    await watches
    logger.info("stopped")


def _registry(controller: Controller) -> kopf.OperatorRegistry:
    registry = make_registry(controller)
    login = kopf.login_with_service_account if in_cluster() else kopf.login_with_kubeconfig
    kopf.on.login(registry=registry, errors=kopf.ErrorsMode.PERMANENT)(login)
    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # our Events say more
    settings.watching.label_selectors["secrets"] = SELECTOR
    # A quiet object's watch worker is worth no memory; a second is enough to join a burst of its events.
    settings.queueing.idle_timeout = 1.0
    settings.networking.connect_timeout = 10.0
    settings.networking.request_timeout = 60.0
    # Without an end: kopf must go on trying for as long as the API server is away.
    settings.networking.error_backoffs = [0.5, 1, 1, 2, 2, 3, 5, 5, 5, 5]
    settings.process.ultimate_exiting_timeout = 60.0
    return settings
