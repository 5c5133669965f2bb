"""Unpadded base64url, the only encoding that ACME uses (RFC 8555 section 6.1, RFC 4648 section 5)."""

from __future__ import annotations

import base64
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


def encode(data: bytes) -> str:
    """Encode without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Decode unpadded text.

    Raises:
        ValueError: The text has padding, white space, or a length that no bytes encode to.
    """
    if text and not is_base64url(text):
        raise ValueError("not unpadded base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_base64url(text: str) -> bool:
    """Return whether the text is not empty and uses only the base64url alphabet."""
    return _ALPHABET.fullmatch(text) is not None
