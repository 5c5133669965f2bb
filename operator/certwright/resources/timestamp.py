"""Timestamps in the format of Kubernetes objects: RFC 3339, UTC, whole seconds."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, PlainSerializer, WithJsonSchema

from certwright.text import rfc3339

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
_LATEST: Final = datetime.max.replace(tzinfo=UTC, microsecond=0)


def _whole_seconds_utc(instant: datetime) -> datetime:
    if instant.tzinfo is UTC and not instant.microsecond:
        return instant  # it was in a model before
    # Cut on the way in, so that a model equals what the API server gives back for it.
    try:
        return instant.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        # The API server takes any offset in the years 1 and 9999 as well; an object is not unreadable for that.
        return _EARLIEST if instant.year == _EARLIEST.year else _LATEST


Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_whole_seconds_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
