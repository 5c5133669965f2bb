"""The directive `resource`: every field of a kind, from the schema that its CRD is made of.

.. resource:: Certificate
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from certwright.resources.certificate import Certificate
from certwright.resources.crd import open_api_schema
from certwright.resources.issuer import ClusterIssuer, Issuer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sphinx.application import Sphinx

KINDS: Final = {kind.KIND: kind for kind in (Certificate, Issuer, ClusterIssuer)}


@dataclass(frozen=True)
class Field:
    """One field of a resource.

    Attributes:
        path: Such as `spec.acme.solvers[].dns01`.
        type: In the words of `kubectl explain`, such as `[]string`.
        description: What it is.
        required: Whether it has to be there, where its parent is.
        default: What the API server fills in, as YAML would have it, or None.
        rules: What values it takes, in words.
    """

    path: str
    type: str
    description: str
    required: bool
    default: str | None
    rules: tuple[str, ...]


def fields_of(kind: str) -> list[Field]:
    """Return all fields below `spec` and `status` of a kind, parents before children."""
    schema = open_api_schema(KINDS[kind])
    return [
        field
        for part in ("spec", "status")
        for field in _walk(schema["properties"][part], part, required=part in schema["required"])
    ]


def _walk(schema: Mapping[str, Any], path: str, *, required: bool) -> Iterator[Field]:
    default = json.dumps(schema["default"]) if "default" in schema else None
    yield Field(path, type_of(schema), schema.get("description", ""), required, default, tuple(rules_of(schema)))
    items = schema.get("items")
    parent, path = (items, f"{path}[]") if isinstance(items, dict) else (schema, path)
    for name, child in parent.get("properties", {}).items():
        yield from _walk(child, f"{path}.{name}", required=name in parent.get("required", ()))


def type_of(schema: Mapping[str, Any]) -> str:
    """Return the type as `kubectl explain` writes it."""
    if "items" in schema:
        return f"[]{type_of(schema['items'])}"
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        return f"map[string]{type_of(values)}"
    return str(schema.get("type", "any"))


def rules_of(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what values a field takes: its own rules, and those of its items."""
    if "enum" in schema:
        yield "one of " + ", ".join(map(str, schema["enum"]))
    for words, least, most in (
        ("entries", "minItems", "maxItems"),
        ("entries", "minProperties", "maxProperties"),
        ("characters", "minLength", "maxLength"),
        ("", "minimum", "maximum"),
    ):
        if bounds := _bounds(schema.get(least), schema.get(most)):
            yield f"{bounds} {words}".strip()
    if "pattern" in schema:
        yield f"matches {schema['pattern']}"
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"otherwise refused: \N{LEFT DOUBLE QUOTATION MARK}{rule['message']}\N{RIGHT DOUBLE QUOTATION MARK}"
    for part in ("items", "additionalProperties"):
        if isinstance(inner := schema.get(part), dict) and "properties" not in inner:
            yield from (f"each: {rule}" for rule in rules_of(inner))
        elif isinstance(inner, dict):
            yield from (f"each: {rule}" for rule in rules_of({**inner, "properties": {}}))


def _bounds(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f"{least} to {most}" if least != most else f"exactly {least}"
    return f"at least {least}" if least is not None else f"at most {most}" if most is not None else ""


class ResourceFields(SphinxDirective):
    """Lists the fields of a kind."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make a definition list of them."""
        kind: str = self.arguments[0]
        listed: list[nodes.Node] = []
        for part in ("spec", "status"):
            section = nodes.section(ids=[f"{kind.lower()}-{part}"], names=[f"{kind.lower()}-{part}"])
            section += nodes.title(text=part)
            fields = [field for field in fields_of(kind) if field.path.split(".")[0] == part]
            section += nodes.paragraph("", "", *_text(fields[0].description))
            section += _facts(fields[0])
            entries = nodes.definition_list(classes=["fields"])
            entries += [_entry(kind, field) for field in fields[1:]]
            section += entries
            listed.append(section)
        return listed


def identifier(kind: str, path: str) -> str:
    """Return the anchor of a field."""
    return f"{kind}-{path}".lower().replace(".", "-").replace("[]", "")


def _entry(kind: str, field: Field) -> nodes.Node:
    anchor = identifier(kind, field.path)
    name = field.path.partition(".")[2]
    term = nodes.term("", "", ids=[anchor])
    term += nodes.reference("", "", nodes.literal(text=name), refid=anchor, internal=True)
    term += nodes.inline(text=field.type, classes=["field-type"])
    if field.required:
        term += nodes.inline(text="required", classes=["field-required"])
    body = nodes.definition()
    # What `kubectl explain` has to say in words is a fact of its own here.
    if description := re.sub(r" Default: \S+\.$", "", field.description) if field.default else field.description:
        body += nodes.paragraph("", "", *_text(description))
    body += _facts(field)
    if not body.children:
        body += nodes.paragraph()
    return nodes.definition_list_item("", term, body)


def _facts(field: Field) -> list[nodes.Node]:
    facts = nodes.bullet_list(classes=["field-facts"])
    if field.default is not None:
        default = nodes.paragraph("", "", nodes.Text("default: "), nodes.literal(text=field.default))
        facts += nodes.list_item("", default)
    facts += [nodes.list_item("", nodes.paragraph("", "", *_text(rule))) for rule in field.rules]
    return [facts] if facts.children else []


def _text(words: str) -> list[nodes.Node]:
    """Return a text whose code is between backticks."""
    parts = words.split("`")
    return [nodes.literal(text=part) if number % 2 else nodes.Text(part) for number, part in enumerate(parts) if part]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.add_directive("resource", ResourceFields)
    return {"parallel_read_safe": True}
