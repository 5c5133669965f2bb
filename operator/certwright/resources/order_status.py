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


class HttpResourceStatus(Model):
    """The file that a name needs (RFC 8555, section 8.3)."""

    url: _Url
    """Where the CA asks for it."""
    key_authorization: Annotated[str, Field(max_length=1024)]
    """What it must hold. It is no secret."""


class SolverObjectStatus(Model):
    """An object that exists only to answer a challenge."""

    kind: Literal["Pod", "Service", "EndpointSlice", "Ingress", "HTTPRoute"]
    """Its kind."""
    name: Annotated[str, Field(max_length=253)]
    """Its name, in the Certificate's namespace."""
    edited: bool = False
    """Whether it is somebody else's Ingress, into which rules were put that are taken out again."""


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
    """The record that the CA looks for, with dns-01."""
    resource: HttpResourceStatus | None = None
    """The file that the CA asks for, with http-01."""
    presented: bool = False
    """Whether the record or file was put in place, or was about to be; it is removed when the order is done."""
    last_seen: Annotated[str, Field(max_length=4096)] | None = None
    """What the authoritative servers, or the web server, answered at the last look."""
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
    solver_objects: Annotated[tuple[SolverObjectStatus, ...], Field(max_length=200, json_schema_extra=ATOMIC_LIST)] = ()
    """The objects that answer http-01 challenges, until the order is done."""
