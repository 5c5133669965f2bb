"""Kubernetes extensions of a schema: CEL rules, list types, atomic maps."""

from typing import Final

from pydantic import JsonValue

ATOMIC_MAP: Final[dict[str, JsonValue]] = {"x-kubernetes-map-type": "atomic"}
"""An object that one writer owns as a whole; its fields cost nothing in `managedFields`."""
ATOMIC_LIST: Final[dict[str, JsonValue]] = {"x-kubernetes-list-type": "atomic"}
"""A list that one writer owns as a whole.

Server-side apply would merge a `set`: an entry that one manager drops stays while another one still has it.
"""
CONDITIONS: Final[dict[str, JsonValue]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
}
"""A list of conditions: one of each type."""
VISIBLE_ASCII: Final = "^[!-~]+$"
"""The characters of a URL."""
MAX_COUNT: Final = 999_999_999
"""Of what a status counts: one that somebody else set can still be counted on from."""


def rule(cel: str, message: str, *, field_path: str | None = None, reason: str | None = None) -> JsonValue:
    """One entry of `x-kubernetes-validations`.

    Args:
        cel: an expression over `self` that is true for a good value.
        message: follows the path and the value in the API server's error.
        field_path: the field to blame, such as `.commonName`; without it the object itself is.
        reason: `FieldValueRequired`, `FieldValueForbidden`, ... ; without it `FieldValueInvalid`.
    """
    entry: dict[str, JsonValue] = {"rule": cel, "message": message}
    if field_path is not None:
        entry["fieldPath"] = field_path
    if reason is not None:
        entry["reason"] = reason
    return entry


def validations(*rules: JsonValue) -> dict[str, JsonValue]:
    """The rules of one schema, for `json_schema_extra`."""
    return {"x-kubernetes-validations": list(rules)}
