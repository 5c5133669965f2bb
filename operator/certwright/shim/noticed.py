"""What is kept of an annotated object: just enough to notice changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from certwright.kube.resource import CLASS_ANNOTATION
from certwright.shim.annotations import known_annotations

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Noticed:
    """An annotated object, as its metadata shows it.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        uid: Its UID.
        generation: Of its spec.
        said: A hash of what its annotations and labels say, as far as it could matter.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    said: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Noticed:
        """Take in an object, or its metadata."""
        metadata = body["metadata"]
        annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
        mattering = {**known_annotations(annotations), CLASS_ANNOTATION: str(annotations.get(CLASS_ANNOTATION))}
        return cls(
            namespace=metadata.get("namespace") or "",
            name=metadata["name"],
            uid=str(metadata.get("uid") or ""),
            generation=int(metadata.get("generation") or 0),
            said=hash((frozenset(mattering.items()), frozenset((str(k), str(v)) for k, v in labels.items()))),
        )

    @property
    def metadata(self) -> Noticed:
        """Itself: it is nothing but metadata."""
        return self

    @property
    def identity(self) -> dict[str, Any]:
        """Name, namespace and UID in JSON terms."""
        return {"name": self.name, "namespace": self.namespace, "uid": self.uid}
