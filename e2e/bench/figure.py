"""A result, a table of them on the terminal, and the tables of the documentation, which are written from them."""

from __future__ import annotations

import compileall
import datetime as dt
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DOCS: Final = PROJECT / "docs"
PAGES: Final[Mapping[str, Path]] = {
    "operator": PROJECT / "README.md",
    "node": PROJECT / "README.md",
    "ingresses": _DOCS / "performance.md",
    "providers": _DOCS / "performance.md",
    "library-issuance": _DOCS / "library" / "measured.md",
    "library-many": _DOCS / "library" / "measured.md",
    "library-program": _DOCS / "library" / "measured.md",
}
"""The page that each group of figures is shown on, between `<!-- bench: GROUP -->` and `<!-- /bench: GROUP -->`."""


@dataclass(frozen=True)
class Figure:
    """One result: what was measured, how much, in which unit, by which means.

    Attributes:
        column: What the figure is one of, where a table compares several.
    """

    name: str
    value: float
    unit: str
    how: str
    column: str = ""

    @property
    def title(self) -> str:
        """Its name, unique in a run."""
        return f"{self.name}, {self.column}" if self.column else self.name

    @property
    def text(self) -> str:
        """Its value with its unit."""
        return f"{self.value:g} {self.unit}".rstrip()


def compile_first() -> None:
    """Compile the operator, and let the programs that are started keep what they compile, as an installation has it.

    Otherwise the first import of each module would count: a second of CPU, and ten megabytes.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(PROJECT / "operator", quiet=1)


def print_table(title: str, figures: Iterable[Figure]) -> None:
    """Print results as a table."""
    table = Table(title=title)
    for column in ("What", "Figure", "Unit", "How"):
        table.add_column(column, justify="right" if column == "Figure" else "left")
    for figure in figures:
        table.add_row(figure.title, f"{figure.value:g}", figure.unit, figure.how)
    Console(highlight=False).print(table)


def write_tables(groups: Mapping[str, Sequence[Figure]], pages: Mapping[str, Path] = PAGES) -> None:
    """Put the figures of each group into the page that shows them.

    Raises:
        ValueError: The page has no place for them.
    """
    for group, figures in groups.items():
        page = pages[group]
        begin, end = f"<!-- bench: {group} -->\n", f"<!-- /bench: {group} -->"
        before, found, rest = page.read_text().partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{page.name} has no place for the figures of {group}: {begin.strip()} ... {end}")
        page.write_text(f"{before}{begin}{markdown(figures)}\n{_measured_on()}\n{end}{after}")


def markdown(figures: Sequence[Figure]) -> str:
    """Return a table of results: a row for each name, a column for each thing that is compared."""
    columns = list(dict.fromkeys(figure.column for figure in figures))
    values = {(figure.name, figure.column): figure.text for figure in figures}
    rows = [
        f"| {' | '.join([name, *(values.get((name, column), '') for column in columns)])} |\n"
        for name in dict.fromkeys(figure.name for figure in figures)
    ]
    head = " | ".join(column or "Figure" for column in columns)
    return f"| | {head} |\n|---{'|---' * len(columns)}|\n{''.join(rows)}"


def _measured_on() -> str:
    today = dt.datetime.now(dt.UTC).date()
    system = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    return f"One run on {today}: {os.cpu_count()} cores ({_processor()}), {system}, Python {platform.python_version()}."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
