"""The key of an object to reconcile."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """An object's kind, namespace ("" for cluster-scoped objects) and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"
