"""Reads a spec of cert-manager as its own programs do: empty is unset, durations have Go's format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final, get_args

from pydantic import BaseModel

from certwright.resources import InvalidDuration, format_duration

MAX_PARTS: Final = 20_000
"""Of an object: maps, lists and values in them. etcd takes objects of 1.5 MB, which nobody writes by hand."""
MAX_DEPTH: Final = 24
_FREE_FORM: Final = frozenset(
    {"affinity", "annotations", "config", "labels", "matchLabels", "nodeSelector", "resources", "securityContext"}
)
"""Whose content means what it says, empty texts included."""
_KEPT_EMPTY: Final = frozenset({"name"})
"""``{name: ""}`` is how its API server writes a reference to no Secret."""

_GO_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "\N{MICRO SIGN}s": 10**3,
    "\N{GREEK SMALL LETTER MU}s": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_LONGEST_DURATION: Final = 64
_UNIT: Final = "|".join(sorted(_GO_NANOSECONDS, key=len, reverse=True))
_GO_PART: Final = re.compile(rf"([0-9]{{1,18}}(?:\.[0-9]{{0,18}})?|\.[0-9]{{1,18}})({_UNIT})")


def is_bounded(value: Any) -> bool:
    """Whether an object is small and flat enough to be read at all."""
    level, parts = [value], 0
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                following += one.values()
            elif isinstance(one, list):
                following += one
        parts += len(following)
        if parts > MAX_PARTS:
            return False
        if not following:
            return True
        level = following
    return False


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a map as it is, and anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def entries(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as an empty one."""
    return value if isinstance(value, list) else []


def without_empty(value: Any) -> Any:
    """Return a spec without what Go programs leave out or read as unset: null, empty texts, empty lists."""
    if isinstance(value, Mapping):
        return {
            str(key): one if key in _FREE_FORM else without_empty(one)
            for key, one in value.items()
            if key in _KEPT_EMPTY or not _is_empty(one)
        }
    if isinstance(value, list):
        return [without_empty(one) for one in value]
    return value


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [])


def go_duration(text: Any) -> str | None:
    """Return a duration of Go's `time.ParseDuration` as our models take it, or None if it is none.

    Parts of a second are kept to the microsecond.
    """
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_DURATION:
        return None
    total, end = Fraction(0), 0
    for found in _GO_PART.finditer(text):
        if found.start() != end:
            return None
        end = found.end()
        total += Fraction(f"{found[1]}0" if found[1].endswith(".") else found[1]) * _GO_NANOSECONDS[found[2]]
    if end != len(text) or total > 10**6 * _GO_NANOSECONDS["h"]:
        return None
    try:
        return format_duration(timedelta(microseconds=int(total / 1000)))
    except InvalidDuration:
        return None


def known_fields(model: type[BaseModel], value: Any, path: str, unknown: list[str]) -> Any:
    """Return a value without the fields that its model does not have, whose paths are added to `unknown`."""
    if isinstance(value, list):
        return [known_fields(model, one, f"{path}[{at}]", unknown) for at, one in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    fields = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    unknown += [f"{path}.{name}" for name in value if name not in fields]
    return {
        name: one if (inner := _model_in(fields[name])) is None else known_fields(inner, one, f"{path}.{name}", unknown)
        for name, one in value.items()
        if name in fields
    }


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, alone or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        if (found := _model_in(part)) is not None:
            return found
    return None
