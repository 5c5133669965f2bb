"""What every double of a provider's API can do: a strict server in memory, spoken to as a transport."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from certwright.dns.provider import ProviderContext
from certwright.http.errors import ResponseTooLarge
from certwright.http.message import Headers, Response
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.dns import Provider, Zone

SECRET = "s3cr3t-of-the-test"
"""What no message may show."""


class Double(ABC):
    """A provider's API. What it is sent and the real one would not accept fails the test.

    Attributes:
        answers: Answers to give before any other, each once: `(status, header fields)`.
        denied: Whether the credential has no rights.
        sent: How often each method was sent, and of `write` how many requests changed something.
        before_write: Called once before the next change is carried out, as what somebody else does meanwhile.
        held: Names of zones whose requests are not answered until the event is set.
        capitals: Whether names are answered in capitals, which are the same names (RFC 4343).
        too_long_at: To which request the answer is longer than what is read of one, counted from 1.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.denied = False
        self.sent: Counter[str] = Counter()
        self.before_write: Callable[[], None] | None = None
        self.held: dict[str, asyncio.Event] = {}
        self.now = 1000.0
        self.fail_at: int | None = None
        self.capitals = False
        self.too_long_at = 0

    # What the suite asks of each.

    @abstractmethod
    def provider(self) -> Provider:
        """Return a new provider with the credential that the double accepts."""

    @abstractmethod
    def add_zone(self, name: str, *, private: bool = False) -> None:
        """Create a zone; a private one is not in the public DNS."""

    @abstractmethod
    def put(self, name: str, value: str) -> None:
        """Create a value, as somebody else does."""

    @abstractmethod
    def drop(self, name: str, value: str) -> None:
        """Remove a value, as somebody else does."""

    @abstractmethod
    def values(self, name: str, zone: str | None = None) -> list[str]:
        """Return the values at a name, sorted: of the zone with the longest name, or of the one given."""

    @abstractmethod
    def ttl(self, name: str) -> int:
        """Return the seconds for which resolvers may cache what stands at a name."""

    @abstractmethod
    def answer(self, method: str, path: str, query: dict[str, str], content: bytes | None) -> Response:
        """Answer a request that was let in."""

    @abstractmethod
    def check_credential(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> bool:
        """Return whether the credential is right."""

    @abstractmethod
    def denial(self) -> Response:
        """Return the answer to a credential without rights."""

    @abstractmethod
    def zone_of(self, path: str) -> str:
        """Return the name of the zone that a path is about, or an empty string."""

    def is_login(self, url: str) -> bool:
        """Return whether a request is one for a token, which a credential without rights is given as well."""
        del url
        return False

    # What they share.

    def context(self) -> ProviderContext:
        return ProviderContext(_no_look_up, lambda: self, monotonic=lambda: self.now, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int,
    ) -> Response:
        parts = urlsplit(url)
        assert parts.scheme == "https", url
        self.sent[method] += 1
        self.sent["all"] += 1
        await asyncio.sleep(0)
        if (held := self.held.get(self.zone_of(parts.path))) is not None:
            await held.wait()
        if self.fail_at is not None and self.sent["all"] >= self.fail_at:
            self.fail_at = None
            return Response(502, body=b"<html>", url=url)
        if self.sent["all"] == self.too_long_at:
            raise ResponseTooLarge(f"{host_of(url)} sent more than {max_bytes} bytes", host=host_of(url))
        if self.answers:
            status, fields = self.answers.pop(0)
            return Response(status, Headers(fields), SECRET.encode(), url)
        if not self.check_credential(method, url, headers, content) or (self.denied and not self.is_login(url)):
            found = self.denial()
        else:
            query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
            assert len(dict(query)) == len(query), f"a parameter stands twice: {url}"
            found = self.answer(method, parts.path, dict(query), content)
        assert len(found.body) <= max_bytes, "a page is longer than what is read of it"
        return Response(found.status, found.headers, shouted(found.body) if self.capitals else found.body, url)

    def written(self) -> None:
        """Call it before a change is carried out."""
        self.sent["write"] += 1
        if self.before_write is not None:
            act, self.before_write = self.before_write, None
            act()

    async def aclose(self) -> None:  # noqa: B027 - there is nothing to close
        """Do nothing."""


def shouted(body: bytes) -> bytes:
    """Return an answer with all names of the suite in capitals, but for IDs: an API may have any."""
    return _NAMES.sub(lambda found: found[0] if found[1] else found[0].upper(), body)


_NAMES: Final = re.compile(rb'("id":\s*"[^"]*")|_acme-challenge|example\.com')


async def _no_look_up(name: str) -> Zone:
    raise AssertionError(f"{name}: the provider knows its own zones")
