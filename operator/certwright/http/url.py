"""Which URLs may be requested. All but the first come from a server, so each is checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import urlsplit

from certwright.http.errors import UnsafeUrl
from certwright.text import printable

MAX_URL: Final = 2048
"""The longest accepted URL: URLs are signed, logged and stored in a status."""

MAX_SHOWN_HOST: Final = 64
"""Characters of a host in a message, if another party chose it: enough to recognise, too few to carry anything off."""

_VISIBLE_ASCII = re.compile(r"[!-~]+")
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True)
class UrlPolicy:
    """Decides whether a URL may be requested.

    Attributes:
        allow_http: Also accept plain http, for test benches. RFC 8555 section 6.1 requires https.
    """

    error: ClassVar[type[UnsafeUrl]] = UnsafeUrl
    """The error to raise; a subclass may have its own."""

    allow_http: bool = False

    def check(self, url: str, *, what: str) -> str:
        """Return the URL unchanged if it may be requested.

        Args:
            url: The URL to check.
            what: A description for the message: "the directory URL", "newOrder in the directory".

        Raises:
            UnsafeUrl: The URL is not https (or http if allowed), or has no host, an invalid port, credentials, a
                fragment, or invalid characters.
        """
        reason = self._objection(url)
        if reason is not None:
            raise self.error(f"{what} is refused because {reason}: {shown_origin(url)}")
        return url

    def accepts(self, url: str) -> bool:
        """Return whether `check` accepts the URL."""
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
            return "it is not a valid URL"
        if parts.scheme != "https" and not (self.allow_http and parts.scheme == "http"):
            return "it is not https"
        if "@" in parts.netloc:
            return "it has credentials"
        if not _HOST_AND_PORT.fullmatch(parts.netloc) or port == 0:
            return "it has no host"
        return "it has a fragment" if "#" in url else None


def page_url(url: str | None) -> str | None:
    """Return the URL of a page that people may be sent to, as another party named it; None if it is none.

    It is never requested: it has to be http or https, and to be shown whole, so that it leads where it seems to lead.
    """
    if url is None or not UrlPolicy(allow_http=True).accepts(url.partition("#")[0]):
        return None
    return url if len(url) <= MAX_URL and _VISIBLE_ASCII.fullmatch(url) else None


def shown_origin(url: str) -> str:
    """Return scheme and host of a URL that another party wrote, for a message: no more of it, and only if valid."""
    scheme, _, rest = url[:MAX_URL].partition("://")
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if scheme.lower() not in {"http", "https"} or not _HOST_AND_PORT.fullmatch(netloc):
        return "an invalid URL"
    return f"{scheme.lower()}://{printable(netloc.lower(), MAX_SHOWN_HOST)}/..."


def same_origin(one: str, other: str) -> bool:
    """Return whether two URLs have the same scheme, host and port (RFC 6454); what is no URL has no origin."""
    origin = _origin(one)
    return origin is not None and origin == _origin(other)


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    except (ValueError, KeyError):
        return None
    host = (parts.hostname or "").removesuffix(".")
    return (parts.scheme, host, port) if host else None


def host_of(url: str) -> str:
    """Return host and port of a URL for messages and logs."""
    return printable(url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2], 300)
