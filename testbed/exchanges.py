"""Requests and answers that pass through the proxy, and what a hook may do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import threading

    from multidict import CIMultiDict

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Request:
    """A request as it came in.

    Attributes:
        method: "GET", "POST", ...
        path: with its escapes, without the query.
        query: what follows the question mark.
        headers: all of them.
        body: the whole body.
    """

    method: str
    path: str
    query: str
    headers: CIMultiDict[str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_write(self) -> bool:
        """Whether its method requests a change; with an ACME server nearly all do."""
        return self.method in WRITES

    @property
    def is_watch(self) -> bool:
        """Whether the answer is an endless stream."""
        return "watch=" in self.query or "follow=" in self.query


@dataclass(frozen=True)
class Forward:
    """Let it pass."""


@dataclass(frozen=True)
class Drop:
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Respond:
    """Send this answer instead.

    Attributes:
        status: the status code.
        body: the body.
        headers: of the answer.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """Keep the connection open without an answer until the client goes away or the proxy stops."""


@dataclass(frozen=True)
class Hold:
    """Pass the answer on once something has happened; as what is done with a request, the same as Hang.

    Attributes:
        until: What.
    """

    until: threading.Event


@dataclass(frozen=True)
class Stream:
    """Answer with a body that is generated while it is sent: slow, huge, truncated or endless.

    Attributes:
        status: the status code.
        headers: of the answer.
        pieces: generates the body, for each answer again.
        pause: seconds before each piece.
        length: what Content-Length announces; None sends the body in chunks.
        ending: what comes after the last piece: a proper end, a reset, or nothing.
    """

    status: int
    headers: Mapping[str, str]
    pieces: Callable[[], Iterable[bytes]]
    pause: float = 0.0
    length: int | None = None
    ending: Literal["end", "reset", "hang"] = "end"


@dataclass(frozen=True)
class Raw:
    """Write bytes to the connection as they are, HTTP or not, and close it.

    Attributes:
        pieces: generates them, for each answer again.
        pause: seconds before each piece.
    """

    pieces: Callable[[], Iterable[bytes]]
    pause: float = 0.0


@dataclass(frozen=True)
class Response:
    """The answer of the server behind the proxy.

    Attributes:
        status: the status code.
        headers: all of them.
        body: the whole body; empty for a watch, which is passed on as it comes.
    """

    status: int
    headers: CIMultiDict[str]
    body: bytes


Interference = Drop | Respond | Hang | Hold | Stream | Raw
Action = Forward | Interference
OnRequest = Callable[[Request], Action]
OnResponse = Callable[[Request, Response], Action]
