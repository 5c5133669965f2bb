"""The session that kopf sends its requests with: its credentials, and an observer of every answer."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import kopf

from certwright.kube.login import USER_AGENT, in_cluster_url

if TYPE_CHECKING:
    from types import SimpleNamespace

    from certwright.handlers.watching.health import Watches
    from certwright.handlers.watching.rewinds import Rewinds

PAUSE_SECONDS: Final = 5.0
"""Before credentials are tried that were refused, or whose connections broke, a moment ago."""


class Login:
    """The credentials, for kopf's login handler.

    kopf asks for them again when the API server does not know us (401), which is how a rotated token is taken up. By
    itself it would end the operator if the credentials are the same as before; here they are tried again after a
    moment, for as long as it takes.

    Args:
        watches: Told of every request.
        rewinds: Told of every list and watch.
        in_pod: Whether to use the pod's service account, else a kubeconfig.
    """

    def __init__(self, watches: Watches, rewinds: Rewinds, *, in_pod: bool) -> None:
        self._watches = watches
        self._rewinds = rewinds
        self._in_pod = in_pod
        self._last: kopf.ConnectionInfo | None = None

    async def log_in(self, **arguments: Any) -> kopf.AiohttpSession | None:
        """Return a session, or None without credentials.

        Raises:
            Exception: Whatever kopf raises about a kubeconfig that it cannot read.
        """
        read = functools.partial(_service_account if self._in_pod else kopf.login_with_kubeconfig, **arguments)
        info = await asyncio.to_thread(read)
        if info is None:
            return None
        if info == self._last:
            await asyncio.sleep(PAUSE_SECONDS)
        self._last = info
        return open_session(info, self._watches, self._rewinds)


def open_session(info: kopf.ConnectionInfo, watches: Watches, rewinds: Rewinds) -> kopf.AiohttpSession:
    """Return a session with these credentials that tells of every answer; kopf closes it."""

    class Answer(aiohttp.ClientResponse):
        """kopf reads what is no stream by this method, refusals too."""

        async def json(self, **options: Any) -> Any:
            body = None
            try:
                body = await super().json(**options)
            finally:
                if self.status >= HTTPStatus.BAD_REQUEST:
                    watches.refused(self.url, self.status, body)
            if self.status < HTTPStatus.BAD_REQUEST:
                rewinds.listed(self.url, _version(body))
                await watches.answered(self.url, body)
            return body

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers={"User-Agent": USER_AGENT, **info.as_http_headers()},
        proxy=info.proxy_url,
        trust_env=info.trust_env,
        response_class=Answer,
        trace_configs=[_trace(watches, rewinds)],
    )
    return kopf.AiohttpSession(
        server=info.server,
        default_namespace=info.default_namespace,
        priority=info.priority,
        aiohttp_session=session,
    )


def _trace(watches: Watches, rewinds: Rewinds) -> aiohttp.TraceConfig:
    async def start(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, request: aiohttp.TraceRequestStartParams
    ) -> None:
        watches.asked(request.url)
        rewinds.asked(request.url)

    async def end(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, answer: aiohttp.TraceRequestEndParams
    ) -> None:
        if "watch" in answer.url.query and answer.response.status < HTTPStatus.BAD_REQUEST:
            watches.opened(answer.url)
            rewinds.opened(answer.url, answer.response)

    async def fail(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, request: aiohttp.TraceRequestExceptionParams
    ) -> None:
        if isinstance(request.exception, aiohttp.ClientError | OSError):
            watches.unanswered(request.url, request.exception)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    trace.on_request_exception.append(fail)
    return trace


def _version(body: Any) -> str:
    """Return the resourceVersion of a list, or nothing."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return str(metadata.get("resourceVersion") or "") if isinstance(metadata, dict) else ""


def _service_account(**arguments: Any) -> kopf.ConnectionInfo | None:
    """Take kopf's credentials with the address that our own client has: its name for it takes a working cluster DNS.

    Otherwise a broken DNS, or a policy that keeps us from it, would leave a leader that watches nothing.
    """
    found = kopf.login_with_service_account(**arguments)
    return None if found is None else dataclasses.replace(found, server=in_cluster_url())
