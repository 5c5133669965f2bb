"""Each reason of a condition has an anchor, `operating.html#tsigrejected`, and the page of faults leads there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

EXPLAINED: Final = "operating"
NAMED: Final = "faults"
_ROW: Final = re.compile(r"^\| ([A-Z][A-Za-z0-9]*(?:, [A-Z][A-Za-z0-9]*)*) \|", re.MULTILINE)
_LAST_CELL: Final = re.compile(r"\| ([A-Z][A-Za-z0-9]*) \|$", re.MULTILINE)
_HEADINGS: Final = frozenset({"Reason", "Metric", "Object", "When", "Where", "Operator"})


def with_anchors(source: str) -> str:
    """Return the page that explains reasons with an anchor at each, in the first cells of its tables."""

    def row(found: re.Match[str]) -> str:
        if found[1] in _HEADINGS:
            return found[0]
        return "| " + ", ".join(f"[{reason}]{{#{reason.lower()}}}" for reason in found[1].split(", ")) + " |"

    before, heading, after = source.partition("\n## Permissions")
    return _ROW.sub(row, before) + heading + after


def with_links(source: str) -> str:
    """Return a page with reasons in the last cells of its tables as links to where they are explained."""
    return _LAST_CELL.sub(
        lambda found: found[0] if found[1] in _HEADINGS else f"| [{found[1]}]({EXPLAINED}.md#{found[1].lower()}) |",
        source,
    )


def _read(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == EXPLAINED:
        source[0] = with_anchors(source[0])
    elif page == NAMED:
        source[0] = with_links(source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
