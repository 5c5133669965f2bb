"""docs/features.md: each feature works somewhere, and each test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[2]
PAGE: Final = (PROJECT / "docs/features.md").read_text()
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| Feature")
]
NAMED: Final = sorted({named for row in ROWS for named in re.findall(r"`([\w/.]+\.py(?:::\w+)?)`", row[-1])})


def test_there_are_many_features() -> None:
    assert len(ROWS) > 50
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_feature_works_somewhere_and_names_its_tests(row: list[str]) -> None:
    *_, tests = row
    assert any(place != "-" for place in row[1:-1])
    assert re.fullmatch(r"`[\w/.]+\.py(::\w+)?`( `[\w/.]+\.py(::\w+)?`)*", tests.rstrip("| ")), tests


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_is_named_is_there_and_runs(named: str) -> None:
    path, _, name = named.partition("::")
    text = (PROJECT / "tests" / path).read_text()
    found = re.search(rf"^\s*(?:async )?def {name or 'test_'}", text, flags=re.MULTILINE)
    assert found, f"docs/features.md names {named}, which is not there"
    before = text[: found.start()].rpartition("\n\n")[2]
    assert "mark.skip(" not in before
    assert "mark.xfail" not in before
