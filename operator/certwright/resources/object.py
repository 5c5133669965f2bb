"""The common parts of our objects."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import ValidationError

from certwright.resources.base import Model
from certwright.resources.errors import InvalidResource, describe
from certwright.resources.timestamp import Timestamp


class OwnerReference(Model):
    """An object that another one belongs to, and is deleted with."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


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
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def controller(self) -> OwnerReference | None:
        """The one object that manages this one, if any."""
        return next((one for one in self.owner_references if one.controller), None)

    @property
    def identity(self) -> dict[str, Any]:
        """Name, namespace and UID in JSON terms, for writes that must hit this object and no successor of its name."""
        return {"name": self.name, "namespace": self.namespace, "uid": self.uid}


class Object(Model):
    """A Certificate, an Issuer or a ClusterIssuer."""

    KIND: ClassVar[str]
    PLURAL: ClassVar[str]
    NAMESPACED: ClassVar[bool] = True

    metadata: Metadata

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Self:
        """Reads an object as the API server gives it; fields this version does not know are ignored.

        Raises:
            InvalidResource: the object is stored, yet does not follow this version's schema.
        """
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            metadata = body.get("metadata") or {}
            name = "/".join(str(part) for part in (metadata.get("namespace"), metadata.get("name")) if part)
            raise InvalidResource(f"{cls.KIND} {name}", describe(error)) from None

    @property
    def display_name(self) -> str:
        """The object for messages: `Certificate default/web`, `ClusterIssuer letsencrypt`."""
        place = f"{self.metadata.namespace}/" if self.metadata.namespace else ""
        return f"{self.KIND} {place}{self.metadata.name}"
