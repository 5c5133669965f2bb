"""The files and names that the pages speak of are where they say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from harness.documented import pages
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

ROOTS: Final = (
    PROJECT,
    PROJECT / "operator" / "certwright",
    *(PROJECT / "operator" / "certwright" / part for part in ("acme", "client", "certificates", "kube")),
    PROJECT / "examples",
    PROJECT / "examples" / "library",
    PROJECT / "e2e",
    PROJECT / "e2e" / "scenarios",
    PROJECT / "helm" / "certwright",
    PROJECT / "tests",
)
WRITTEN: Final = {"versions/", "limits/", "certificate.json", "account.json"}
SOURCES: Final = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("operator", "testbed", "e2e", "tests", "helm", "crds", "docs/_extensions")
    for path in sorted((PROJECT / folder).rglob("*"))
    if path.suffix in {".py", ".yaml", ".go", ".tpl"}
)


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(PROJECT))) for page in pages()])
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    spans = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    paths = {span for span in spans if re.search(r"\.(py|yaml|md|toml|txt|json)$", span) or span.endswith("/")}
    assert {path for path in paths - WRITTEN if not any((root / path).exists() for root in ROOTS)} == set()


def test_every_name_in_the_page_of_the_architecture_is_in_the_code() -> None:
    names = set(re.findall(r"`([A-Za-z_]{4,})`", (PROJECT / "ARCHITECTURE.md").read_text(encoding="utf-8")))
    assert len(names) > 30
    assert {name for name in names if not re.search(rf"\b{name}\b", SOURCES)} == set()
