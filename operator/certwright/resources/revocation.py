"""The state of revocations: `status.revocations`."""

from typing import Annotated, Final, Literal

from pydantic import Field

from certwright.resources.base import Model
from certwright.resources.references import UsedIssuer
from certwright.resources.rules import MAX_COUNT
from certwright.resources.timestamp import Timestamp
from certwright.revocation_reasons import RevocationReasonName

KEPT_REVOCATIONS: Final = 8
"""How many revocations the status keeps."""
MAX_COMPROMISED_KEYS: Final = 16
"""How many keys that others have the status keeps."""
LONGEST_REVOCATION_MESSAGE: Final = 1024

RevocationState = Literal["Pending", "Revoked", "Failed"]


class RevocationStatus(Model):
    """A certificate that was revoked or will be."""

    serial_number: Annotated[str, Field(max_length=64)]
    """The serial number of the certificate, in hexadecimal."""
    fingerprint: Annotated[str, Field(max_length=64, pattern="^[0-9a-f]{64}$")]
    """The SHA-256 fingerprint of the certificate. The operator never uses a certificate with this fingerprint again."""
    revision: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The revision of the certificate in the Secret."""
    reason: RevocationReasonName = "unspecified"
    """The reason code, as in RFC 5280."""
    request_id: Annotated[str, Field(max_length=64)] | None = Field(default=None, alias="requestID")
    """The request for the revocation; unset for spec.revokeOnDelete."""
    issuer: UsedIssuer | None = None
    """The issuer that revokes it."""
    state: RevocationState
    """Pending, Revoked or Failed."""
    held: bool = False
    """Whether a Secret holds the certificate and its key for the revocation."""
    message: Annotated[str, Field(max_length=LONGEST_REVOCATION_MESSAGE)] = ""
    """The result."""
    started_time: Timestamp
    """When the operator started."""
    finished_time: Timestamp | None = None
    """When the certificate was revoked, or the operator gave up."""
