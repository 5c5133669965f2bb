"""The entries of a Secret's `data`."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def decoded(data: Mapping[str, str], entry: str) -> bytes:
    """Return one entry of a Secret's data; empty when it is absent or not base64."""
    try:
        return base64.b64decode(data.get(entry) or "", validate=True)
    except (binascii.Error, ValueError):
        return b""


def encoded(content: bytes) -> str:
    """Return content as an entry of a Secret's data."""
    return base64.b64encode(content).decode()


def entry_of(secret: Mapping[str, Any] | None, entry: str) -> bytes:
    """Return one entry of a Secret; empty when the Secret or the entry is absent, or the entry is not base64."""
    return decoded((secret or {}).get("data") or {}, entry)
