"""The entries of a Secret's `data`."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ENTRY_BYTES: Final = 256 * 1024
"""Of an entry, decoded: a chain of twenty long certificates. A Secret may have 1 MiB."""
MAX_CREDENTIAL_BYTES: Final = 64 * 1024
"""Of an entry that is a key, a password or the like."""


class EntryTooLarge(ValueError):
    """An entry of a Secret is longer than what it is for could ever be. The message says which entry."""


def decoded(data: Mapping[str, str], entry: str, *, limit: int = MAX_ENTRY_BYTES) -> bytes:
    """Return one entry of a Secret's data; empty when it is absent or not base64.

    Raises:
        EntryTooLarge: It has more than `limit` bytes. It was not decoded.
    """
    content = data.get(entry) or ""
    if len(content) // 4 * 3 - 2 > limit:
        raise EntryTooLarge(f"its {entry} has {len(content) // 4 * 3} bytes; the limit is {limit}")
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return b""


def encoded(content: bytes) -> str:
    """Return content as an entry of a Secret's data."""
    return base64.b64encode(content).decode()


def entry_of(secret: Mapping[str, Any] | None, entry: str) -> bytes:
    """Return one entry of a Secret, a key or the like; empty when there is no Secret or entry, or it is not base64.

    Raises:
        EntryTooLarge: It has more than 64 KiB. It was not decoded.
    """
    return decoded((secret or {}).get("data") or {}, entry, limit=MAX_CREDENTIAL_BYTES)
