"""Every line of the protocol checklist names a module and tests that are there."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[2]
PAGE: Final = (PROJECT / "docs" / "reference" / "protocol.md").read_text()
ROWS: Final = re.findall(r"^\| ([^|]*) \| ([^|]+) \| `([a-z0-9_.]+)` \| ([^|]+) \|$", PAGE, flags=re.MULTILINE)


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((PROJECT / "tests" / path).read_text())
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize(("section", "what", "module", "shown"), ROWS, ids=[f"{row[0]} {row[2]}" for row in ROWS])
def test_a_line_is_done_somewhere_and_shown_by_tests(section: str, what: str, module: str, shown: str) -> None:
    importlib.import_module(f"certwright.{module}")
    named = re.findall(r"`([a-z0-9_/]+\.py)::(test_\w+)`", shown)
    assert named, f"{section}: {what}"
    assert [f"{path}::{name}" for path, name in named if name not in names_in(path)] == []


def test_every_section_of_the_protocol_that_a_client_has_to_do_with_is_there() -> None:
    sections = {part.strip() for row in ROWS for part in row[0].split(",")}
    assert sections >= {
        *("6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.7", "6.7.1", "7.1.1", "7.1.2.1", "7.1.6", "7.2", "7.3", "7.3.1"),
        *("7.3.2", "7.3.3", "7.3.4", "7.3.5", "7.3.6", "7.4", "7.4.1", "7.4.2", "7.5", "7.5.1", "7.5.2", "7.6", "8.1"),
        *("8.3", "8.4", "11.1", "11.4"),
    }
