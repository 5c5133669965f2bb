"""Links from pages to files of the repository work where pages are read as files; here they work in the built pages.

What is a page here as well becomes a link to that page; the path of anything else is shown as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGES: Final = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples/README.md": "examples.md",
}
"""Files of the repository and the pages that include them, or say the same."""
_LINK: Final = re.compile(r"\[([^\]\n]+)\]\((\.\./[^)#\s]*)(#[^)\s]*)?\)")


def rewrite(source: str, page: Path, docs: Path) -> str:
    """Return the text of a page with its links out of the documentation turned into links within, or into code.

    Args:
        source: Markdown.
        page: Its file.
        docs: The folder of the documentation.

    Raises:
        FileNotFoundError: A link leads nowhere.
    """

    def one(found: re.Match[str]) -> str:
        text, path = found[1], (page.parent / found[2]).resolve()
        if path.is_relative_to(docs):
            return found[0]
        if not path.exists():
            raise FileNotFoundError(f"{page}: the link to {found[2]} leads nowhere")
        inside = path.relative_to(docs.parent).as_posix() if path.is_relative_to(docs.parent) else path.name
        target = PAGES.get(inside)
        if target is None:
            return text if inside in text else f"{text} (`{inside}`)"
        # The start page says what the README says in other sections.
        fragment = "" if target == "index.md" else found[3] or ""
        up = "../" * len(page.parent.relative_to(docs).parts)
        return f"[{text}]({up}{target}{fragment})"

    return _LINK.sub(one, source)


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    file = Path(app.env.doc2path(page))
    if file.suffix == ".md":
        source[0] = rewrite(source[0], file, Path(app.srcdir))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
