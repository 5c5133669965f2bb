"""`status.order`: where the certificate is on its way from the CA, name by name."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from certwright.resources.base import Model
from certwright.resources.rules import ATOMIC_LIST, ATOMIC_MAP
from certwright.resources.timestamp import Timestamp

OrderState = Literal["pending", "ready", "processing", "valid", "invalid"]
AuthorizationState = Literal["pending", "valid", "invalid", "deactivated", "expired", "revoked"]

_Url = Annotated[str, Field(max_length=2048)]
_Name = Annotated[str, Field(max_length=253)]


class ChallengeStatus(Model):
    """The challenge chosen for a name."""

    type: Annotated[str, Field(max_length=64)]
    """The type of the challenge, such as dns-01."""
    url: _Url
    """The challenge at the CA."""


class RecordStatus(Model):
    """The DNS record that a name needs."""

    name: Annotated[str, Field(max_length=255)]
    """Where the record is, after CNAMEs."""
    type: Literal["TXT"] = "TXT"
    """The type of the record."""
    value: Annotated[str, Field(max_length=255)]
    """What the record holds."""


class AuthorizationStatus(Model):
    """The proof of control over one name."""

    name: _Name
    """The name, with *. in front for a wildcard."""
    url: _Url | None = None
    """The authorization at the CA. Absent if the CA refused to open one."""
    state: AuthorizationState
    """Its state at the CA when last looked at (RFC 8555, section 7.1.6)."""
    error: Annotated[str, Field(max_length=4096)] | None = None
    """What stands in the way."""
    challenge: ChallengeStatus | None = None
    """The challenge that is answered."""
    record: RecordStatus | None = None
    """The record that the CA looks for."""
    presented: bool = False
    """Whether the record was written, or was about to be; it is removed when the order is done."""
    last_seen: Annotated[str, Field(max_length=4096)] | None = None
    """What the authoritative servers answered at the last look."""
    last_look_time: Timestamp | None = None
    """When they were last asked."""


class OrderStatus(Model):
    """An order at the CA (RFC 8555, section 7.1.3)."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    url: _Url | None = None
    """The order at the CA. Absent if the CA refused to open one."""
    account_url: _Url = Field(alias="accountURL")
    """The account that placed it."""
    server: _Url
    """The ACME directory of the CA."""
    names: Annotated[tuple[_Name, ...], Field(max_length=100, json_schema_extra=ATOMIC_LIST)]
    """The names that were ordered."""
    spec_hash: Annotated[str, Field(max_length=128)]
    """A digest of the spec it was placed for; the order is given up when the spec no longer has it."""
    state: OrderState
    """Its state at the CA when last looked at (RFC 8555, section 7.1.6)."""
    created_at: Timestamp
    """When it was placed."""
    expires: Timestamp | None = None
    """When the CA forgets it."""
    next_look_time: Timestamp | None = None
    """When the operator looks at it next."""
    authorizations: Annotated[
        tuple[AuthorizationStatus, ...], Field(max_length=100, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """The proof of control, name by name."""
