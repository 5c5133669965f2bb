"""A CA by its name or by the URL of its directory."""

from __future__ import annotations

from certwright.acme.errors import UnsafeUrl
from certwright.known_authorities import KNOWN_AUTHORITIES, KnownAuthority

__all__ = ["KNOWN_AUTHORITIES", "KnownAuthority", "directory_url"]


def directory_url(name_or_url: str) -> str:
    """Return the directory URL of a CA by its name here, or the URL itself.

    Raises:
        UnsafeUrl: The text is neither; the message lists the names.
    """
    if "://" in name_or_url:
        return name_or_url
    known = KNOWN_AUTHORITIES.get(name_or_url.strip().lower())
    if known is None:
        raise UnsafeUrl(f"{name_or_url[:100]!r} is neither a directory URL nor one of {', '.join(KNOWN_AUTHORITIES)}")
    return known.directory_url
