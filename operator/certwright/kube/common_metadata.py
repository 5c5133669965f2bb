"""Labels and annotations that the operator sets on every object that it creates, as policies may require."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclasses are easier to read with real annotations
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class CommonMetadata:
    """Metadata for Secrets, solver objects, Events and Leases alike.

    Attributes:
        labels: Their common labels.
        annotations: Their common annotations.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def added_to(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Return a manifest with them; what it has itself stays as it is."""
        if not (self.labels or self.annotations):
            return dict(manifest)
        metadata = dict(manifest["metadata"])
        for name, common in (("labels", self.labels), ("annotations", self.annotations)):
            if common:
                metadata[name] = {**common, **(metadata.get(name) or {})}
        return {**manifest, "metadata": metadata}
