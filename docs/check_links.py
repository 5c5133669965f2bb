"""Check the built pages: every link inside leads to a file and an anchor, and nothing is loaded from another host.

    python docs/check_links.py .cache/docs

Links to other hosts are not followed, only listed in `external-links.txt` beside the pages.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

LOADING: Final = frozenset({"script", "img", "link", "iframe", "source", "video", "audio", "embed", "object"})
"""Elements that load what they name, as opposed to links that a reader may follow."""
NAMING: Final = frozenset({"next", "prev", "index", "search", "canonical", "author", "help"})
"""`link` elements of these kinds load nothing."""
LISTING: Final = "external-links.txt"


@dataclass
class Page(HTMLParser):
    """The anchors and links of one page."""

    anchors: set[str] = field(default_factory=set)
    links: list[tuple[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Set the parser up."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what an element names and is named."""
        given = dict(attrs)
        self.anchors |= {name for name in (given.get("id"), given.get("name") if tag == "a" else None) if name}
        target = given.get("href") or given.get("src") or given.get("data")
        if target and tag in LOADING | {"a"}:
            loads = tag in LOADING and not (tag == "link" and NAMING & set((given.get("rel") or "").split()))
            self.links.append((target, loads))


@dataclass
class Findings:
    """What is wrong, and what leads elsewhere."""

    broken: list[str] = field(default_factory=list)
    external: set[str] = field(default_factory=set)
    checked: int = 0


def check(folder: Path) -> Findings:
    """Look at all pages below a folder."""
    pages = {path: read(path) for path in sorted(folder.rglob("*.html"))}
    findings = Findings()
    for path, page in pages.items():
        shown = path.relative_to(folder)
        for target, loads in page.links:
            parts = urlsplit(target)
            if parts.scheme in ("http", "https") or parts.netloc:
                if loads:
                    findings.broken.append(f"{shown}: loads {target} from another host")
                else:
                    findings.external.add(target)
            elif not parts.scheme:
                findings.checked += 1
                findings.broken += [
                    f"{shown}: {target}: {why}" for why in wrong(path, parts.path, parts.fragment, pages)
                ]
    return findings


def read(path: Path) -> Page:
    """Parse one page."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def wrong(path: Path, target: str, fragment: str, pages: dict[Path, Page]) -> list[str]:
    """Return what is wrong with a link of a page, if anything."""
    file = (path.parent / unquote(target)).resolve() if target else path
    if file.is_dir():
        file /= "index.html"
    if not file.exists():
        return ["no such file"]
    page = pages.get(file)
    if fragment and page is not None and unquote(fragment) not in page.anchors:
        return ["no such anchor"]
    return []


def main(folder: Path) -> int:
    """Check, say what was found, and return the exit code."""
    folder = folder.resolve()
    findings = check(folder)
    if not findings.checked:
        print(f"No links in {folder}: nothing was built there", file=sys.stderr)
        return 1
    (folder / LISTING).write_text("".join(f"{url}\n" for url in sorted(findings.external)))
    for problem in findings.broken:
        print(problem, file=sys.stderr)
    broken, external = len(findings.broken), len(findings.external)
    print(f"{findings.checked} links inside, {broken} broken; {external} lead to other hosts and are not followed")
    return 1 if findings.broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
