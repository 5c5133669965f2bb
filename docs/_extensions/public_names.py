"""The directive `public`: each of the given names of a package by autodoc, in the way that suits what it is.

.. public:: certwright.acme

Client
AccountKey
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from docstrings import link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from docutils import nodes
    from sphinx.application import Sphinx

FOREIGN: Final = "object, Exception, Protocol"
"""Base classes whose members are Python's own and not documented here."""
LONGEST_SOURCE: Final = 110
"""Longer assignments are not shown."""


class PublicNames(SphinxDirective):
    """Documents the names in its content, which must all be in the package's `__all__`."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"without-members": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Write what autodoc reads, and let it."""
        package = importlib.import_module(self.arguments[0])
        names = [name for line in self.content for name in line.split()]
        unknown = sorted(set(names) - set(package.__all__))
        if unknown:
            raise self.error(f"not public in {package.__name__}: {', '.join(unknown)}")
        text = "\n\n".join(
            "\n".join(directive(package, name, members="without-members" not in self.options)) for name in names
        )
        return self.parse_text_to_nodes(f".. py:currentmodule:: {package.__name__}\n\n{text}\n")


def directive(package: ModuleType, name: str, *, members: bool = True) -> Iterator[str]:
    """Yield the lines that document one name, with its members unless they are documented elsewhere."""
    value = getattr(package, name)
    if inspect.isclass(value):
        yield f".. auto{'exception' if issubclass(value, Exception) else 'class'}:: {name}"
        if not members:
            return
        yield "   :members:"
        if issubclass(value, enum.Enum):
            yield "   :undoc-members:"
        elif any(base.__module__.startswith("certwright") for base in value.__bases__):
            yield "   :show-inheritance:"
            if not issubclass(value, Exception):
                yield f"   :inherited-members: {FOREIGN}"
    elif callable(value) and inspect.isroutine(value):
        yield f".. autofunction:: {name}"
    else:
        yield from _data(package.__name__, name)


def _data(package: str, name: str) -> Iterator[str]:
    """Yield the lines for a constant or an alias, with the docstring below it or the `#:` comment above it."""
    source, comment = definition(package, name)
    yield f".. py:data:: {name}"
    yield "   :canonical: " + f"{package}.{name}"
    yield ""
    if not comment:
        raise ValueError(f"{package}.{name} has no docstring below it that says what it is")
    for line in comment:
        yield f"   {re.sub(r'`([^`]+)`', lambda found: link(found[1]), line)}"
    if re.search(r"\b_\w", source):
        # It is made of something private: its value tells more.
        source = f"{name} = {getattr(importlib.import_module(package), name)!r}"
    if source:
        yield ""
        yield from ("   .. code-block:: python", "", f"      {source}")


def definition(module: str, name: str) -> tuple[str, list[str]]:
    """Return the assignment of a constant or an alias, if it is short, and its documentation, line by line.

    Imports are followed to the module that makes the assignment, which may be in another package.

    Raises:
        KeyError: The module neither assigns nor imports the name.
    """
    text = inspect.getsource(importlib.import_module(module))
    body = ast.parse(text).body
    for node, following in zip(body, (*body[1:], None), strict=True):
        if _assigns(node, name):
            source = " ".join((ast.get_source_segment(text, node) or "").split())
            comment = _docstring(following) or _comment_above(text, node)
            return source if len(source) <= LONGEST_SOURCE else "", comment
        if isinstance(node, ast.ImportFrom) and node.module and name in {one.asname or one.name for one in node.names}:
            original = next(one.name for one in node.names if name == (one.asname or one.name))
            return definition(node.module, original)
    raise KeyError(f"{module}.{name}")


def _assigns(node: ast.stmt, name: str) -> bool:
    if not isinstance(node, ast.AnnAssign | ast.Assign):
        return False
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    return isinstance(target, ast.Name) and target.id == name


def _docstring(node: ast.stmt | None) -> list[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value).splitlines()
    return []


def _comment_above(text: str, node: ast.stmt) -> list[str]:
    lines = text.splitlines()
    first = last = node.lineno - 1
    while first and lines[first - 1].startswith("#:"):
        first -= 1
    return [line.removeprefix("#:").strip() for line in lines[first:last]]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.add_directive("public", PublicNames)
    return {"parallel_read_safe": True}
