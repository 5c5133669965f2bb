"""Actions to carry out once, and their results: `spec.request` and `status.requests`."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.rules import MAX_COUNT, rule, validations
from certwright.resources.text_rule import TextRule
from certwright.resources.timestamp import Timestamp
from certwright.revocation_reasons import RevocationReasonName

RequestAction = Literal["Renew", "Revoke", "Rollback"]
RequestState = Literal["Running", "Succeeded", "Failed", "Refused"]

KEPT_REQUESTS: Final = 8
"""How many requests the status keeps."""
LONGEST_REQUEST_MESSAGE: Final = 2048

REQUEST_ID: Final = TextRule(
    pattern="[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?",
    message="must consist of letters, digits, dots, dashes and underscores, and begin and end with a letter or digit",
    max_length=64,
)
ONE_LINE: Final = TextRule(
    pattern=r"[^\x00-\x1f\x7f]+", message="must be one line without control characters", max_length=253
)
_REASON: Final = "reason is for the action Revoke"
_REVISION: Final = "revision is for the action Rollback"


class RequestSpec(Model):
    """A one-time request."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("!has(self.reason) || self.action == 'Revoke'", _REASON, field_path=".reason"),
            rule("!has(self.revision) || self.action == 'Rollback'", _REVISION, field_path=".revision"),
        )
    )

    id: Annotated[str, REQUEST_ID]
    """
    Identifies the request, 1 to 64 characters. The operator carries out each ID once: to repeat a request, choose a
    new one.
    """
    action: RequestAction
    """
    What to do. Renew: issue a new certificate now. Revoke: revoke the certificate in the Secret. Rollback: put an
    earlier certificate back into the Secret.
    """
    reason: RevocationReasonName | None = None
    """The reason code of the revocation, as in RFC 5280. keyCompromise also replaces the private key first."""
    revision: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = None
    """The revision to roll back to. If unset, the previous one."""
    not_before: Timestamp | None = None
    """When to start; immediately if unset. kubectl certwright renew --rate uses this to spread renewals."""
    requested_by: Annotated[str, ONE_LINE] | None = None
    """
    The requester. kubectl certwright sets it to the user name from a SelfSubjectReview; anyone who writes the field can
    write anything here.
    """

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.reason is not None and self.action != "Revoke":
            raise ValueError(_REASON)
        if self.revision is not None and self.action != "Rollback":
            raise ValueError(_REVISION)
        return self


class RequestStatus(Model):
    """A request that the operator started, and its result."""

    id: Annotated[str, Field(max_length=64)]
    """The request's ID."""
    action: RequestAction
    """The requested action."""
    reason: RevocationReasonName | None = None
    """The reason code of the revocation."""
    revision: Annotated[int, Field(ge=0, le=MAX_COUNT)] | None = None
    """The requested revision of a rollback."""
    requested_by: Annotated[str, Field(max_length=253)] | None = None
    """The requester, as stated in the request."""
    from_revision: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The revision of the certificate in the Secret when the request started."""
    state: RequestState
    """Running, Succeeded, Failed or Refused."""
    message: Annotated[str, Field(max_length=LONGEST_REQUEST_MESSAGE)] = ""
    """The result."""
    started_time: Timestamp | None = None
    """When the operator started."""
    finished_time: Timestamp | None = None
    """When it ended or was refused."""
