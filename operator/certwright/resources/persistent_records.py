"""`status.persistentRecords`: the permanent DNS records of an issuer's account."""

from typing import Annotated, Final, Literal

from pydantic import Field

from certwright.resources.base import Model

MAX_RECORDS: Final = 64
"""That a status lists."""

RecordState = Literal["Published", "Expiring", "Missing", "Superseded", "Unknown"]


class PersistentRecordStatus(Model):
    """A permanent TXT record of dns-persist-01."""

    domain: Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9_.-]+$")]
    """The domain that it validates."""
    name: Annotated[str, Field(max_length=255, pattern=r"^[a-z0-9_.-]+$")]
    """The name of the record, after following CNAMEs."""
    type: Literal["TXT"] = "TXT"
    """The type of the record."""
    value: Annotated[str, Field(max_length=1024, pattern="^[ -~]+$")]
    """The exact value of the record."""
    state: RecordState = "Unknown"
    """
    Published: every authoritative server has it, or an equivalent record. Expiring: the same, for less than 30 days.
    Missing: publish it; if the solver names a DNS provider, the operator does. Superseded: it is for another account or
    key, or for earlier settings; replace it. Unknown: the DNS servers could not be asked.
    """
    written: bool = False
    """Whether the operator has created it, or is about to."""
