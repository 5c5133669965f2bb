"""docs/cert-manager.md says of fields what the CRDs say: there, not there, new."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from resource_fields import fields_of

PAGE: Final = (Path(__file__).parents[2] / "docs" / "cert-manager.md").read_text()
CERTIFICATE: Final = {field.path for field in fields_of("Certificate")}
ISSUER: Final = {field.path for field in fields_of("Issuer")}
CLUSTER_ISSUER: Final = {field.path for field in fields_of("ClusterIssuer")}
KINDS: Final = (("Certificate", CERTIFICATE), ("ClusterIssuer", CLUSTER_ISSUER))


def paths(table: str) -> list[tuple[bool, str]]:
    """The fields of a table: whether there is such a one, and its path."""
    text = PAGE.partition(f"<!-- fields that are {table} -->")[2].partition("\n\n")[0]
    found = []
    for where, fields in re.findall(r"^\| (.*?`spec.*?) \| (.*) \|$", text, flags=re.MULTILINE):
        base = re.findall(r"`(spec[^`]*)`", where)[0]
        known = next((fields for kind, fields in KINDS if where.startswith(kind)), ISSUER)
        for field in re.findall(r"`([\w.]+)`", fields):
            path = f"{base}.{field}"
            found.append((path in known, path))
    return found


@pytest.mark.parametrize(("table", "there", "least"), [("there", True, 30), ("not there", False, 8), ("new", True, 8)])
def test_the_fields_of_each_table_are_there_or_not(table: str, there: bool, least: int) -> None:  # noqa: FBT001 - a case
    found = paths(table)
    assert len(found) >= least
    assert [path for exists, path in found if exists is not there] == []


def test_every_field_of_ours_is_in_one_of_the_tables() -> None:
    told = {path for table in ("there", "new") for _, path in paths(table)}
    # A field that holds others is told by itself or by what is in it, and what is in a told one goes without saying.
    untold = [
        path
        for path in sorted(CERTIFICATE | ISSUER | CLUSTER_ISSUER)
        if path.startswith("spec")
        and not any(path == one or path.startswith((f"{one}.", f"{one}[]")) or one.startswith(path) for one in told)
    ]
    assert untold == []
