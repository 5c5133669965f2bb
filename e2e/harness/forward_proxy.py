"""An HTTP proxy with a password, as companies have on the way out: it tunnels to wherever it is asked (CONNECT)."""

from __future__ import annotations

import base64
import select
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from types import TracebackType

CONNECT_SECONDS = 10.0
CHUNK = 65536


class ForwardProxy:
    """Tunnels for those who know its password.

    Args:
        user: The user name.
        password: The password.

    Attributes:
        tunnels: Where it was asked to go, "host:port".
        refused: How often it was asked without the password.
    """

    def __init__(self, user: str, password: str) -> None:
        self._expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.tunnels: list[str] = []
        self.refused = 0
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="forward-proxy", daemon=True)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        # Not server_close() alone, which waits for the tunnels: idle connections stay open for long.
        self._server.socket.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                if self.headers.get("Proxy-Authorization") != proxy._expected:
                    proxy.refused += 1
                    self.send_error(407)
                    return
                proxy.tunnels.append(self.path)
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port)), CONNECT_SECONDS) as onward:
                    self.send_response(200, "Connection established")
                    self.end_headers()
                    with suppress(OSError):
                        _pipe(self.connection, onward)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        return Handler


def _pipe(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    ends = {one: other, other: one}
    while True:
        for end in select.select(list(ends), [], [])[0]:
            data = end.recv(CHUNK)
            if not data:
                return
            ends[end].sendall(data)
