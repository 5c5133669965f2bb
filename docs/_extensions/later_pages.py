"""Pages that arrive later find their place by themselves: `%cli*%` in the start page is all pages of such a name.

`%*%` is those that nothing else names, so that nobody has to enter a page anywhere.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARK: Final = re.compile(r"^%(.*)%$", re.MULTILINE)
START: Final = "index"


def fill(source: str, pages: set[str]) -> str:
    """Return the start page with pages in the place of its marks."""
    free = {page for page in pages if "/" not in page} - {START}
    free -= set(re.findall(r"^[a-z][a-z0-9_-]*$", source, flags=re.MULTILINE))
    # The narrow patterns first: the widest takes what is left.
    taken: dict[str, list[str]] = {}
    for pattern in sorted(MARK.findall(source), key=len, reverse=True):
        taken[pattern] = sorted(page for page in free if fnmatch(page, pattern))
        free -= set(taken[pattern])
    return MARK.sub(lambda mark: "\n".join(taken[mark[1]]), source)


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    if page == START:
        source[0] = fill(source[0], set(app.env.found_docs))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
