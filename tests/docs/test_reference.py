"""The reference has every public name once, and the pages find their places."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Final

import pytest

import later_pages
import repository_links
from docstrings import PACKAGES, link, to_rst
from public_names import definition

DOCS: Final = Path(__file__).parents[2] / "docs"


def documented(package: str) -> list[str]:
    """The names that the pages ask the directive `public` for."""
    return [
        name
        for page in (DOCS / "reference").glob("*.rst")
        for block in re.findall(
            rf"^\.\. public:: {re.escape(package)}\n(?:   :[a-z-]+:\n)*\n((?:   .*\n)+)", page.read_text(), re.MULTILINE
        )
        for name in block.split()
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_documented_once(package: str) -> None:
    public = importlib.import_module(package)
    errors = {
        name
        for name in public.__all__
        if isinstance(getattr(public, name), type) and issubclass(getattr(public, name), Exception)
    }
    # Errors are on a page that is made from their classes.
    assert sorted(documented(package)) == sorted(set(public.__all__) - errors)


def test_every_error_is_below_a_root_of_the_page_of_errors() -> None:
    page = (DOCS / "reference" / "errors.rst").read_text()
    roots = tuple(
        getattr(importlib.import_module(path.rpartition(".")[0]), path.rpartition(".")[2])
        for path in re.findall(r"^\.\. error-tree:: (\S+)$", page, flags=re.MULTILINE)
    )
    for package in PACKAGES:
        public = importlib.import_module(package)
        for name in public.__all__:
            value = getattr(public, name)
            if isinstance(value, type) and issubclass(value, Exception):
                assert issubclass(value, roots), name


def test_every_example_is_shown() -> None:
    shown = {
        name for page in DOCS.rglob("*.md") for name in re.findall(r"examples/library/(\w+\.py)\n", page.read_text())
    }
    assert shown == {path.name for path in (DOCS.parent / "examples" / "library").glob("*.py")}


def test_code_becomes_a_link_where_it_is_a_public_name() -> None:
    assert link("RateLimited") == ":py:obj:`RateLimited <certwright.acme.RateLimited>`"
    assert link("Identifier.parse") == ":py:obj:`Identifier.parse <certwright.acme.Identifier.parse>`"
    assert link("_acme-challenge.<name>") == "``_acme-challenge.<name>``"


def test_a_constant_is_found_where_it_is_assigned_with_its_docstring_or_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "above.py").write_text('#: Of `it`,\n#: and more.\nCOMMENTED = 1\nDESCRIBED: int = 2\n"""Of `it`."""\n')
    (tmp_path / "below.py").write_text("from above import COMMENTED, DESCRIBED as OTHER\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert definition("below", "COMMENTED") == ("COMMENTED = 1", ["Of `it`,", "and more."])
    assert definition("below", "OTHER") == ("DESCRIBED: int = 2", ["Of `it`."])
    with pytest.raises(KeyError, match=r"below\.MISSING"):
        definition("below", "MISSING")


def test_an_indented_block_becomes_code_and_a_section_stays() -> None:
    written = to_rst(["Do it:", "", "    await it(`x`)", "", "Args:", "    name: A `str`.", ""])
    assert written[2:5] == [".. code-block:: python", "", "    await it(\u02cbx\u02cb)"]
    assert written[-2] == "    name: A ``str``."


def test_pages_that_arrive_later_find_their_place() -> None:
    start = "first\n%cli*%\nreference/x\n%*%\n"
    pages = {"index", "first", "cli", "cli-renew", "anything", "library/deep"}
    assert later_pages.fill(start, pages) == "first\ncli\ncli-renew\nreference/x\nanything\n"


def test_links_to_files_of_the_repository_become_links_to_pages(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    for path in ("docs/deep", "examples/demo"):
        (tmp_path / path).mkdir(parents=True)
    for path in ("README.md", "examples/README.md", "docs/other.md"):
        (tmp_path / path).write_text("")
    page = docs / "page.md"
    assert repository_links.rewrite("[x](../README.md#what)", page, docs) == "[x](index.md)"
    assert repository_links.rewrite("[x](../examples/README.md#y)", page, docs) == "[x](examples.md#y)"
    assert repository_links.rewrite("[x](../examples/demo)", page, docs) == "x (`examples/demo`)"
    deep = docs / "deep" / "page.md"
    assert repository_links.rewrite("[x](../other.md)", deep, docs) == "[x](../other.md)"
    assert repository_links.rewrite("[x](../../README.md)", deep, docs) == "[x](../index.md)"
    with pytest.raises(FileNotFoundError, match=r"\.\./gone\.md leads nowhere"):
        repository_links.rewrite("[x](../gone.md)", page, docs)
