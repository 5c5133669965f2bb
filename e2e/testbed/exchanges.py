"""What passes through the proxy, and what may be done to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        """Whether its method asks for a change; at an ACME server nearly all do."""
        return self.method in WRITES

    @property
    def is_watch(self) -> bool:
        """Whether the answer is a stream without an end."""
        return "watch=" in self.query or "follow=" in self.query


@dataclass(frozen=True)
class Forward:
    """Let it pass."""


@dataclass(frozen=True)
class Drop:
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Hang:
    """Neither pass it on nor answer, until the client gives up."""


@dataclass(frozen=True)
class Respond:
    """Answer this instead.

    Attributes:
        status: the status code.
        body: the body.
        headers: of the answer.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Response:
    """What the server behind answered.

    Attributes:
        status: the status code.
        headers: all of them.
        body: the whole body; empty for a watch, which is passed on as it comes.
    """

    status: int
    headers: CIMultiDict[str]
    body: bytes


Action = Forward | Drop | Hang | Respond
OnRequest = Callable[[Request], Action]
OnResponse = Callable[[Request, Response], Action]
