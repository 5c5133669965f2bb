"""docs/ingress.md lists every annotation that the operator reads, with the field that it becomes, and no other."""

from __future__ import annotations

import re

from certwright.shim.annotations import FIELDS, OTHERS
from testbed.locations import PROJECT

PAGE = (PROJECT / "docs" / "ingress.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `certwright\.io/([a-z0-9-]+)` \| `?([A-Za-z0-9.-]+)`? \|", PAGE, re.MULTILINE))


def test_every_annotation_has_a_row() -> None:
    assert ROWS.keys() == {*FIELDS, *OTHERS}


def test_a_row_names_the_field_that_the_annotation_becomes() -> None:
    assert {name: ROWS[name] for name in FIELDS} == {name: ".".join(field.path) for name, field in FIELDS.items()}
