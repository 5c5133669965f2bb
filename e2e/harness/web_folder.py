"""A web server that serves a folder, like one whose root `webroot` solvers write to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
        """Log nothing: requests are up to the test."""


@contextmanager
def web_folder(folder: Path, port: int) -> Iterator[None]:
    """Serve a folder by HTTP on loopback while the block runs."""
    with ThreadingHTTPServer((LOOPBACK, port), partial(_Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
