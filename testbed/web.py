"""Small HTTP requests to the parts: probes, metrics, Pebble's management interface."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

MAX_BYTES = 64 << 20
PROBE_SECONDS = 5.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read whole.

    Attributes:
        status: the status code.
        body: at most MAX_BYTES.
    """

    status: int
    body: bytes


def fetch(
    url: str,
    *,
    tls: ssl.SSLContext | None = None,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 30.0,
) -> Answer:
    """Make one request on a connection of its own.

    Raises:
        OSError: nobody answers, or not in time; includes TLS failures.
        http.client.HTTPException: what came back is not HTTP.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=timeout)
    )
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, {"User-Agent": "testbed", **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, response.read(MAX_BYTES))
    finally:
        connection.close()


def answers(url: str, *, tls: ssl.SSLContext | None = None, status: int = 200) -> bool:
    """Tell whether a GET of `url` is answered with `status`, within five seconds."""
    try:
        return fetch(url, tls=tls, timeout=PROBE_SECONDS).status == status
    except (OSError, http.client.HTTPException):
        return False
