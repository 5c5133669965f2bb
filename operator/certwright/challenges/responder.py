"""A web server that serves only key authorizations. Standard library only, because solver pods run it as well.

It answers GET and HEAD requests for ``/.well-known/acme-challenge/<token>``, with separate tokens for each host.
``/`` and ``/healthz`` return 200 for every host: load balancers use them for health checks, and send no requests to a
backend that answers otherwise. Anything else returns 404. Requests are bounded in size, time and number.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, TypeAlias

from certwright.http.server import BoundedServer, Bounds, read_request, write_answer
from certwright.well_known import WELL_KNOWN_PATH

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection

    LookUp: TypeAlias = Callable[[str, str], str | None]

HEALTH: Final = "/healthz"
HEALTH_PATHS: Final = frozenset({"/", HEALTH})
"""`/` is the default health check path of load balancers, including those of Google Cloud and AWS."""
METHODS: Final = frozenset({"GET", "HEAD"})
MAX_CONNECTIONS: Final = 128
REQUEST_SECONDS: Final = 5.0


class Responder:
    """Serves key authorizations.

    Args:
        look_up: Returns the key authorization for a host and a token, or None; called for each request.
        on_answer: Called after every request with the host and the status.
    """

    def __init__(self, look_up: LookUp, *, on_answer: Callable[[str, int], None] | None = None) -> None:
        self._look_up = look_up
        self._on_answer = on_answer or (lambda _host, _status: None)
        self._server = BoundedServer(self._answer, lambda: Bounds(MAX_CONNECTIONS, REQUEST_SECONDS))

    async def start(self, host: str | None, port: int) -> int:
        """Listen, and return the port.

        Args:
            host: The address; None for all, IPv4 and IPv6.
            port: The port; 0 picks a free one.

        Raises:
            OSError: The address is in use or not available on this host.
        """
        return await self._server.start(host, port)

    async def stop(self) -> None:
        """Stop listening, and close all connections."""
        await self._server.stop()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._on_answer(*await exchange(reader, writer, self._look_up, health_paths=HEALTH_PATHS))


async def exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    look_up: LookUp,
    *,
    health_paths: Collection[str] = (HEALTH,),
) -> tuple[str, int]:
    """Read one request and answer it.

    Args:
        reader: Its limit bounds the size of a request.
        writer: Closed by the caller.
        look_up: Returns the key authorization for a host and a token, or None.
        health_paths: The paths that return 200 for every host.

    Returns:
        The requested host, as the client wrote it, and the status.

    Raises:
        OSError, asyncio.IncompleteReadError: The client went away.
    """
    method, path, host = await read_request(reader)
    if path in health_paths and method in METHODS:
        status, body = "200 OK", b"ok\n"
    else:
        status, body = _respond(look_up, method, path, host)
    with contextlib.suppress(ConnectionError):
        await write_answer(writer, method, status, body)
    return host, int(status[:3])


def _respond(look_up: LookUp, method: str, path: str, host: str) -> tuple[str, bytes]:
    if not method:
        return "400 Bad Request", b"not an HTTP request of sane size\n"
    if method not in METHODS:
        return "405 Method Not Allowed", b"only GET and HEAD\n"
    found = look_up(host, path.removeprefix(WELL_KNOWN_PATH)) if path.startswith(WELL_KNOWN_PATH) else None
    if found is None:
        return "404 Not Found", b"no challenge with this token is pending for this host\n"
    return "200 OK", found.encode("ascii")
