"""The transport, based on httpx; no other file imports httpx."""

from __future__ import annotations

import asyncio
import os
import platform
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import httpx

from certwright.http.errors import (
    ConnectionFailed,
    InvalidProxy,
    MalformedResponse,
    ResponseTooLarge,
    TimedOut,
    TransportError,
    UnsafeUrl,
)
from certwright.http.host_names import without_final_dot
from certwright.http.message import Headers, Response
from certwright.http.network import NetworkBackend, refused
from certwright.http.proxy import environment_proxies, environment_proxy
from certwright.http.trust import ClientCertificate, ClientCertificatePem, Trust, tls_failure, untrusted_server
from certwright.http.url import UrlPolicy, host_of
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from certwright.http.addresses import AddressPolicy

USER_AGENT: Final = (
    f"certwright/{version('certwright')} python-httpx/{httpx.__version__} python/{platform.python_version()}"
)
"""The default `User-Agent` (RFC 8555 section 6.1)."""

# Raised before any part of the request was sent, so that any request may be repeated.
_NOTHING_SENT: Final = (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol)

_KEEPALIVE_SECONDS: Final = 30.0

# A server has one host, or a few: more are not cached, only looked up again.
_MAX_ROUTES: Final = 64


@dataclass(frozen=True)
class Timeouts:
    """How long one request may take, in seconds.

    Attributes:
        connect: To connect, including the TLS handshake.
        read: Between two parts of the response, and to write one part of the request.
        total: For everything from connecting to the last byte of the response. Waiting for one of the transport's
            `max_connections` comes before and does not count: each request ahead is bounded itself.
    """

    connect: float = 10.0
    read: float = 30.0
    total: float = 60.0


class _ExactUrl(httpx.URL):
    """A URL whose path and query are sent as written: httpx itself would resolve dots and change the quoting.

    httpx's extension `target` is no alternative: it would also replace the host that a proxy connects to.
    """

    def __init__(self, origin: httpx.URL, path: str) -> None:
        super().__init__(origin)
        self._exact = (path if path.startswith("/") else f"/{path}").encode("ascii")

    @property
    def raw_path(self) -> bytes:
        return self._exact


@dataclass(frozen=True)
class _Route:
    """How requests reach one host.

    Attributes:
        origin: Scheme, host and port.
        transport: The pool of connections.
        proxy: Host and port of the proxy on the way, or None.
    """

    origin: httpx.URL
    transport: httpx.AsyncHTTPTransport
    proxy: str | None = None


class HttpxTransport:
    """Sends requests over one long-lived pool of connections: create one for each trust configuration.

    It follows no redirects, requests no content coding and stores no cookies. Use it as an asynchronous context
    manager or call `aclose`.
    """

    def __init__(
        self,
        *,
        ca_bundle: str | None = None,
        verify: bool = True,
        timeout: Timeouts | None = None,
        proxy: str | None = None,
        client_certificate: ClientCertificate | ClientCertificatePem | None = None,
        user_agent: str = USER_AGENT,
        max_connections: int = 6,
        allow_insecure: bool = False,
        trust_env: bool = False,
        before_send: Callable[[], None] | None = None,
        http2: bool = False,
        addresses: AddressPolicy | None = None,
        proxy_addresses: AddressPolicy | None = None,
    ) -> None:
        """Load the trust anchors, unless a transport with equal trust already has, and open no connection yet.

        Args:
            ca_bundle: Certificates in PEM, trusted in place of the public CAs; or None.
            verify: False accepts any server certificate. For test benches.
            timeout: How long one request may take.
            proxy: URL of a proxy for all requests: http, https, or with the package socksio socks5.
            client_certificate: The certificate for servers that request one.
            user_agent: The value of `User-Agent`, which ACME servers require.
            max_connections: The maximum number of open connections and concurrent requests; others wait.
            allow_insecure: Also allow plain http. For test benches.
            http2: Use HTTP/2 with servers that offer it. It takes half again as
                much CPU for each request, and saves connections if many requests are concurrent.
            trust_env: Take proxies and trust anchors from the environment, from `HTTPS_PROXY` to `SSL_CERT_FILE`.
            before_send: Called right before the request is written to an open connection, and again before its body. An
                exception from it ends the request; for programs that may lose the right to send.
            addresses: Which addresses may be connected to, for programs to which others say where to connect. What
                counts is the address of the connection, not what a DNS said before. Not asked for a proxy's.
            proxy_addresses: The same for the given proxy, where others say which to use.

        Raises:
            InvalidTrustBundle: The bundle or the client certificate cannot be loaded.
            InvalidProxy: The given proxy, or one from the environment, cannot be used.
        """
        self._timeouts = timeout or Timeouts()
        self._urls = UrlPolicy(allow_http=allow_insecure)
        # httpx never has to wait for a connection itself; see below.
        patience = httpx.Timeout(self._timeouts.read, connect=self._timeouts.connect, pool=None)
        self._extensions: dict[str, object] = {"timeout": patience.as_dict()}
        self._addresses = addresses
        trust = Trust(ca_bundle, verify, trust_env, http2, client_certificate)
        context = trust.context(partial(httpx.create_ssl_context, trust_env=trust_env))
        # httpx checks all of its connections for every request that waits in its pool: with many waiting, that is
        # most of the work. Here they wait outside, at no cost.
        self._places = asyncio.Semaphore(max_connections)
        limits = httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=_KEEPALIVE_SECONDS,
        )
        # The transport of httpx without its client: redirects, cookies, authentication and decoding are not needed,
        # and were a third of the work for each request.
        self._absolute: set[str] = set()
        direct = NetworkBackend(self._absolute, before_send=before_send, addresses=addresses)
        proxied = NetworkBackend(self._absolute, before_send=before_send, addresses=proxy_addresses)
        self._open_direct = partial(_open, verify=context, http2=http2, limits=limits, backend=direct)
        self._open_proxied = partial(_open, verify=context, http2=http2, limits=limits, backend=proxied)
        self._proxy, self._proxy_addresses = proxy, proxy_addresses
        self._trust_env = trust_env
        proxies = [proxy] if proxy is not None else environment_proxies() if trust_env else []
        self._transports: dict[str | None, httpx.AsyncHTTPTransport] = {None: self._open_direct()}
        for url in proxies:
            self._transports[url] = self._through(url)
        self._routes: dict[str, _Route] = {}
        self._closed = False
        # No compression, so the cap on bytes read is the cap on what they would unpack to.
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int,
    ) -> Response:
        """Send one request and read the response; see `Transport.request`.

        Raises:
            UnsafeUrl: The URL must not be requested.
            ConnectionFailed: The connection could not be made, or it broke.
            TimedOut: The server did not answer in time.
            UntrustedServer: The server's certificate did not verify.
            AddressRefused: The host has an address that may not be connected to.
            ResponseTooLarge: The body is longer than `max_bytes`.
            Exception: Whatever `before_send` raises.
            MalformedResponse: The body is compressed, although that was not requested. The body of an error status is
                dropped instead.
        """
        self._urls.check(url, what="the URL of a request")
        scheme, _, rest = url.partition("://")
        host = rest[: len(urlsplit(url).netloc)]
        route = self._route(scheme.lower(), host)
        request = httpx.Request(
            method,
            route.origin,
            # As the URL was written: httpx would drop a default port.
            headers={"Host": without_final_dot(host), **self._headers, **headers},
            content=content,
            extensions=self._extensions,
        )
        request.url = _ExactUrl(route.origin, rest[len(host) :])
        try:
            # Waiting for a place is not the server's fault: its time starts with the request.
            async with self._places, asyncio.timeout(self._timeouts.total):
                return await self._send(request, route, url, max_bytes)
        except TimeoutError:
            raise TimedOut(
                f"{host_of(url)} did not finish its answer within {self._timeouts.total:g} s",
                host=host_of(url),
            ) from None
        except (httpx.HTTPError, ssl.SSLError) as error:
            # A server that refuses our certificate says so once it is asked something (TLS 1.3), which httpx lets pass.
            raise _translate(error, url, route.proxy) from error

    def _route(self, scheme: str, host: str) -> _Route:
        route = self._routes.get(f"{scheme}://{host}")
        if route is None:
            try:
                origin = httpx.URL(f"{scheme}://{without_final_dot(host)}")
            except httpx.InvalidURL:
                raise UnsafeUrl(f"Not a valid host: {printable(host, 200)!r}") from None
            proxy = self._proxy
            if proxy is None and self._trust_env:
                proxy = environment_proxy(scheme, host)
            if proxy is not None and proxy not in self._transports:
                self._transports[proxy] = self._through(proxy)
            _check_literal(host, self._addresses)
            if self._proxy is not None:
                _check_literal(host_of(self._proxy), self._proxy_addresses)
            route = _Route(origin, self._transports[proxy], None if proxy is None else host_of(proxy))
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
                self._absolute.clear()
            if without_final_dot(host) != host:
                self._absolute.add(origin.host)
            self._routes[f"{scheme}://{host}"] = route
        return route

    def _through(self, proxy: str) -> httpx.AsyncHTTPTransport:
        try:
            _ = urlsplit(proxy).port  # a ValueError if there is no such port, which would be found out late
            return self._open_proxied(proxy=proxy)
        except ImportError:
            raise InvalidProxy("A SOCKS proxy needs the package socksio: install it, or use another proxy") from None
        except (ValueError, OverflowError, httpx.InvalidURL):
            # Not quoted: it may hold a password.
            raise InvalidProxy("The proxy URL is invalid: write it as http://HOST:PORT") from None

    async def _send(self, request: httpx.Request, route: _Route, url: str, max_bytes: int) -> Response:
        if self._closed:
            # httpx would open a new connection, although all of them were closed on purpose.
            raise ConnectionFailed(
                f"The connections to {host_of(url)} were closed on our side", host=host_of(url), request_sent=False
            )
        response = await route.transport.handle_async_request(request)
        try:
            headers = Headers(
                (name.decode("ascii"), value.decode("utf-8", "replace")) for name, value in response.headers.raw
            )
            body = await _read(response, url, max_bytes)
        finally:
            await response.aclose()
        coding = headers.get("Content-Encoding") or "identity"
        if body and coding.lower() != "identity":
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                return Response(response.status_code, headers, b"", url)
            raise MalformedResponse(
                f"{host_of(url)} sent a body with the content coding {printable(coding, 40)}, which was not requested",
                url=url,
                status=response.status_code,
            )
        return Response(response.status_code, headers, body, url)

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        for transport in self._transports.values():
            await transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _check_literal(host: str, addresses: AddressPolicy | None) -> None:
    """Refuse a URL with an address in it before anything is connected to, a proxy included."""
    if addresses is None:
        return
    with suppress(ValueError):
        if objection := addresses.objection(urlsplit(f"//{host}").hostname or ""):
            raise refused(host, objection)


def _open(
    *, verify: ssl.SSLContext, http2: bool, limits: httpx.Limits, backend: NetworkBackend, proxy: str | None = None
) -> httpx.AsyncHTTPTransport:
    pool = httpx.AsyncHTTPTransport(verify=verify, http2=http2, limits=limits, proxy=proxy)
    pool._pool._network_backend = backend  # noqa: SLF001 - httpcore has an argument for it, httpx none
    return pool


async def _read(response: httpx.Response, url: str, max_bytes: int) -> bytes:
    body = bytearray()
    # The status and headers of an error are enough; a page that is too long or incomplete must not hide them.
    is_error = response.status_code >= HTTPStatus.BAD_REQUEST
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - of an asynchronous transport
    try:
        async for chunk in response.stream:
            body += chunk
            if len(body) > max_bytes:
                if is_error:
                    return bytes(body[:max_bytes])
                raise ResponseTooLarge(
                    f"{host_of(url)} sent more than {max_bytes} bytes, more than any valid answer needs",
                    host=host_of(url),
                )
    except (httpx.HTTPError, ssl.SSLError):
        if not is_error:
            raise
    return bytes(body)


def _translate(error: httpx.HTTPError | ssl.SSLError, url: str, proxy: str | None) -> TransportError:
    host = host_of(url)
    way = "" if proxy is None else f" through the proxy {proxy}"
    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return untrusted_server(cause, host)
    if isinstance(error, httpx.TimeoutException):
        doing = "accept a connection" if isinstance(error, httpx.ConnectTimeout) else "answer"
        return TimedOut(f"{host}{way} did not {doing} in time", host=host)
    sent = not isinstance(error, _NOTHING_SENT)
    what = "The connection broke while talking to" if sent else "Cannot connect to"
    return ConnectionFailed(f"{what} {host}{way}: {_reason(causes)}", host=host, request_sent=sent)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # Several addresses, each with its own failure: report the first.
        error = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or error.__context__


def _reason(causes: tuple[BaseException, ...]) -> str:
    if isinstance(causes[0], httpx.ProxyError):
        return _refusal_of_proxy(str(causes[0]))
    if isinstance(causes[0], httpx.RemoteProtocolError):
        # Its text may quote the server, so it is only used to distinguish the two cases.
        gone = any(word in str(causes[0]) for word in ("disconnected", "closed", "Terminated"))
        return "it closed the connection before its answer was complete" if gone else "its answer is not valid HTTP"
    # The system's message says more than those of the layers above: "Connection refused".
    for cause in reversed(causes):
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.errno is not None:
            return os.strerror(cause.errno) if cause.errno > 0 else cause.strerror or "unknown host"
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            return tls_failure(cause)
    return printable(str(causes[0]), 200) or type(causes[0]).__name__


def _refusal_of_proxy(text: str) -> str:
    """Say which status a proxy answered. Its own words are not quoted: it may repeat the password."""
    code = text[:3]
    if code == str(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value):
        return "the proxy wants another user name or password (407)"
    if code == str(HTTPStatus.FORBIDDEN.value):
        return "the proxy does not allow connections to this host (403)"
    if code.isdecimal() and code.isascii() and code in {str(status.value) for status in HTTPStatus}:
        return f"the proxy answered {code} ({HTTPStatus(int(code)).phrase})"
    return "the proxy refused"
