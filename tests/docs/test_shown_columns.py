"""What `kubectl get` is shown to print on the pages has the columns of the CRDs."""

from __future__ import annotations

import re
from typing import Final

import pytest
import yaml

from harness.documented import blocks, pages
from testbed.locations import PROJECT

COLUMNS: Final = {
    name: [
        (column["name"].upper(), bool(column.get("priority")))
        for column in definition["spec"]["versions"][0]["additionalPrinterColumns"]
    ]
    for path in (PROJECT / "crds").glob("*.yaml")
    for definition in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    for name in (definition["metadata"]["name"], *definition["spec"]["names"]["shortNames"])
}
"""Of each kind, by its names: its columns, and whether they are shown only when it is asked for all of them."""
SHOWN: Final = [
    pytest.param(found[1], "wide" in found[2], found[3].splitlines(), id=block.where)
    for page in pages()
    for block in blocks(page)
    if block.language == "console"
    for found in re.finditer(r"^\$ kubectl.* get ([\w.]+)(.*)\n(NAME .*\n.*)", block.text, re.MULTILINE)
]


def test_there_is_something_to_look_at() -> None:
    assert len(SHOWN) > 3


@pytest.mark.parametrize(("name", "wide", "lines"), SHOWN)
def test_the_columns_are_those_of_the_crd_and_stand_below_each_other(name: str, wide: bool, lines: list[str]) -> None:  # noqa: FBT001 - a case
    head, first = lines
    expected = [column for column, only_wide in COLUMNS[name] if wide or not only_wide]
    assert head.split() == ["NAME", *expected]
    for place in (found.start() for found in re.finditer(r"\S+", head)):
        # A cell begins where its heading does, after a gap.
        assert first[place] != " "
        assert place == 0 or first[place - 1] == " "
