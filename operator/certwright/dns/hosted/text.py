"""The text of TXT records as APIs write it: character-strings in quotes (RFC 1035 section 5.1)."""

from __future__ import annotations

import re
from typing import Final

MAX_STRING: Final = 255
"""Octets of one character-string (RFC 1035 section 3.3.14)."""

_STRINGS = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))\s*', re.DOTALL)
_ESCAPE = re.compile(r"\\([0-9]{3}|.)", re.DOTALL)


def quoted(value: str) -> str:
    """Write a value as character-strings of at most 255 octets each, in quotes."""
    parts = [value[start : start + MAX_STRING] for start in range(0, len(value) or 1, MAX_STRING)]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def unquoted(text: str) -> str:
    """Read a value that may be written in quotes or without; what is in neither form is returned as it is."""
    if '"' not in text:
        return text
    strings, place = [], 0
    while place < len(text):
        found = _STRINGS.match(text, place)
        if found is None:
            return text
        strings.append(_ESCAPE.sub(_unescaped, found[1]) if found[1] is not None else found[2])
        place = found.end()
    return "".join(strings)


def plain(text: str) -> str:
    """Read a value of an API that writes it without quotes, and with them only where somebody else put them."""
    return unquoted(text) if text.startswith('"') and text.endswith('"') else text


def _unescaped(found: re.Match[str]) -> str:
    said = found[1]
    # \DDD is one octet, in decimal digits in the DNS; Route 53 writes octal ones, which only foreign values have.
    return chr(int(said)) if said.isdecimal() and len(said) > 1 else said
