"""What the API server lists and watches: one kind of object, by all of its names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Resource:
    """What is listed and watched.

    Attributes:
        group: API group; "" for the core.
        version: For example ``v1``.
        plural: As in URLs: ``certificates``.
        kind: As in manifests: ``Certificate``.
        labels: Only objects that carry these are watched.
    """

    group: str
    version: str
    plural: str
    kind: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def title(self) -> str:
        """The resource as kubectl names it: ``certificates.certwright.io``, ``secrets``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def root(self) -> str:
        """What the paths of its lists begin with: ``apis/certwright.io/v1``, ``api/v1``."""
        return f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"

    @property
    def selector(self) -> str:
        """The labels as the API server takes them; "" without any."""
        return ",".join(f"{name}={value}" for name, value in self.labels.items())

    def selects(self, metadata: Mapping[str, Any]) -> bool:
        """Whether an object carries the labels."""
        return self.labels.items() <= (metadata.get("labels") or {}).items()

    def key(self, metadata: Mapping[str, Any]) -> Key:
        """Return the key of an object."""
        return Key(self.kind, metadata.get("namespace") or "", metadata["name"])
