"""What a server says is shown to people, so it is made harmless first."""

from __future__ import annotations

import unicodedata

#: The most characters of any one text of a server that reach a message, a log or a status.
MAX_TEXT = 500

# Controls, format characters (bidirectional overrides hide what a line really says), lone surrogates that no
# encoder accepts, private use, unassigned, and the two exotic line breaks.
_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str, limit: int = MAX_TEXT) -> str:
    """Return the text as one line of printable characters, cut at `limit` with an ellipsis."""
    # Cut before the walk: a long text costs no more than a short one. Four times leaves room for what is
    # dropped.
    head = text[: 4 * limit]
    clean = "".join(" " if unicodedata.category(character) in _UNWANTED else character for character in head)
    line = " ".join(clean.split())
    if len(line) > limit or len(text) > len(head):
        return line[: limit - 1].rstrip() + "…"
    return line
