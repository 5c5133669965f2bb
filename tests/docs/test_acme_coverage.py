"""docs/acme-coverage.md names code and tests that are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
PAGE: Final = (PROJECT / "docs" / "acme-coverage.md").read_text()
ROWS: Final = [
    line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| ") and "| Test" not in line
]


def test_every_row_names_code_that_is_there() -> None:
    assert len(ROWS) > 35
    for row in ROWS:
        files = re.findall(r"`([^`]+\.py)`", row[2])
        assert files, row
        for file in files:
            assert (PROJECT / "operator" / "certwright" / file).is_file(), file


def test_every_row_names_tests_that_are_there() -> None:
    for row in ROWS:
        tests = re.findall(r"`([^`]+)::([^`]+)`", row[3])
        assert tests, row
        for file, name in tests:
            assert f"def {name}(" in (PROJECT / "tests" / file).read_text(), f"{file}::{name}"
