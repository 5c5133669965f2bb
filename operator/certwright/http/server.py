"""A server for one small request per connection, which no client can block. Standard library only."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from certwright.names import normal_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MAX_HEAD_BYTES: Final = 8 * 1024
"""Of a request line and its headers."""
REQUEST_LINE_WORDS: Final = 3
ABSOLUTE: Final = "http://"


class Bounds(NamedTuple):
    """What one server bears.

    Attributes:
        connections: Open at a time.
        seconds: For one connection, from its first byte to its last.
    """

    connections: int
    seconds: float


class Request(NamedTuple):
    """The head of a request; three empty texts if it is none.

    Attributes:
        method: As the client wrote it.
        path: Without the query.
        host: In lower case, without port and without the dot that may end a name.
    """

    method: str
    path: str
    host: str


class BoundedServer:
    """Accepts connections, and ends those that are too slow or too many.

    Args:
        answer: Reads one request and answers it. It may raise what reading and writing raise.
        bounds: Asked for every connection.
    """

    def __init__(
        self,
        answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        bounds: Callable[[], Bounds],
    ) -> None:
        self._answer = answer
        self._bounds = bounds
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, None] = {}

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._open)

    async def start(self, host: str | None, port: int) -> int:
        """Listen, and return the port.

        Args:
            host: The address; None for all, IPv4 and IPv6.
            port: The port; 0 picks a free one.

        Raises:
            OSError: The address is taken or not ours.
        """
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_HEAD_BYTES, backlog=256)
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
        bounds = self._bounds()
        self._open[writer] = None
        if len(self._open) > bounds.connections:
            # The longest silent connection goes: if new ones were refused, silent clients could keep others out.
            eldest = next(iter(self._open))
            del self._open[eldest]
            eldest.transport.abort()
        try:
            async with asyncio.timeout(bounds.seconds):
                await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            # A client that is slow, gone or silent harms only itself.
            return
        finally:
            self._open.pop(writer, None)
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read the head of a request.

    Raises:
        OSError, asyncio.IncompleteReadError: The client went away.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        head = b""
    return _parse(head)


async def write_answer(
    writer: asyncio.StreamWriter, method: str, status: str, body: bytes, *, content_type: str = "text/plain"
) -> None:
    """Write one answer, without its body if the method is HEAD; the caller closes the connection.

    Raises:
        OSError: The client went away.
    """
    headers = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    writer.write(headers.encode("ascii") + (b"" if method == "HEAD" else body))
    await writer.drain()


def _parse(head: bytes) -> Request:
    # Latin-1, as proxies add headers of any bytes: where a client is, in its own language.
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != REQUEST_LINE_WORDS or not words[2].startswith("HTTP/1."):
        return Request("", "", "")
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
    return Request(method, target.partition("?")[0], _bare(host))


def _bare(host: str) -> str:
    if host.startswith("["):
        address = host.partition("]")[0].removeprefix("[").lower()
        with contextlib.suppress(ValueError):
            return normal_address(address)
        return address
    return host.partition(":")[0].removesuffix(".").lower()
