"""Checks requests and answers against the description that an API's owner publishes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema

FOLDER = Path(__file__).parents[1] / "descriptions"


class Discovery:
    """A description in Google's format: methods by paths, their parameters, the schemas of bodies.

    Stricter than Google: what is not described is refused.
    """

    def __init__(self, name: str) -> None:
        self._found = json.loads((FOLDER / name).read_text())
        schemas = {name: {**schema, "additionalProperties": False} for name, schema in self._found["schemas"].items()}
        defined = {"$defs": _with_pointers(schemas)}
        self._checks = {
            name: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", **defined}) for name in schemas
        }

    def method(self, verb: str, path: str, query: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Return the method that a request calls, and what its path says."""
        for name, method in self._found["methods"].items():
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", method["path"])
            said = re.fullmatch(f"/{pattern}", path)
            if said is not None and method["httpMethod"] == verb:
                parameters = {**self._found["parameters"], **method["parameters"]}
                for key in query:
                    assert parameters.get(key, {}).get("location") == "query", f"{name} has no parameter {key}"
                return name, said.groupdict()
        raise AssertionError(f"no such method: {verb} {path}")

    def check_request(self, method: str, body: object) -> None:
        """Fail if a body is not one of the method."""
        wanted = self._found["methods"][method].get("request")
        if wanted is None:
            assert body is None, f"{method} has no body"
        else:
            self._check(wanted, body)

    def check_answer(self, method: str, body: object) -> None:
        """Fail if an answer is not one of the method."""
        self._check(self._found["methods"][method]["response"], body)

    def _check(self, schema: str, body: object) -> None:
        self._checks[schema].validate(body)


def _with_pointers(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: f"#/$defs/{value}" if key == "$ref" else _with_pointers(value) for key, value in part.items()}
    return [_with_pointers(one) for one in part] if isinstance(part, list) else part
