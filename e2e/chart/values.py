"""The comments of `values.yaml`, which are the descriptions of its values everywhere else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from chart.helm import CHART

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES: Final = CHART / "values.yaml"
_KEY: Final = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z0-9]+):")
_INDENT: Final = 2


@dataclass(frozen=True)
class Value:
    """One documented value.

    Attributes:
        path: Its keys from the top.
        description: The comment above it, on one line.
        default: What `values.yaml` has.
    """

    path: tuple[str, ...]
    description: str
    default: Any

    @property
    def name(self) -> str:
        """The path as `--set` takes it."""
        return ".".join(self.path)

    @property
    def default_text(self) -> str:
        """The default on one line, as YAML that is JSON too."""
        return json.dumps(self.default)


def documented_values(text: str | None = None) -> list[Value]:
    """Return the values that have a comment right above them, in their order; the file's head is none.

    What is below a documented value is a part of it and has no comment.
    """
    source = VALUES.read_text(encoding="utf-8") if text is None else text
    defaults = yaml.safe_load(source)
    found = []
    for path, comment in _commented_keys(source):
        default = defaults
        for key in path:
            default = default[key]
        found.append(Value(path, comment, default))
    return found


def _commented_keys(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
            continue
        if key := _KEY.match(line):
            path[len(key["indent"]) // _INDENT :] = [key["key"]]
            if comment:
                yield tuple(path), " ".join(comment)
        comment = []
