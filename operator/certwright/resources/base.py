"""The base of every model: immutable, camelCase outside, snake_case inside."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A part of an object of ours.

    Unknown fields are ignored, so that an object written under a newer CRD can still be read. The generated
    schema is the strict side: the API server refuses or prunes what it does not know.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        # Most are used inside others only, and cost a megabyte when each is built for itself.
        defer_build=True,
        extra="ignore",
        # Keys of a Secret or a TSIG never are in a model, yet what users wrote has no place in an error.
        hide_input_in_errors=True,
    )

    def to_json(self) -> dict[str, Any]:
        """The object in JSON terms, camelCase, without what is None: fit for server-side apply."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, by their Python names; unlike `model_copy` it validates.

        What differs in nothing is not copied.

        Raises:
            TypeError: there is no field of that name.
            pydantic.ValidationError: a value does not fit.
        """
        unknown = changes.keys() - type(self).model_fields.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        fields = self.__dict__
        if all(fields[name] is value or fields[name] == value for name, value in changes.items()):
            return self
        return self.model_validate({**fields, **changes})
