"""docs/operating.md says what the code says: every reason, every metric, and none that is not there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from certwright.metrics import Metrics

PROJECT: Final = Path(__file__).parents[2]
DOCS: Final = PROJECT / "docs"
PAGE: Final = (PROJECT / "docs" / "operating.md").read_text()
PACKAGES: Final = ("certificates", "issuers", "http01", "challenges", "handlers", "runtime", "kube", "resources")
CODE: Final = PROJECT / "operator" / "certwright"
SOURCES: Final = [*CODE.glob("*.py"), *(path for package in PACKAGES for path in (CODE / package).rglob("*.py"))]
# The calls that take a reason as their first, or after a condition's status, an Event's subject and kind.
GIVES_REASON: Final = re.compile(
    r'(?:IssuanceError|SolverError|Failure|Refusal|Refuse|Need|OwnershipProblem|_Fact|\.noting|record)\(\s*(?:\S*subject\S*,\s*)?(?:"(?:True|False|Normal'
    r'|Warning)",\s*)?"([A-Z][A-Za-z0-9]+)"'
)


def documented_reasons() -> set[str]:
    rows = re.findall(r"^\| ([A-Z][A-Za-z0-9, ]*) \|", PAGE.partition("## Rights")[0], flags=re.MULTILINE)
    return {reason for row in rows for reason in row.split(", ")} - {"Reason"}


def literals() -> set[str]:
    trees = (ast.parse(path.read_text()) for path in SOURCES)
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_reason_that_the_code_gives_is_explained() -> None:
    given = {reason for path in SOURCES for reason in GIVES_REASON.findall(path.read_text())}
    assert len(given) > 30
    assert given - {"True", "False", "Normal", "Warning"} - documented_reasons() == set()


def test_no_reason_is_explained_that_the_code_does_not_give() -> None:
    assert documented_reasons() - literals() == set()


def test_every_metric_of_ours_is_listed_and_no_other() -> None:
    ours = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics_with_everything().registry.collect()
        if family.name.startswith("certwright_")
    }
    assert set(re.findall(r"`(certwright_[a-z_]+)`", PAGE.partition("## Metrics")[2])) == ours


def metrics_with_everything() -> Metrics:
    metrics = Metrics()
    metrics.watch_queue(lambda: 0.0, lambda: 0.0, lambda: 0.0)
    return metrics


PAGES: Final = sorted(str(page.relative_to(PROJECT)) for page in [*PROJECT.glob("*.md"), *DOCS.glob("**/*.md")])


@pytest.mark.parametrize("path", [*PAGES, "examples/README.md"])
def test_links_between_our_pages_lead_somewhere(path: str) -> None:
    page = PROJECT / path
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
