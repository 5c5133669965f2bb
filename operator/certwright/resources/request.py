"""What a person asks for once, and what came of it: `spec.request` and `status.requests`."""

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
    """Something to do once."""

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
    """Why the certificate is revoked, as RFC 5280 names it. keyCompromise also replaces the private key first."""
    revision: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = None
    """The revision to go back to. If unset, the previous one."""
    not_before: Timestamp | None = None
    """When to begin; at once if unset. kubectl certwright renew --rate spreads renewals with it."""
    requested_by: Annotated[str, ONE_LINE] | None = None
    """
    Who asks. kubectl certwright fills it in from the API server's answer to a SelfSubjectReview; whoever writes the
    field can write anything here.
    """

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.reason is not None and self.action != "Revoke":
            raise ValueError(_REASON)
        if self.revision is not None and self.action != "Rollback":
            raise ValueError(_REVISION)
        return self


class RequestStatus(Model):
    """A request that was begun, and what came of it."""

    id: Annotated[str, Field(max_length=64)]
    """The request's ID."""
    action: RequestAction
    """What was asked for."""
    reason: RevocationReasonName | None = None
    """The reason of a revocation."""
    revision: Annotated[int, Field(ge=0, le=MAX_COUNT)] | None = None
    """The revision that was asked for in a rollback."""
    requested_by: Annotated[str, Field(max_length=253)] | None = None
    """Who asked, as the request says."""
    from_revision: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The revision of the certificate in the Secret when the request was begun."""
    state: RequestState
    """Running, Succeeded, Failed or Refused."""
    message: Annotated[str, Field(max_length=LONGEST_REQUEST_MESSAGE)] = ""
    """What came of it."""
    started_time: Timestamp | None = None
    """When the operator began."""
    finished_time: Timestamp | None = None
    """When it was finished or refused."""
