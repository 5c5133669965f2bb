"""Our docstrings, which are written for people who read source, as reStructuredText.

`name` becomes a link where it is a public name and code where it is not; an indented block after a paragraph is
code. The sections (Args, Raises, ...) are napoleon's job, which runs after this.
"""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

PACKAGES: Final = ("certwright.acme", "certwright.client", "certwright.pki", "certwright.dns")
PRIORITY: Final = 400
"""Before napoleon, whose priority is the default."""

_CODE: Final = re.compile(r"(?<!`)`([^`]+)`(?!`)", re.DOTALL)
_SECTION: Final = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Example|Note):$")


@cache
def public_names() -> dict[str, str]:
    """Return where each public name is documented."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for name in importlib.import_module(package).__all__:
            found.setdefault(name, f"{package}.{name}")
    return found


@cache
def canonical_names() -> dict[str, str]:
    """Return the public name of each class and function by the one it was defined under."""
    found: dict[str, str] = {}
    for public in public_names().values():
        package, _, name = public.rpartition(".")
        value = getattr(importlib.import_module(package), name)
        if inspect.isclass(value) or inspect.isfunction(value):
            found[f"{value.__module__}.{value.__qualname__}"] = public
    return found


def link(code: str) -> str:
    """Return a code span as reStructuredText: a link to what it names, or just code."""
    code = " ".join(code.split())
    head, _, rest = code.partition(".")
    bare = rest.removesuffix("()")
    target = public_names().get(head.removesuffix("()"))
    if target is not None and (not rest or bare.isidentifier()):
        package, _, name = target.rpartition(".")
        if not rest or hasattr(getattr(importlib.import_module(package), name), bare):
            return f":py:obj:`{code} <{target + ('.' + bare if rest else '')}>`"
    return f"``{code}``"


def to_rst(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText."""
    text = _CODE.sub(lambda found: link(found[1]), "\n".join(_with_code_blocks(lines)))
    return text.split("\n")


def _with_code_blocks(lines: list[str]) -> Iterator[str]:
    in_code = in_section = False
    for number, line in enumerate(lines):
        if _SECTION.match(line):
            in_section = True
        if in_section:
            yield line
            continue
        indented = line.startswith("    ")
        if indented and not in_code and number and not lines[number - 1].strip():
            in_code = True
            yield from (".. code-block:: python", "")
        elif in_code and line.strip() and not indented:
            in_code = False
        # What is code already must not become code twice.
        yield line.replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}") if in_code else line


def _process(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    lines[:] = to_rst(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("autodoc-process-docstring", _process, priority=PRIORITY)
    return {"parallel_read_safe": True}
