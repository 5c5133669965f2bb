"""Byte code that does not check its source: the image is read-only, and its file times are arbitrary."""

from __future__ import annotations

import importlib.util
import py_compile
from pathlib import Path
from typing import Final

from .errors import RootError

_UNCHECKED: Final = py_compile.PycInvalidationMode.UNCHECKED_HASH


def replace_by_byte_code(source: Path, known_as: str) -> None:
    """Replace `x.py` with `x.pyc`; tracebacks still name file and line.

    Args:
        source: The file.
        known_as: Its path in the image.

    Raises:
        RootError: It does not compile.
    """
    _compile(source, source.with_suffix(".pyc"), known_as)
    source.unlink()


def compile_project(venv: Path, root: Path) -> None:
    """Compile Certwright's own modules and leave their sources beside the byte code, for readable tracebacks.

    Raises:
        RootError: One does not compile.
    """
    below = root / venv.relative_to("/")
    for source in sorted(below.rglob("*.py")):
        _compile(source, Path(importlib.util.cache_from_source(str(source))), f"/{source.relative_to(root)}")


def _compile(source: Path, target: Path, known_as: str) -> None:
    try:
        py_compile.compile(str(source), str(target), known_as, doraise=True, invalidation_mode=_UNCHECKED, quiet=1)
    except py_compile.PyCompileError as error:
        raise RootError(f"{known_as} does not compile: {error.exc_value}") from error
