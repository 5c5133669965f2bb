"""The revisions of a certificate that are kept."""

from typing import Annotated

from pydantic import Field

from certwright.resources.base import Model
from certwright.resources.rules import MAX_COUNT
from certwright.resources.timestamp import Timestamp


class RevisionStatus(Model):
    """An earlier certificate that is kept with its private key."""

    revision: Annotated[int, Field(ge=0, le=MAX_COUNT)]
    """Its revision; 0 for one that was adopted."""
    not_before: Timestamp
    """When it became valid."""
    not_after: Timestamp
    """When it expires."""
    serial_number: Annotated[str, Field(max_length=64)]
    """Its serial number, in hexadecimal."""
