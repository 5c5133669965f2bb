"""From pydantic's JSON schema to Kubernetes' structural schema.

A structural schema has one type at every node, no references and no alternatives; what pydantic writes as
`anyOf` with null is an optional field there. Whatever has no counterpart is an error here, not a surprise in
the cluster.
"""

from collections.abc import Mapping
from typing import Any, Final

JsonSchema = dict[str, Any]

_REFERENCE: Final = "#/$defs/"
_RULES: Final = "x-kubernetes-validations"
# The order in a manifest: what people look for comes first, and pydantic's own order does not matter.
_KEYWORDS: Final = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "maxProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "items",
    "required",
    "properties",
    "additionalProperties",
    _RULES,
)
_DROPPED: Final = frozenset({"title", "$defs"})


class NotStructural(TypeError):
    """A model says something that no structural schema can say."""


def structural(schema: JsonSchema, *, definitions: Mapping[str, JsonSchema], defaults: bool) -> JsonSchema:
    """Turns one node and all below it.

    Args:
        schema: the node as pydantic wrote it.
        definitions: the `$defs` of the whole.
        defaults: whether the API server is to fill in defaults; a status has none.

    Raises:
        NotStructural: a node has no type, has alternatives, or uses a keyword that is not known here.
    """
    node = _flatten(schema, definitions)
    unknown = node.keys() - set(_KEYWORDS)
    if unknown or "type" not in node:
        raise NotStructural(f"no structural schema for {sorted(unknown) or 'a node without type'}: {schema}")
    if not defaults or _is_empty(node):
        node.pop("default", None)
    if "description" in node:
        node["description"] = _describe(node)
    if node["type"] == "integer":
        node.setdefault("format", "int64")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = structural(node[key], definitions=definitions, defaults=defaults)
    if "properties" in node:
        node["properties"] = {
            name: structural(child, definitions=definitions, defaults=defaults)
            for name, child in node["properties"].items()
        }
    return {keyword: node[keyword] for keyword in _KEYWORDS if keyword in node}


def _describe(node: JsonSchema) -> str:
    """The description in one line; `kubectl explain` shows no defaults, so they are said in words."""
    text = " ".join(node["description"].split())
    default = node.get("default")
    if default is None or isinstance(default, dict):
        return text
    shown = str(default).lower() if isinstance(default, bool) else default
    return f"{text} Default: {shown}."


def _is_empty(node: JsonSchema) -> bool:
    # An empty list or map is the same as none; writing it into every object would only be noise.
    return node.get("default") in (None, [], "") or (node.get("default") == {} and "properties" not in node)


def _flatten(schema: JsonSchema, definitions: Mapping[str, JsonSchema]) -> JsonSchema:
    """One node without references, without null, without single-valued keywords of its own."""
    node = {key: value for key, value in schema.items() if key not in _DROPPED}
    if "$ref" in node:
        target = definitions[node.pop("$ref").removeprefix(_REFERENCE)]
        node = _merge(_flatten(target, definitions), node)
    if "anyOf" in node:
        choices = [choice for choice in node.pop("anyOf") if choice.get("type") != "null"]
        if len(choices) != 1:
            raise NotStructural(f"alternatives: {schema}")
        node = _merge(_flatten(choices[0], definitions), node)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    return node


def _merge(inner: JsonSchema, outer: JsonSchema) -> JsonSchema:
    merged = {**inner, **outer}
    rules = [*inner.get(_RULES, ()), *outer.get(_RULES, ())]
    return {**merged, _RULES: rules} if rules else merged
