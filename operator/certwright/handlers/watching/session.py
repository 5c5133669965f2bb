"""The session that kopf sends its requests with: its credentials, and an observer of every answer."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import kopf

from certwright.kube.kubeconfig import NoCredentials
from certwright.kube.login import USER_AGENT, in_cluster_url

if TYPE_CHECKING:
    from types import SimpleNamespace

    from certwright.handlers.watching.health import Watches
    from certwright.kube.credentials import Credentials

PAUSE_SECONDS: Final = 5.0
"""Before credentials are tried that were refused, or whose connections broke, a moment ago."""


class Login:
    """The credentials, for kopf's login handler.

    kopf asks for them again when the API server does not know us (401), which is how a rotated token is taken up. By
    itself it would end the operator if the credentials are the same as before; here they are tried again after a
    moment, for as long as it takes.

    Args:
        watches: Told of every request.
        credentials: Those of our own client from a kubeconfig; None for the pod's service account.
    """

    def __init__(self, watches: Watches, credentials: Credentials | None) -> None:
        self._watches = watches
        self._credentials = credentials
        self._last: kopf.ConnectionInfo | str | None = None

    async def log_in(self, **arguments: Any) -> kopf.AiohttpSession | None:
        """Return a session, or None without credentials.

        Raises:
            Exception: Whatever kopf raises about a service account that it cannot read.
        """
        if self._credentials is not None:
            return await self._with(self._credentials)
        info = await asyncio.to_thread(functools.partial(_service_account, **arguments))
        if info is None:
            return None
        if info == self._last:
            await asyncio.sleep(PAUSE_SECONDS)
        self._last = info
        headers = {"User-Agent": USER_AGENT, **info.as_http_headers()}
        connector = aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context())
        session = _session(self._watches, connector=connector, headers=headers, trust_env=info.trust_env)
        return _for_kopf(session, info.server, info.default_namespace)

    async def _with(self, credentials: Credentials) -> kopf.AiohttpSession:
        if self._last is not None:
            # What they brought was refused.
            credentials.rejected()
        try:
            found = await credentials.authorization() or ""
        except NoCredentials:
            # Each request says so, and tries again.
            found = ""
        if found == self._last:
            await asyncio.sleep(PAUSE_SECONDS)
        self._last = found
        return open_session(credentials, self._watches)


def open_session(credentials: Credentials, watches: Watches) -> kopf.AiohttpSession:
    """Return a session with credentials of a kubeconfig that tells `watches` of every answer; kopf closes it."""

    async def identify(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        try:
            authorization = await credentials.authorization()
        except NoCredentials as error:
            # As an error that kopf tries again after.
            raise aiohttp.ClientConnectionError(str(error)) from error
        if authorization is not None:
            request.headers["Authorization"] = authorization
        if credentials.tls_server_name is not None:
            request.server_hostname = credentials.tls_server_name
        return await send(request)

    session = _session(
        watches,
        connector=aiohttp.TCPConnector(limit=0, ssl=credentials.tls),
        headers={"User-Agent": USER_AGENT},
        proxy=credentials.proxy,
        middlewares=(identify,),
    )
    return _for_kopf(session, credentials.server, credentials.namespace)


def _for_kopf(session: aiohttp.ClientSession, server: str, namespace: str | None) -> kopf.AiohttpSession:
    return kopf.AiohttpSession(server=server, default_namespace=namespace, aiohttp_session=session)


def _session(watches: Watches, **options: Any) -> aiohttp.ClientSession:
    """Return a session that tells `watches` of every answer."""

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
                await watches.answered(self.url, body)
            return body

    return aiohttp.ClientSession(response_class=Answer, trace_configs=[_trace(watches)], **options)


def _trace(watches: Watches) -> aiohttp.TraceConfig:
    async def start(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, request: aiohttp.TraceRequestStartParams
    ) -> None:
        watches.asked(request.url)

    async def end(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, answer: aiohttp.TraceRequestEndParams
    ) -> None:
        if "watch" in answer.url.query and answer.response.status < HTTPStatus.BAD_REQUEST:
            watches.opened(answer.url, answer.response)

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


def _service_account(**arguments: Any) -> kopf.ConnectionInfo | None:
    """Take kopf's credentials with the address that our own client has: its name for it takes a working cluster DNS.

    Otherwise a broken DNS, or a policy that keeps us from it, would leave a leader that watches nothing.
    """
    found = kopf.login_with_service_account(**arguments)
    return None if found is None else dataclasses.replace(found, server=in_cluster_url())
