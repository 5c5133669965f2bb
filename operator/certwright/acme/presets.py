"""A CA by its name or by the URL of its directory."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from certwright.acme.errors import UnsafeUrl
from certwright.known_authorities import KNOWN_AUTHORITIES, KnownAuthority

__all__ = ["KNOWN_AUTHORITIES", "KnownAuthority", "directory_url"]


_PUBLIC_HOSTS: Final = frozenset(
    urlsplit(authority.directory_url).hostname for authority in KNOWN_AUTHORITIES.values() if authority.name != "pebble"
)


def is_public_authority(directory_url: str) -> bool:
    """Whether a directory is at a host of a well-known public CA, or of its staging environment."""
    try:
        return urlsplit(directory_url).hostname in _PUBLIC_HOSTS
    except ValueError:
        return False


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
