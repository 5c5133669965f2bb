"""What every object of ours has."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import ValidationError

from certwright.resources.base import Model
from certwright.resources.errors import InvalidResource, describe
from certwright.resources.metadata import Metadata


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
            name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
            raise InvalidResource(f"{cls.KIND} {name}", describe(error)) from None

    @property
    def display_name(self) -> str:
        """The object for messages: `Certificate default/web`, `ClusterIssuer letsencrypt`."""
        place = f"{self.metadata.namespace}/" if self.metadata.namespace else ""
        return f"{self.KIND} {place}{self.metadata.name}"
