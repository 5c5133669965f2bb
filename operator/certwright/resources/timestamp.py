"""Instants as Kubernetes objects hold them: RFC 3339, UTC, whole seconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, PlainSerializer, WithJsonSchema


def _whole_seconds_utc(instant: datetime) -> datetime:
    # Cut on the way in, so that a model equals what the API server gives back for it.
    return instant.astimezone(UTC).replace(microsecond=0)


def format_timestamp(instant: datetime) -> str:
    """Writes an aware instant as `2026-01-31T12:00:00Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_whole_seconds_utc),
    PlainSerializer(format_timestamp, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
