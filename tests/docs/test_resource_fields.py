"""The pages of the resources have every field of the CRDs, with its default and its rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from resource_fields import KINDS, Field, fields_of, identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT: Final = Path(__file__).parents[2]
DEFINITIONS: Final = {
    definition["spec"]["names"]["kind"]: definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path in sorted((PROJECT / "crds").glob("*.yaml"))
    for definition in yaml.safe_load_all(path.read_text())
    if definition
}


def leaves(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All named fields below a schema, found without the code under test."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from leaves(child, f"{path}.{name}")
    if "items" in schema:
        yield from leaves(schema["items"], f"{path}[]")


def documented(kind: str) -> dict[str, Field]:
    return {field.path: field for field in fields_of(kind)}


def test_there_is_a_page_for_every_kind() -> None:
    assert set(KINDS) == set(DEFINITIONS)
    for kind in KINDS:
        page = PROJECT / "docs" / "reference" / f"{kind.lower()}.rst"
        assert f".. resource:: {kind}" in page.read_text()


@pytest.mark.parametrize("kind", sorted(DEFINITIONS))
@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_is_there_with_what_the_schema_says_of_it(kind: str, part: str) -> None:
    found = documented(kind)
    schema = DEFINITIONS[kind]["properties"][part]
    expected = dict(leaves(schema, part))
    assert len(expected) > 3
    assert {path for path in found if path.startswith(f"{part}.")} == set(expected)
    for path, described in expected.items():
        field = found[path]
        assert field.description == described["description"]
        if "default" in described:
            assert field.default is not None
            assert json.loads(field.default) == described["default"]
        rules = "\n".join(field.rules)
        for rule in described.get("x-kubernetes-validations", ()):
            assert rule["message"] in rules
        for value in described.get("enum", ()):
            assert str(value) in rules
        for bound in ("minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"):
            if bound in described:
                assert str(described[bound]) in rules


@pytest.mark.parametrize("kind", sorted(DEFINITIONS))
def test_every_field_has_an_anchor_of_its_own(kind: str) -> None:
    anchors = [identifier(kind, field.path) for field in fields_of(kind)]
    assert len(anchors) == len(set(anchors))
