"""Text for messages: lists, sentences and timestamps, and text from servers, sanitized before it is shown."""

from __future__ import annotations

import unicodedata
from datetime import UTC
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MAX_TEXT: Final = 500
"""The maximum number of characters of a text from a server in a message, a log or a status."""

MAX_LISTED: Final = 3
"""How many items of a list a message shows before it counts the rest."""

PLACEHOLDER_DOMAIN: Final = r"@(?:.*\.)?example\.(?:com|net|org)"
"""The end of an example e-mail address (RFC 2606), which public CAs refuse. Works with RE2 and `re`."""

# Controls, format characters (bidirectional overrides can disguise text), lone surrogates (which cannot be encoded),
# private use, unassigned, and the two exotic line breaks.
_UNWANTED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str, limit: int = MAX_TEXT) -> str:
    """Return the text as one line of printable characters, cut at `limit` with an ellipsis."""
    # Cut first, so that a long text costs no more than a short one. Four times the limit leaves room for dropped
    # characters.
    head = text[: 4 * limit]
    clean = "".join(" " if unicodedata.category(character) in _UNWANTED else character for character in head)
    line = " ".join(clean.split())
    if len(line) > limit or len(text) > len(head):
        return line[: limit - 1].rstrip() + "…"
    return line


def listed(items: Iterable[str], *, most: int = MAX_LISTED, none: str = "none") -> str:
    """Return `a, b, c and 4 more`, or the text for none."""
    known = list(items)
    shown = ", ".join(known[:most])
    return f"{shown} and {len(known) - most} more" if len(known) > most else shown or none


def sentence(text: str) -> str:
    """Return the text with a capital letter at its start and a full stop at its end."""
    whole = text[:1].upper() + text[1:]
    return whole if whole.endswith((".", "!", "?")) else f"{whole}."


def rfc3339(instant: datetime) -> str:
    """Return an aware instant as `2026-01-31T12:00:00Z` (RFC 3339, UTC, whole seconds)."""
    # strftime would leave the zeros out of the year 1.
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
