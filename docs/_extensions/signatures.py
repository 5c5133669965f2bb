"""Signatures that a reader can use: the value of a constant in place of its name, and no names that are private.

A default such as `timeout=DEFAULT_TIMEOUT` becomes `timeout=600.0`; what is made anew for each object is shown by how
it is made; a base class that is private gives way to its own bases.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from sphinx.domains.python._object import PyObject

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_CONSTANT: Final = re.compile(r"(= ?)([A-Z][A-Z0-9_]+)\b")
_MADE: Final = re.compile(r"(\w+)(: (?:(?!\w+: )[^=])+?)( ?= ?)<factory>")
"""The name that stands last before the default, not one of those before it."""
_FUNCTION: Final = re.compile(r"<(?:built-in )?function \w+(?: at 0x\w+)?>")
_PLAIN: Final = (int, float, str)


def readable(signature: str, value: object) -> str:
    """Return a signature with values in the place of constants, and without the insides of objects."""
    names = _globals(value)

    def constant(found: re.Match[str]) -> str:
        known = names.get(found[2])
        return f"{found[1]}{known!r}" if isinstance(known, _PLAIN) else found[0]

    def made(found: re.Match[str]) -> str:
        return f"{found[1]}{found[2]} = {_made(value, found[1])}"

    return _FUNCTION.sub("...", _MADE.sub(made, _CONSTANT.sub(constant, signature)))


def public_bases(bases: list[Any]) -> list[Any]:
    """Return bases of a class with those of private ones in their place."""
    found: list[Any] = []
    for base in bases:
        private = inspect.isclass(base) and base.__name__.startswith("_")
        found += public_bases(list(base.__bases__)) if private else [base]
    return list(dict.fromkeys(found))


def _globals(value: object) -> dict[str, Any]:
    function = inspect.unwrap(value) if callable(value) and not inspect.isclass(value) else value
    return vars(sys.modules[getattr(function, "__module__", None) or __name__])


def _made(value: object, name: str) -> str:
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name == name and inspect.isclass(field.default_factory):
                made = field.default_factory.__name__
                return {"dict": "{}", "list": "[]"}.get(made, f"{made}()")
    return "..."


def _signature(
    _app: Sphinx, _what: str, _name: str, value: object, _options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    return (readable(signature, value) if signature else signature), returns


def _bases(_app: Sphinx, _name: str, _value: object, _options: object, bases: list[Any]) -> None:
    bases[:] = public_bases(bases)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect them."""
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-bases", _bases)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            # What Python calls attributes, and our docstrings as well.
            field.label = "Attributes"
    return {"parallel_read_safe": True}
