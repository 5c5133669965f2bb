"""Which URLs may be asked. A server names all of them but the first, so all of them are checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import urlsplit

from certwright.http.errors import UnsafeUrl
from certwright.text import printable

MAX_URL: Final = 2048
"""Longer URLs are refused: they would be signed, logged and kept in a status."""

_VISIBLE_ASCII = re.compile(r"[!-~]+")
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True)
class UrlPolicy:
    """Decides whether a URL may be asked.

    Attributes:
        allow_http: Also accept plain http. RFC 8555 section 6.1 wants https; this is for CAs on a test bench.
    """

    error: ClassVar[type[UnsafeUrl]] = UnsafeUrl
    """The error for a URL that must not be asked; a subclass has one of its own."""

    allow_http: bool = False

    def check(self, url: str, *, what: str) -> str:
        """Return the URL as it is.

        Args:
            url: The URL to check.
            what: What the URL is, for the message: "the directory URL", "newOrder in the directory".

        Raises:
            UnsafeUrl: It is not https (or http where that is allowed), has no host, a wrong port,
                credentials, a fragment, or characters that have no place in a URL.
        """
        reason = self._objection(url)
        if reason is not None:
            raise self.error(f"{what} is refused because {reason}: {_without_credentials(url)!r}")
        return url

    def accepts(self, url: str) -> bool:
        """Whether `check` would let the URL pass."""
        return self._objection(url) is None

    def _objection(self, url: str) -> str | None:
        if len(url) > MAX_URL:
            return f"it is longer than {MAX_URL} characters"
        if not _VISIBLE_ASCII.fullmatch(url):
            return "it has characters other than visible ASCII"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return "it is no valid URL"
        if parts.scheme != "https" and not (self.allow_http and parts.scheme == "http"):
            return "it is not https"
        if "@" in parts.netloc:
            return "it has credentials"
        if not _HOST_AND_PORT.fullmatch(parts.netloc) or port == 0:
            return "it names no host"
        return "it has a fragment" if "#" in url else None


def _without_credentials(url: str) -> str:
    return printable(re.sub(r"//[^/]*@", "//...@", url[:MAX_URL]), 200)


def host_of(url: str) -> str:
    """Return host and port of a URL for messages and logs."""
    return printable(url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2], 300)
