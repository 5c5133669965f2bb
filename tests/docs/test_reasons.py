"""In the built pages each reason can be linked to, and the page of faults does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from reasons import with_anchors, with_links

DOCS: Final = Path(__file__).parents[2] / "docs"


def test_every_reason_has_one_anchor_and_every_fault_leads_to_one() -> None:
    anchors = re.findall(r"\{#(\w+)\}", with_anchors((DOCS / "operating.md").read_text()))
    assert len(anchors) > 60
    assert len(anchors) == len(set(anchors))
    links = re.findall(r"\]\(operating\.md#(\w+)\)", with_links((DOCS / "faults.md").read_text()))
    assert len(links) > 50
    assert set(links) <= set(anchors)


def test_headings_and_other_tables_stay() -> None:
    page = "| Reason | Meaning |\n|---|---|\n| Renewal, Expired | x |\n\n## Permissions\n\n| Where | y |\n| z | z |\n"
    assert with_anchors(page) == page.replace("| Renewal, Expired |", "| [Renewal]{#renewal}, [Expired]{#expired} |")
    assert (
        with_links("| a | Operator |\n| a | BadNonce |\n")
        == "| a | Operator |\n| a | [BadNonce](operating.md#badnonce) |\n"
    )
