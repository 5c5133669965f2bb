"""The directive `error-tree`: a hierarchy of exceptions as it is in the classes, first as a tree, then one by one.

.. error-tree:: certwright.acme.AcmeError
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

from docstrings import canonical_names, to_rst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx


class ErrorTree(SphinxDirective):
    """Documents a class of errors and all below it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the tree and what autodoc reads."""
        package, _, name = self.arguments[0].rpartition(".")
        root: type[Exception] = getattr(importlib.import_module(package), name)
        text = "\n".join((*tree(root), "", *entries(root), ""))
        return self.parse_text_to_nodes(text)


def below(error: type[Exception]) -> list[type[Exception]]:
    """Return the public subclasses of an error, in the order of their names."""
    return sorted((child for child in error.__subclasses__() if name_of(child)), key=lambda child: child.__name__)


def name_of(error: type[Exception]) -> str | None:
    """Return the public name of an error, or None if it has none."""
    return canonical_names().get(f"{error.__module__}.{error.__qualname__}")


def tree(error: type[Exception], depth: int = 0) -> Iterator[str]:
    """Yield the nested list of an error and all below it."""
    first = " ".join(to_rst((inspect.getdoc(error) or "").split("\n\n")[0].splitlines()))
    passes = " *May pass by itself.*" if getattr(error, "temporary", False) else ""
    indent = "  " * depth
    yield f"{indent}- :py:exc:`~{name_of(error)}`: {first}{passes}"
    children = below(error)
    if children:
        yield ""
    for child in children:
        yield from tree(child, depth + 1)
    if children:
        yield ""


def entries(error: type[Exception]) -> Iterator[str]:
    """Yield the directives for an error and all below it."""
    yield f".. autoexception:: {name_of(error)}"
    yield from ("   :members:", "   :show-inheritance:", "")
    for child in below(error):
        yield from entries(child)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.add_directive("error-tree", ErrorTree)
    return {"parallel_read_safe": True}
