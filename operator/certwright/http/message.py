"""HTTP headers, responses and the transport protocol."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Headers:
    """Header fields of a response: names in any case, several values under one name, order kept."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        self._fields = tuple((name.lower(), value) for name, value in pairs)

    def get(self, name: str) -> str | None:
        """Return the first value under the name."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return all values under the name, which is how several `Link` fields arrive."""
        wanted = name.lower()
        return tuple(value for name, value in self._fields if name == wanted)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __repr__(self) -> str:
        return f"Headers({', '.join(sorted({name for name, _ in self._fields}))})"


@dataclass(frozen=True)
class Response:
    """One response of a server.

    Attributes:
        status: The HTTP status code.
        headers: The header fields.
        body: The content, at most as long as the request allowed.
        url: The URL of the request.
    """

    status: int
    headers: Headers = field(default_factory=Headers)
    # Not in repr: the content must not reach a log by accident.
    body: bytes = field(default=b"", repr=False)
    url: str = ""

    @property
    def media_type(self) -> str:
        """The content type in lower case without its parameters, or an empty string."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()


class Transport(Protocol):
    """Sends HTTP requests.

    `HttpxTransport` is the real one; tests and other HTTP stacks implement their own.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int,
    ) -> Response:
        """Send one request and read the response.

        Send it to exactly this URL, byte for byte: an ACME server compares it with the signed one (RFC 8555 section
        6.4). Return redirects instead of following them. Return every status; none is an error.

        Args:
            method: `GET`, `HEAD` or `POST`, which is all that ACME needs; `PUT`, `PATCH` or `DELETE` as well, for the
                APIs of DNS providers.
            url: An absolute URL.
            headers: Header fields to send; the transport adds `User-Agent`.
            content: The body, if any.
            max_bytes: The maximum length of the body. The longer or incomplete body of an error status is cut, because
                the status still counts; any other response is then an error.

        Raises:
            ConnectionFailed: The connection could not be made, or it broke.
            TimedOut: The server did not answer in time.
            UntrustedServer: The server's certificate did not verify.
            ResponseTooLarge: The body is longer than `max_bytes`.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections. The transport cannot be used afterwards."""
        ...
