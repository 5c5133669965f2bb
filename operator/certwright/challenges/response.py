"""What the CA is to find: a TXT record, or a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from certwright.dns import TxtRecord
from certwright.http01.responder import PATH


@dataclass(frozen=True, order=True)
class HttpResource:
    """A key authorization at the place where http-01 looks for it (RFC 8555 section 8.3).

    Attributes:
        host: The DNS name, lower-case.
        token: Of the challenge.
        key_authorization: The file's content (RFC 8555 section 8.1); no secret.
    """

    host: str
    token: str
    key_authorization: str

    @property
    def path(self) -> str:
        """The path that the CA asks for."""
        return f"{PATH}{self.token}"

    @property
    def url(self) -> str:
        """The URL that the CA asks for."""
        return f"http://{self.host}{self.path}"


Proof = TxtRecord | HttpResource


class Sighting(Protocol):
    """What was seen of one proof."""

    @property
    def complete(self) -> bool:
        """Whether the CA can be expected to see it."""
        ...

    @property
    def cause(self) -> str:
        """What keeps it from being seen, in words that are the same as long as it is the same; or an empty text."""
        ...

    def describe(self) -> str:
        """Say for people what was seen, where."""
        ...
