"""The operator as a whole: kopf's watches, the controller, the HTTP endpoints, from start to graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.guard import THEIR_CERTIFICATES
from certwright.challenges.responder import Responder
from certwright.challenges.tls_responder import TlsResponder
from certwright.handlers.controller import Controller
from certwright.handlers.election import Candidate
from certwright.handlers.endpoints import Endpoints
from certwright.handlers.errors import OperatorFailed
from certwright.handlers.watching import Watcher
from certwright.http01.presenter import shared_look_up
from certwright.http01.tls_alpn01 import shared_tls_look_up
from certwright.kube.claims import Claims, Scope, claim
from certwright.kube.client import KubeClient, Patience
from certwright.kube.election import LeadershipLost
from certwright.kube.heartbeat import Heartbeat
from certwright.kube.lease import LeaseLock
from certwright.kube.list_watch import ListWatch, ListWatches, State
from certwright.kube.login import ApiClient, connect, credentials_of
from certwright.kube.resource import HTTP_ROUTES
from certwright.runtime.labour import make_task
from certwright.runtime.leadership import Leadership

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from certwright.handlers.kinds import WatchedKind
    from certwright.handlers.options import Options
    from certwright.issuers.presenters import Http01Options
    from certwright.kube.list_watch import Sink

    Guarding = Callable[[], Coroutine[Any, Any, None]]

logger = logging.getLogger(__name__)

MAX_THREADS: Final = 64
BLIND_SECONDS: Final = 60.0
"""After so long a process stands for election although it does not see everything."""
LOST_SECONDS: Final = 0.5
"""For closing connections after the lease was lost; nothing is sent any more by then."""


async def run_operator(options: Options) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        NoCredentials: There is no API server to talk to.
        OperatorFailed: The HTTP port is taken, or the watches or the controller ended by themselves.
        LeadershipLost: Another replica leads now, or may: this process acts no more.
    """
    loop = asyncio.get_running_loop()
    loop.set_task_factory(make_task)
    # Threads that wait for the system's resolver must not keep the others from theirs.
    loop.set_default_executor(ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="job"))
    async with contextlib.AsyncExitStack() as stack:
        api = await connect(options.kubeconfig)
        stack.push_async_callback(api.close)
        leadership = Leadership() if options.election else Leadership.unlimited()
        controller = Controller(api, options, claims=_claims(api, options), leadership=leadership)
        await _start_responder(stack, controller, options.http01)
        candidate = None
        if options.election is not None:
            candidate = Candidate(
                api,
                options.election,
                namespace=options.operator_namespace,
                common=options.common,
                scope=Scope(tuple(options.namespaces)),
                leadership=leadership,
                metrics=controller.metrics,
                abort=controller.abort,
            )
        watcher = _make_watcher(api, controller, options)
        controller.complete = watcher.complete
        foreign = await _foreign_watches(stack, controller, options)
        stop = asyncio.Event()
        endpoints = Endpoints(
            controller.metrics,
            why_not_ready=lambda: (
                _why_not_ready(stop, watcher, candidate, controller) or foreign.trouble or _trouble_of_guard(controller)
            ),
            notice=lambda: controller.manager.notice,
        )
        port = await endpoints.start(options.http_host, options.http_port)
        stack.push_async_callback(endpoints.stop)
        logger.info(
            "serving /healthz, /readyz and /metrics on %s:%d; watching %s",
            options.http_host,
            port,
            ", ".join(options.namespaces) or "all namespaces",
        )
        guarding = await _guarding(stack, controller, options)
        await _run_until_stopped(
            controller, candidate, endpoints, watcher=watcher, foreign=foreign, guarding=guarding, stop=stop
        )


async def _foreign_watches(stack: contextlib.AsyncExitStack, controller: Controller, options: Options) -> ListWatches:
    """Return the list-watches of what others define."""
    manager, metrics, routes = controller.manager, controller.metrics, controller.routes
    watches: list[ListWatch] = []
    if manager.kinds.foreign:
        client = await _watching_client(stack, controller, options)
        for kind in manager.kinds.foreign:
            resource, namespaces = kind.resource, _namespaces_of(kind, options)
            of_resource = [
                ListWatch(
                    client,
                    resource,
                    manager,
                    namespace=namespace,
                    metadata_only=not kind.is_whole,
                    on_failure=metrics.watch_failed,
                )
                for namespace in namespaces
            ]
            metrics.watch_watch(resource.label, partial(_all_watching, of_resource))
            watches += of_resource
        watches += [
            ListWatch(
                client, HTTP_ROUTES, routes, namespace=namespace, on_failure=metrics.watch_failed, after=routes.wanted
            )
            for namespace in options.namespaces or (None,)
        ]
    return ListWatches(watches)


async def _watching_client(stack: contextlib.AsyncExitStack, controller: Controller, options: Options) -> KubeClient:
    """Return a client for list-watches, with connections of their own, as each holds one."""
    api = await connect(options.kubeconfig, connections=0)
    stack.push_async_callback(api.close)
    return KubeClient(api, on_request=controller.metrics.kube_request, patience=Patience(request=30.0, tries=1))


async def _guarding(stack: contextlib.AsyncExitStack, controller: Controller, options: Options) -> Guarding | None:
    """Return what keeps the guard informed of cert-manager; None without a guard."""
    guard = controller.guard
    if guard is None:
        return None
    client = await _watching_client(stack, controller, options)

    def make(sink: Sink) -> ListWatches:
        return ListWatches(
            [
                ListWatch(
                    client,
                    THEIR_CERTIFICATES,
                    sink,
                    namespace=namespace,
                    on_failure=controller.metrics.watch_failed,
                )
                for namespace in options.namespaces or (None,)
            ]
        )

    return partial(guard.run, make)


def _namespaces_of(kind: WatchedKind[Any], options: Options) -> Sequence[str | None]:
    """Return where a kind is watched; None stands for the whole cluster."""
    return (options.namespaces or (None,)) if kind.is_namespaced else (None,)


async def _watch_others(watcher: Watcher, foreign: ListWatches, guarding: Guarding | None) -> None:
    """Watch what others define once everything of ours is known: what is missing of it would be made again.

    The guard does not wait, as nothing is issued before it has looked.
    """
    async with asyncio.TaskGroup() as group:
        if guarding is not None:
            group.create_task(guarding())
        await watcher.complete.wait()
        await foreign.run()


def _all_watching(watches: Sequence[ListWatch]) -> bool:
    return all(one.state in {State.WATCHING, State.ABSENT} for one in watches)


def _claims(api: ApiClient, options: Options) -> Claims:
    client, scope = (
        KubeClient(api, patience=Patience(request=10.0, total=10.0, tries=2)),
        Scope(tuple(options.namespaces)),
    )
    namespace, name = options.operator_namespace, options.lease_name
    heartbeat = None
    if options.election is None:
        lock = LeaseLock(client, namespace=namespace, name=name, common=options.common, claim=claim(scope))
        heartbeat = Heartbeat(lock, options.identity)
    return Claims(client, namespace=namespace, name=name, scope=scope, heartbeat=heartbeat)


def _make_watcher(api: ApiClient, controller: Controller, options: Options) -> Watcher:
    manager, metrics = controller.manager, controller.metrics
    watcher = Watcher(
        manager.kinds.resources,
        # Followers look as well, and it is answered or asked again soon.
        client=KubeClient(api, on_request=metrics.kube_request, patience=Patience(request=10.0, tries=1)),
        namespaces=options.namespaces,
        credentials=credentials_of(api),
        on_event=manager.take_event,
        on_list=manager.take_list,
        latest=manager.latest,
        on_rewind=manager.take_rewind,
        on_failure=metrics.watch_failed,
    )
    for resource in manager.kinds.resources:
        metrics.watch_watch(resource.plural, partial(watcher.watching, resource))
    return watcher


async def _start_responder(stack: contextlib.AsyncExitStack, controller: Controller, options: Http01Options) -> None:
    """Answer http-01 challenges here, where ingress controllers were told how to reach us."""
    if options.responder_address is None:
        return
    responder = Responder(shared_look_up(controller.answers), on_answer=controller.metrics.responded)
    try:
        port = await responder.start(None, options.responder_port)
    except OSError as error:
        raise OperatorFailed(
            f"the responder cannot listen on port {options.responder_port}: {error.strerror or error}"
        ) from error
    stack.push_async_callback(responder.stop)
    logger.info("answering http-01 challenges at %s, port %d", options.responder_address, port)
    if options.tls_responder_port is not None:
        tls = TlsResponder(shared_tls_look_up(controller.answers))
        try:
            port = await tls.start(None, options.tls_responder_port)
        except OSError as error:
            raise OperatorFailed(
                f"the TLS responder cannot listen on port {options.tls_responder_port}: {error.strerror or error}"
            ) from error
        stack.push_async_callback(tls.stop)
        logger.info("answering tls-alpn-01 challenges at %s, port %d", options.responder_address, port)


async def _run_until_stopped(
    controller: Controller,
    candidate: Candidate | None,
    endpoints: Endpoints,
    *,
    watcher: Watcher,
    foreign: ListWatches,
    guarding: Guarding | None,
    stop: asyncio.Event,
) -> None:
    may_lead = asyncio.Event()
    # These first: at its end kopf cancels every task that it did not find when it began.
    work = asyncio.create_task(controller.run(stop), name="controller")
    standing = [asyncio.create_task(candidate.run(may_lead), name="election")] if candidate is not None else []
    watching = asyncio.create_task(watcher.run(), name="watches")
    started = asyncio.create_task(watcher.started.wait(), name="started")
    seeing = asyncio.create_task(_see(watcher, may_lead), name="seeing")
    minding = asyncio.create_task(watcher.mind(), name="minding")
    others = asyncio.create_task(_watch_others(watcher, foreign, guarding), name="watches of other kinds")
    _on_signals(stop.set)
    try:
        parts = {watching, work, minding, others, *standing}
        await asyncio.wait({*parts, started}, return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            # kopf has set its own handlers; ours let the work come to a safe point before the watches end.
            _on_signals(stop.set)
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        asked = stop.is_set()
        stop.set()
        if any(task.done() for task in standing):
            controller.abort()  # without the renewal of the lease nothing may be begun or ended in peace
        await asyncio.wait({work})
        _raise_loss(candidate)
        if candidate is not None:
            candidate.resign()
            await asyncio.wait(standing)
        await endpoints.stop()
        if watcher.stop():
            await asyncio.wait({watching})
    finally:
        tasks: list[asyncio.Task[Any]] = [started, seeing, minding, others, work, watching, *standing]
        for task in tasks:
            task.cancel()
        # What does not end after a loss is left to `Election.on_lost`.
        lost = candidate is not None and candidate.lost is not None
        ended, _ = await asyncio.wait(tasks, timeout=LOST_SECONDS if lost else None)
        for task in ended:
            _error_of(task)  # looked at, so that nothing complains of those that are not raised below
    _raise_failure(watching, work, minding, others, *standing, asked=asked)
    logger.info("stopped")


async def _see(watcher: Watcher, may_lead: asyncio.Event) -> None:
    """Let this process lead once it has seen everything.

    One that cannot must not keep the lease from those who can; if none can, half of the work is better than none.
    """
    try:
        async with asyncio.timeout(BLIND_SECONDS):
            await watcher.complete.wait()
    except TimeoutError:
        logger.warning("not ready, but working with what is visible: %s", watcher.trouble)
        may_lead.set()
        await watcher.complete.wait()
    may_lead.set()
    logger.info("ready")


def _why_not_ready(
    stop: asyncio.Event, watcher: Watcher, candidate: Candidate | None, controller: Controller
) -> str | None:
    if stop.is_set():
        return "it is stopping"
    return watcher.trouble or (candidate.trouble if candidate is not None else None) or controller.manager.trouble


def _trouble_of_guard(controller: Controller) -> str | None:
    return controller.guard.trouble if controller.guard is not None else None


def _raise_loss(candidate: Candidate | None) -> None:
    if candidate is not None and candidate.lost is not None:
        raise LeadershipLost(candidate.lost)


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _raise_failure(*tasks: asyncio.Task[None], asked: bool) -> None:
    """Raise why the operator ended, unless it was asked to."""
    for task in tasks:
        error = _error_of(task)
        if isinstance(error, OperatorFailed):
            raise error
        if error is not None:
            raise OperatorFailed(f"the {task.get_name()} failed: {type(error).__name__}: {error}") from error
    if not asked:
        raise OperatorFailed("the watches ended unexpectedly")


def _error_of(task: asyncio.Task[Any]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
