"""docs/features.md: each feature works somewhere, and each test that it names is there."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Final

import pytest

from certwright import acme, client, dns, pki
from certwright.dns import providers
from command_options import options_of_acme

PROJECT: Final = Path(__file__).parents[2]
PAGE: Final = (PROJECT / "docs/features.md").read_text()
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| Feature")
]
COLUMNS: Final = {"library": 1, "command line": 2}
"""Of the tables that have all five columns."""
SOLVERS: Final = {"standalone", "webroot:FOLDER", "tls-alpn-01", "dns-01", "dns-persist-01", "dns-account-01", "manual"}
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


def written(column: str) -> set[str]:
    cells = [row[COLUMNS[column]] for row in ROWS if len(row) == len(COLUMNS) + 3]
    assert len(cells) > 40
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_what_the_library_has_is_public() -> None:
    packages = (acme, client, dns, pki)
    public = {name: getattr(package, name) for package in packages for name in package.__all__}
    public["open_provider"] = providers.open_provider
    parameters = {name for call in (client.issue, client.connect) for name in inspect.signature(call).parameters}

    def is_there(name: str) -> bool:
        first, _, member = name.partition(".")
        if first in public:
            return not member or hasattr(public[first], member) or member in fields_of(public[first])
        return name in parameters or hasattr(acme.Client, name) or has_module(name)

    assert {name for name in written("library") if not is_there(name)} == set()


def fields_of(thing: object) -> set[str]:
    return set(getattr(thing, "__dataclass_fields__", {}))


def has_module(name: str) -> bool:
    """Whether it is `module.name` of the library."""
    module, _, member = name.rpartition(".")
    return bool(module) and hasattr(importlib.import_module(f"certwright.{module}"), member)


def test_what_the_command_line_has_is_a_command_an_option_or_a_solver() -> None:
    options = options_of_acme()
    known = {name for found in options.values() for option in found for name in option.names} | set(options)

    def is_there(name: str) -> bool:
        first, _, rest = name.partition(" ")
        if rest:
            return first in known or name.startswith("certwright dns ")
        return name in known | SOLVERS or name == "exec:PROGRAM"

    assert {name for name in written("command line") if not is_there(name)} == set()
