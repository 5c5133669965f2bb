"""A TLS server that accepts requests and never answers."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING, Self

from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from types import TracebackType

    from testbed.certificates import BedAuthority


class SilentServer:
    """Completes the TLS handshake with every client, and then holds the connection without an answer.

    Args:
        authority: Issues its certificate.
    """

    def __init__(self, authority: BedAuthority) -> None:
        self._tls = authority.server_context(authority.server("silent-server"))
        self._listener = socket.create_server((LOOPBACK, 0))
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, name="silent-server", daemon=True)

    @property
    def address(self) -> str:
        """Its address as "host:port"."""
        return f"{LOOPBACK}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing the socket would leave accept() waiting; this wakes it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for connection in (self._listener, *self._held):
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._held.append(self._tls.wrap_socket(connection, server_side=True))
            except (OSError, ssl.SSLError):
                connection.close()
