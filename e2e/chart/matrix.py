"""The values that the chart is tried with: each file switches something that the others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

MATRIX: Final = {path.stem: path for path in sorted((PROJECT / "tests" / "chart" / "values").glob("*.yaml"))}


def case(name: str) -> dict[str, Any]:
    """Return the values of a case."""
    values: dict[str, Any] = yaml.safe_load(MATRIX[name].read_text(encoding="utf-8"))
    return values


def touched(values: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Return every path that a case sets, and those above it."""
    paths = set()
    for key, content in values.items():
        paths.add((*prefix, key))
        if isinstance(content, dict):
            paths |= touched(content, (*prefix, key))
    return paths
