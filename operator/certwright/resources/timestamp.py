"""Instants as Kubernetes objects hold them: RFC 3339, UTC, whole seconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, PlainSerializer, WithJsonSchema

from certwright.text import rfc3339


def _whole_seconds_utc(instant: datetime) -> datetime:
    # Cut on the way in, so that a model equals what the API server gives back for it.
    return instant.astimezone(UTC).replace(microsecond=0)


Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_whole_seconds_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
