"""The part of an object's metadata that the operator looks at."""

from collections.abc import Mapping

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
