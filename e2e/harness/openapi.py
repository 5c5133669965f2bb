"""JSON schemas from a running API server, for kubeconform: all kinds that it serves, CRDs included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from testbed.bed import TestBed

LOCATION: Final = "{{.Group}}/{{.ResourceAPIVersion}}/{{.ResourceKind}}.json"
"""Where kubeconform finds the schema of a kind, below the folder."""

_REFERENCE: Final = "#/components/schemas/"
# RawExtension and the like hold what other schemas define.
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"


def write_schemas(bed: TestBed, folder: Path) -> int:
    """Write a strict schema for every kind that the bed's API server has; return how many there are.

    Unknown fields are refused. What is left to defaulting and CEL rules is for a dry run to find. CRDs that were just
    applied may be missing for a second.
    """
    context = bed.authority.client_context(bed.apiserver.admin)
    written = 0
    with httpx.Client(
        base_url=bed.apiserver.url, verify=context, timeout=60.0, trust_env=False, follow_redirects=True
    ) as http:
        index = http.get("/openapi/v3").raise_for_status().json()["paths"]
        for path in sorted(index):
            if not path.startswith(("api/", "apis/")):
                continue
            document = http.get(index[path]["serverRelativeURL"]).raise_for_status().json()
            for (group, version, kind), schema in _kinds(document):
                # kubeconform uses the version of the core group as its group.
                target = folder / (group or version) / version / f"{kind.lower()}.json"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(json.dumps(schema), encoding="utf-8")
                written += 1
    return written


def _kinds(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str, str], dict[str, Any]]]:
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    definitions = {name: _strict(schema) for name, schema in schemas.items()}
    for name, schema in schemas.items():
        for identity in schema.get("x-kubernetes-group-version-kind", ()):
            # DeleteOptions and its like are of every group.
            if "apiVersion" in schema.get("properties", {}) and "metadata" in schema["properties"]:
                key = identity["group"], identity["version"], identity["kind"]
                yield key, {**definitions[name], "definitions": definitions}


def _strict(schema: Any) -> Any:
    """Convert an OpenAPI schema to a JSON schema that rejects unknown fields."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    if "$ref" in schema:
        return {"$ref": "#/definitions/" + schema["$ref"].removeprefix(_REFERENCE)}
    made = {key: _strict(content) for key, content in schema.items() if key not in {"default", "properties"}}
    if "properties" in schema:
        made["properties"] = {name: _strict(content) for name, content in schema["properties"].items()}
        if not schema.get(_OPEN):
            made.setdefault("additionalProperties", False)
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        made["type"] = [schema["type"], "null"]
    return made
