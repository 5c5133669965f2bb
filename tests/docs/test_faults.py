"""docs/faults.md says of each fault what the tests show: the error, the reason, and leaves none out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from harness.outcomes import OUTCOMES
from testbed.faults import FAULTS

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = (DOCS / "faults.md").read_text()


def rows() -> dict[str, tuple[str, str, str]]:
    found = re.findall(r"^\| ([a-z-]+) \| (.+) \| (`\w+`|no error) \| (\w+|no error) \|$", PAGE, flags=re.MULTILINE)
    return {name: (does, error, reason) for name, does, error, reason in found}


def test_each_fault_has_its_row_and_each_row_its_fault() -> None:
    expected = {
        name: (
            FAULTS[name].summary,
            f"`{outcome.error.__name__}`" if outcome.error else "no error",
            outcome.reason or "no error",
        )
        for name, outcome in OUTCOMES.items()
    }
    assert rows() == expected
    assert len(re.findall(r"^\| [a-z]", PAGE, flags=re.MULTILINE)) == len(OUTCOMES)


def test_each_reason_is_explained_to_operators() -> None:
    operating = (DOCS / "operating.md").read_text()
    reasons = {outcome.reason for outcome in OUTCOMES.values() if outcome.reason}
    assert {
        reason for reason in reasons if not re.search(rf"^\| .*\b{reason}\b.* \|", operating, re.MULTILINE)
    } == set()
