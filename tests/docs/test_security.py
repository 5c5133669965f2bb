"""SECURITY.md: each claim has a test that holds it, and each test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[2]
PAGE: Final = (PROJECT / "SECURITY.md").read_text()
NAMED: Final = sorted(set(re.findall(r"`((?:tests|e2e)/[\w/.]+\.py(?:::\w+)?)`", PAGE)))


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_is_named_is_there(named: str) -> None:
    path, _, name = named.partition("::")
    text = (PROJECT / path).read_text()
    wanted = rf"^\s*(?:async )?def {name}\(" if name else r"^\s*(?:async )?def test_"
    assert re.search(wanted, text, flags=re.MULTILINE), f"SECURITY.md names {named}, which is not there"


def test_each_claim_of_the_table_names_a_test() -> None:
    rows = re.findall(
        r"^\| (.+?) \| (.+) \|$",
        PAGE.partition("## Tests for each claim")[2].partition("\n## ")[0],
        re.MULTILINE,
    )
    claims = [row for row in rows if row[0] != "Claim"]
    assert len(claims) > 10
    for claim, tests in claims:
        assert re.fullmatch(r"`[\w/.]+::\w+`(, `[\w/.]+::\w+`)*", tests), claim


def test_no_test_is_named_that_is_skipped_for_good() -> None:
    for named in NAMED:
        path, _, name = named.partition("::")
        if name:
            before = (PROJECT / path).read_text().partition(f"def {name}(")[0].rpartition("\n\n")[2]
            assert "mark.skip(" not in before, named
            assert "mark.xfail" not in before, named
