"""Small JSON documents on disk, read into frozen dataclasses with plain fields and checked on the way."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from certwright.cli.acme.exits import CommandError

if TYPE_CHECKING:
    from pathlib import Path

_T = TypeVar("_T")


def to_json(value: Any) -> bytes:
    """Write a dataclass as JSON, for people too: indented, instants in RFC 3339."""
    return (json.dumps(asdict(value), indent=2, ensure_ascii=False, default=plain) + "\n").encode()


def from_json(kind: type[_T], content: bytes, *, path: Path) -> _T:
    """Read what `to_json` wrote. Missing members have their defaults; unknown ones are of a later version.

    Raises:
        CommandError: It is something else; the message names the file and the member.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CommandError(f"{path} is damaged: it holds no JSON object")
    return _read(kind, document, path)


def plain(value: object) -> str:
    """Return how a value without a JSON type is written."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


def _read(kind: type[_T], document: dict[str, Any], path: Path) -> _T:
    hints = get_type_hints(kind)
    given = {}
    for field in fields(kind):  # type: ignore[arg-type]  # every caller gives a dataclass
        if field.name in document:
            given[field.name] = _value(hints[field.name], document[field.name], field.name, path)
    try:
        return kind(**given)
    except TypeError:
        raise CommandError(f"{path} is damaged: a member of {kind.__name__} is missing") from None


def _value(hint: Any, value: Any, name: str, path: Path) -> Any:
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return None if value is None else _value(kinds[0], value, name, path)
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _read(hint, value, path)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(get_args(hint)[0], item, name, path) for item in value)
    if hint is datetime and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise CommandError(f"{path} is damaged: {name!r} is not what it should be")
