"""How connections are opened, and how the pool looks whether an idle one is still open."""

# ruff: noqa: ASYNC109, D102 - the signatures, and what they mean, are httpcore's

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

import httpcore

from certwright.http.host_names import is_missing, lookup_names

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Container, Iterable


class NetworkBackend(httpcore.AsyncNetworkBackend):
    """Opens connections as httpcore does, but to hosts looked up as `host_names` says; its streams know their socket.

    Args:
        absolute: Hosts that were written with a final dot, which they have lost since.

    httpcore looks for every request whether each idle connection is still open, and anyio collects everything there is
    to know of a connection each time. That was a twentieth of an issuance's CPU time.
    """

    def __init__(self, absolute: Container[str] = ()) -> None:
        self._absolute = absolute
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
        for name in names[:-1]:
            try:
                return await self._connect(name, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                if not is_missing(error):
                    raise
        return await self._connect(names[-1], port, timeout, local_address, socket_options)

    async def _connect(
        self,
        host: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.get_extra_info("socket")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return _is_readable(self._socket) if info == "is_readable" else self._stream.get_extra_info(info)


def _is_readable(connection: socket.socket) -> bool:
    """Whether there is something to read: of an idle connection that is its end, as nothing was asked for."""
    descriptor = connection.fileno()
    if descriptor < 0:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
