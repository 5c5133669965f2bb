"""How connections are opened and written to, and how the pool checks whether an idle one is still open."""

# ruff: noqa: ASYNC109, D102 - the signatures, and what they mean, are httpcore's

from __future__ import annotations

import select
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpcore

from certwright.http.errors import AddressRefused
from certwright.http.host_names import is_missing, lookup_names, resolve
from certwright.http.url import MAX_SHOWN_HOST
from certwright.text import printable

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Container, Iterable

    from certwright.http.addresses import AddressPolicy


class NetworkBackend(httpcore.AsyncNetworkBackend):
    """Opens connections as httpcore does, but to hosts looked up as `host_names` says; its streams know their socket.

    Args:
        absolute: Hosts that were written with a final dot, which they have lost since.
        before_send: Called right before bytes of a request are written.
        addresses: Which addresses may be connected to; None for all.

    httpcore looks for every request whether each idle connection is still open, and anyio collects everything there is
    to know of a connection each time. That was a twentieth of an issuance's CPU time.
    """

    def __init__(
        self,
        absolute: Container[str] = (),
        *,
        before_send: Callable[[], None] | None = None,
        addresses: AddressPolicy | None = None,
    ) -> None:
        self._absolute = absolute
        self._before_send = before_send
        self._addresses = addresses
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        names = (f"{host}.",) if host in self._absolute else lookup_names(host)
        for name in names:
            try:
                stream = await self._backend.connect_tcp(name, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                if name != names[-1] and is_missing(error):
                    continue
                # Which ports are open at such an address, and which are not, is not to be told from the message.
                await self._check_resolved(names[-1], host)
                raise
            break
        await self._check_connected(stream, host)
        return _Stream(stream, self._before_send)

    async def _check_connected(self, stream: httpcore.AsyncNetworkStream, host: str) -> None:
        if self._addresses is None:
            return
        if objection := self._addresses.objection(str(stream.get_extra_info("server_addr")[0])):
            await stream.aclose()
            raise refused(host, objection)

    async def _check_resolved(self, name: str, host: str) -> None:
        if self._addresses is None:
            return
        with suppress(OSError, UnicodeError):
            found = await resolve(name, None)
            for address in {str(sockaddr[0]) for *_, sockaddr in found}:
                if objection := self._addresses.objection(address):
                    raise refused(host, objection)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream, before_send: Callable[[], None] | None) -> None:
        self._stream = stream
        self._before_send = before_send
        self._socket: socket.socket = stream.get_extra_info("socket")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer and self._before_send is not None:
            self._before_send()
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _Stream(stream, self._before_send)

    def get_extra_info(self, info: str) -> Any:
        return _is_readable(self._socket) if info == "is_readable" else self._stream.get_extra_info(info)


def refused(host: str, objection: str) -> AddressRefused:
    """Return the error for a host that leads to an address which may not be connected to."""
    shown = printable(host, MAX_SHOWN_HOST)
    return AddressRefused(f"{shown} leads to {objection}, to which no request is sent from here", host=shown)


def _is_readable(connection: socket.socket) -> bool:
    """Whether there is something to read: of an idle connection that is its end, as nothing was asked for."""
    descriptor = connection.fileno()
    if descriptor < 0:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
