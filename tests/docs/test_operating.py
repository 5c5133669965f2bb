"""docs/operating.md says what the code says: every reason, every metric, and none that is not there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from certwright.metrics import Metrics
from certwright.reasons import GROUPS
from certwright.runtime.queue import Place, WorkQueue
from certwright.runtime.scheduler import Scheduler

PROJECT: Final = Path(__file__).parents[2]
DOCS: Final = PROJECT / "docs"
PAGE: Final = (PROJECT / "docs" / "operating.md").read_text()
CODE: Final = PROJECT / "operator" / "certwright"


def rows(heading: str) -> list[str]:
    """Return the reasons in the table below a heading of the page."""
    table = PAGE.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    found = re.findall(r"^\| ([A-Z][A-Za-z0-9, ]*) \|", table, flags=re.MULTILINE)
    return [reason for row in found for reason in row.split(", ") if reason != "Reason"]


def spelled() -> set[str]:
    """Return all strings in the code, without those of the list of reasons."""
    trees = (ast.parse(path.read_text()) for path in CODE.rglob("*.py") if path.name != "reasons.py")
    return {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}  # type: ignore[misc]


@pytest.mark.parametrize("heading", GROUPS)
def test_the_page_explains_each_reason_once_and_no_other(heading: str) -> None:
    listed, explained = Counter(GROUPS[heading]), Counter(rows(heading))
    without_row, without_reason = sorted(listed - explained), sorted(explained - listed)
    assert not without_row, f'add a row for {without_row} to docs/operating.md, in the table "{heading}"'
    assert not without_reason, (
        f'docs/operating.md explains {without_reason} in the table "{heading}" although operator/certwright/reasons.py '
        "does not name it in that group, or explains it twice: name it there, move the row or remove it"
    )


def test_there_is_a_table_for_each_group_and_no_other() -> None:
    section = PAGE.partition("\n## Reasons\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", section, flags=re.MULTILINE) == list(GROUPS)


def test_the_code_gives_each_reason_that_is_listed() -> None:
    unused = sorted({reason for group in GROUPS.values() for reason in group} - spelled())
    assert not unused, f"the code never gives {unused}: remove it from operator/certwright/reasons.py and its row"


def test_every_metric_of_ours_is_listed_and_no_other() -> None:
    ours = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics_with_everything().registry.collect()
        if family.name.startswith("certwright_")
    }
    assert set(re.findall(r"`(certwright_[a-z_]+)`", PAGE.partition("## Metrics")[2])) == ours


def metrics_with_everything() -> Metrics:
    metrics = Metrics()
    queue: WorkQueue[str] = WorkQueue(Place, workers=1)
    metrics.watch_quarantine(lambda: 0)
    metrics.watch_orphaned(lambda: 0)
    metrics.watch_queue(queue, Scheduler(queue.add))
    metrics.watch_budgets(dict)
    return metrics


PAGES: Final = sorted(str(page.relative_to(PROJECT)) for page in [*PROJECT.glob("*.md"), *DOCS.glob("**/*.md")])


@pytest.mark.parametrize("path", [*PAGES, "examples/README.md"])
def test_links_between_our_pages_lead_somewhere(path: str) -> None:
    page = PROJECT / path
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
