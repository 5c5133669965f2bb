"""A server that listens only while there is something to answer."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Final

from certwright.challenges.errors import CannotListen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MAX_CONNECTIONS: Final = 64
"""The maximum number of connections; a CA validates from a handful of places, with one request each."""
CONNECTION_SECONDS: Final = 10.0
"""The time limit of a connection, in seconds."""


class Listener:
    """Accepts connections while it has at least one user, and closes after the last one is done."""

    def __init__(
        self,
        handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        *,
        host: str | None,
        port: int,
    ) -> None:
        self._handle = handle
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._users = 0
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._changing = asyncio.Lock()

    @property
    def port(self) -> int:
        """The port that it listens on; while it does not listen, the configured one."""
        if self._server is not None and self._server.sockets:
            port: int = self._server.sockets[0].getsockname()[1]
            return port
        return self._port

    async def hold(self, users: int) -> None:
        """Listen on behalf of this many users.

        Raises:
            CannotListen: The port is in use or requires privileges.
        """
        async with self._changing:
            if self._server is None:
                self._server = await self._listen()
            self._users += users

    async def let_go(self, users: int) -> None:
        """Remove this many users, and stop listening if they were the last."""
        async with self._changing:
            self._users = max(self._users - users, 0)
            if self._users == 0 and self._server is not None:
                server, self._server = self._server, None
                server.close()

    async def _listen(self) -> asyncio.Server:
        try:
            return await asyncio.start_server(self._connected, self._host, self._port, limit=8192)
        except OSError as error:
            where = f"{self._host or 'all addresses'}, port {self._port}"
            reason = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "no such address"
            hint = ""
            if error.errno == errno.EACCES:
                hint = "; ports below 1024 require privileges, or forward the port to a higher one and listen there"
            elif error.errno == errno.EADDRINUSE:
                hint = "; stop the server that uses the port, or let that server respond (webroot)"
            raise CannotListen(f"Cannot listen on {where}: {reason}{hint}") from error

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self._open[writer] = None
            if len(self._open) > MAX_CONNECTIONS:
                # The longest silent one goes: if new ones were refused, silent clients could keep the CA out.
                eldest = next(iter(self._open))
                del self._open[eldest]
                eldest.transport.abort()
            async with asyncio.timeout(CONNECTION_SECONDS):
                await self._handle(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            # The client is gone, too slow, or speaks another protocol; there is nothing to do about it here.
            pass
        finally:
            self._open.pop(writer, None)
            writer.close()
