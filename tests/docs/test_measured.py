"""The figures in the documentation are written by the programs that measure them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bench.figure import PAGES, Figure, write_tables

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "# Page\n\nBefore.\n\n<!-- bench: some -->\nold\n<!-- /bench: some -->\n\nAfter.\n"


@pytest.mark.parametrize("group", PAGES)
def test_every_group_is_shown_with_the_machine_it_was_measured_on(group: str) -> None:
    found = re.findall(rf"<!-- bench: {group} -->\n(.*?)<!-- /bench: {group} -->", PAGES[group].read_text(), re.DOTALL)
    assert len(found) == 1, f"{PAGES[group].name} shows {group} in one place"
    assert len(re.findall(r"^\| .*[0-9].* \|$", found[0], re.MULTILINE)) >= 2, "figures"
    assert re.search(r"^One run on 20\d\d-\d\d-\d\d: .* cores .*, Python 3\.", found[0], re.MULTILINE)


def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    figures = [Figure("Seconds", 1.5, "s", "the clock"), Figure("Requests", 11, "", "the log")]
    for _ in range(2):
        write_tables({"some": figures}, {"some": page})
        before, table, after = re.split(r"<!-- /?bench: some -->\n", page.read_text())
        assert table.startswith("| | Figure |\n|---|---|\n| Seconds | 1.5 s |\n| Requests | 11 |\n\nOne run on ")
        assert (before, after) == ("# Page\n\nBefore.\n\n", "\nAfter.\n")


def test_what_is_compared_stands_side_by_side_with_gaps_where_nothing_was_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    figures = [
        Figure("Seconds", 3.8, "s", "the clock", "pod"),
        Figure("Memory of the pod", 20, "MB", "RSS", "pod"),
        Figure("Seconds", 1.6, "s", "the clock", "shared"),
    ]
    assert len({figure.title for figure in figures}) == 3
    write_tables({"some": figures}, {"some": page})
    assert "| | pod | shared |\n|---|---|---|\n| Seconds | 3.8 s | 1.6 s |\n| Memory of the pod | 20 MB |  |\n" in (
        page.read_text()
    )


def test_a_page_without_a_place_for_the_figures_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    with pytest.raises(ValueError, match=r"page\.md has no place for the figures of other"):
        write_tables({"other": [Figure("Seconds", 1.5, "s", "the clock")]}, {"other": page})
    assert page.read_text() == PAGE
