"""A web server that serves nothing but key authorizations. Standard library only: it runs in solver pods too.

It answers GET and HEAD of ``/.well-known/acme-challenge/<token>`` for the hosts it was told of, each host with its own
tokens, and 404 to anything else. What a client may send is bounded in size, time and number.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, TypeAlias

from certwright.well_known import WELL_KNOWN_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    LookUp: TypeAlias = Callable[[str, str], str | None]

HEALTH: Final = "/healthz"
MAX_REQUEST_BYTES: Final = 8 * 1024
MAX_CONNECTIONS: Final = 128
REQUEST_SECONDS: Final = 5.0
ABSOLUTE: Final = "http://"
REQUEST_LINE_WORDS: Final = 3


class Responder:
    """Serves key authorizations.

    Args:
        look_up: Returns the key authorization for a host and a token, or None; called for each request.
        on_answer: Told of every request: the host and the status that was answered.
    """

    def __init__(self, look_up: LookUp, *, on_answer: Callable[[str, int], None] | None = None) -> None:
        self._look_up = look_up
        self._on_answer = on_answer or (lambda _host, _status: None)
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def start(self, host: str | None, port: int) -> int:
        """Listen, and return the port.

        Args:
            host: The address; None for all, IPv4 and IPv6.
            port: The port; 0 picks a free one.

        Raises:
            OSError: The address is taken or not ours.
        """
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_REQUEST_BYTES, backlog=256)
        address: tuple[str, int] = self._server.sockets[0].getsockname()
        return address[1]

    async def stop(self) -> None:
        """Stop listening, and close all connections: an answer takes no time, so those left are only slow clients."""
        if self._server is not None:
            self._server.close()
            leaving = list(self._open)
            for writer in leaving:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for writer in leaving), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = None
        if len(self._open) > MAX_CONNECTIONS:
            # The longest silent connection goes: if new ones were refused, silent clients could keep a CA out.
            eldest = next(iter(self._open))
            del self._open[eldest]
            eldest.transport.abort()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                self._on_answer(*await exchange(reader, writer, self._look_up))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            # A client that is slow, gone or silent harms only itself.
            return
        finally:
            self._open.pop(writer, None)
            writer.close()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look_up: LookUp) -> tuple[str, int]:
    """Read one request and answer it.

    Args:
        reader: Whose limit bounds the size of a request.
        writer: Closed by the caller.
        look_up: Returns the key authorization for a host and a token, or None.

    Returns:
        The host that was asked for, as the client wrote it, and the status.

    Raises:
        OSError, asyncio.IncompleteReadError: The client went away.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        head = b""
    method, path, host = _parse(head)
    status, body = _respond(look_up, method, path, host)
    headers = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    writer.write(headers.encode("ascii") + (b"" if method == "HEAD" else body))
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    return host, int(status[:3])


def _respond(look_up: LookUp, method: str, path: str, host: str) -> tuple[str, bytes]:
    if not method:
        return "400 Bad Request", b"not an HTTP request of sane size\n"
    if method not in {"GET", "HEAD"}:
        return "405 Method Not Allowed", b"only GET and HEAD\n"
    if path == HEALTH:
        return "200 OK", b"ok\n"
    found = look_up(host, path.removeprefix(WELL_KNOWN_PATH)) if path.startswith(WELL_KNOWN_PATH) else None
    if found is None:
        return "404 Not Found", b"no challenge with this token is pending for this host\n"
    return "200 OK", found.encode("ascii")


def _parse(head: bytes) -> tuple[str, str, str]:
    """Return method, path without query, and host as `_bare` has it; three empty texts if it is no request."""
    # Latin-1, as proxies add headers of any bytes: where a client is, in its own language.
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != REQUEST_LINE_WORDS or not words[2].startswith("HTTP/1."):
        return "", "", ""
    method, target, _ = words
    host = ""
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "host":
            host = value.strip()
    if target.lower().startswith(ABSOLUTE):
        # RFC 9112 section 3.2.2: a server takes this form too, and the host in it is the one that counts.
        host, slash, rest = target[len(ABSOLUTE) :].partition("/")
        target = slash + rest
    return method, target.partition("?")[0], _bare(host)


def _bare(host: str) -> str:
    """Return a host in lower case, without port and without the dot that may end a name."""
    if host.startswith("["):
        return host.partition("]")[0].removeprefix("[").lower()
    return host.partition(":")[0].removesuffix(".").lower()
