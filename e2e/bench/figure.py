"""A result, and a table of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Figure:
    """One result: what was measured, how much, in which unit, by which means."""

    name: str
    value: float
    unit: str
    how: str


def print_table(title: str, figures: Iterable[Figure]) -> None:
    """Print results as a table."""
    table = Table(title=title)
    for column in ("What", "Figure", "Unit", "How"):
        table.add_column(column, justify="right" if column == "Figure" else "left")
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:g}", figure.unit, figure.how)
    Console(highlight=False).print(table)
