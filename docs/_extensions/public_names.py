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
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from docstrings import link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from docutils import nodes
    from sphinx.application import Sphinx

#: Ends of a class's ancestry: what these have is Python's, and documented there.
FOREIGN: Final = "object, Exception, Protocol"


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
    """A constant or an alias; its words are the comment above it, wherever in the package it is."""
    source, comment = data_sources(package)[name]
    yield f".. py:data:: {name}"
    yield "   :canonical: " + f"{package}.{name}"
    yield ""
    if not comment:
        raise ValueError(f"{package}.{name} has no comment (#:) above it that says what it is")
    for line in comment:
        yield f"   {re.sub(r'`([^`]+)`', lambda found: link(found[1]), line)}"
    if re.search(r"\b_\w", source):
        # It is made of something private: its value tells more.
        source = f"{name} = {getattr(importlib.import_module(package), name)!r}"
    if source:
        yield ""
        yield from ("   .. code-block:: python", "", f"      {source}")


@cache
def data_sources(package: str) -> dict[str, tuple[str, list[str]]]:
    """Return the assignment, if it is short, and the comment of every constant and alias of a package."""
    found: dict[str, tuple[str, list[str]]] = {}
    for module in _modules(package):
        text = inspect.getsource(module)
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, ast.AnnAssign | ast.Assign):
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                if isinstance(target, ast.Name):
                    source = " ".join((ast.get_source_segment(text, node) or "").split())
                    first = last = node.lineno - 1
                    while first and lines[first - 1].startswith("#:"):
                        first -= 1
                    comment = [line.removeprefix("#:").strip() for line in lines[first:last]]
                    found[target.id] = (source if len(source) <= 110 else "", comment)  # noqa: PLR2004 - a line
    return found


def _modules(package: str) -> Iterator[ModuleType]:
    imported = importlib.import_module(package)
    for module in pkgutil.walk_packages(imported.__path__, f"{package}."):
        yield importlib.import_module(module.name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.add_directive("public", PublicNames)
    return {"parallel_read_safe": True}
