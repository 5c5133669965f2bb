"""The part of an object's metadata that the operator looks at."""

from collections.abc import Mapping
from typing import Any

from certwright.resources.base import Model
from certwright.resources.timestamp import Timestamp


class Metadata(Model):
    """An object's name, identity and labels, as the API server keeps them."""

    name: str
    namespace: str | None = None
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    finalizers: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """Name, namespace and UID in JSON terms, for writes that must hit this object and no successor of its name."""
        return {"name": self.name, "namespace": self.namespace, "uid": self.uid}
