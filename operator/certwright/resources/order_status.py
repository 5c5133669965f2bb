"""`status.order`: the progress of an order, domain by domain.

Anyone who may write a status can write anything that these patterns allow, so values are checked again where they are
used. There are only patterns and no rules with messages, because no person fills in these fields.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from certwright.resources.base import Model
from certwright.resources.references import UsedIssuer
from certwright.resources.rules import ATOMIC_LIST, ATOMIC_MAP, VISIBLE_ASCII
from certwright.resources.timestamp import Timestamp

OrderState = Literal["pending", "ready", "processing", "valid", "invalid"]
AuthorizationState = Literal["pending", "valid", "invalid", "deactivated", "expired", "revoked"]

_KEY_AUTHORIZATION = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"
_OBJECT_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"

_Url = Annotated[str, Field(max_length=2048, pattern=VISIBLE_ASCII)]
_Name = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9*_.:-]+$")]


class ChallengeStatus(Model):
    """The challenge selected for a domain."""

    type: Annotated[str, Field(max_length=64, pattern="^[a-z0-9-]+$")]
    """The type of the challenge, such as dns-01."""
    url: _Url
    """The URL of the challenge at the CA."""


class RecordStatus(Model):
    """The DNS record that a domain needs."""

    name: Annotated[str, Field(max_length=255, pattern=VISIBLE_ASCII)]
    """The name of the record, after following CNAMEs."""
    type: Literal["TXT"] = "TXT"
    """The type of the record."""
    value: Annotated[str, Field(max_length=64, pattern="^[A-Za-z0-9_-]+$")]
    """The value of the record: a digest in base64url."""
    key_authorization: Annotated[str, Field(max_length=1024, pattern=_KEY_AUTHORIZATION)] | None = None
    """The key authorization that the value is a digest of, if the solver's provider needs it. It is not secret."""


class HttpResourceStatus(Model):
    """The file that a domain needs (RFC 8555, section 8.3)."""

    url: _Url
    """The URL that the CA requests."""
    key_authorization: Annotated[str, Field(max_length=1024, pattern=_KEY_AUTHORIZATION)]
    """The expected content. It is not secret."""


class SolverObjectStatus(Model):
    """An object that exists only to answer a challenge."""

    kind: Literal["Pod", "Service", "EndpointSlice", "Ingress", "HTTPRoute", "TLSRoute"]
    """The kind of the object."""
    name: Annotated[str, Field(max_length=253, pattern=rf"^(?:{_OBJECT_LABEL}\.)*{_OBJECT_LABEL}$")]
    """The name of the object, in the Certificate's namespace."""
    edited: bool = False
    """Whether the object is an existing Ingress to which the operator added rules. It removes them afterwards."""


class AuthorizationStatus(Model):
    """The validation of one domain."""

    name: _Name
    """The domain, with a leading *. for a wildcard."""
    url: _Url | None = None
    """The URL of the authorization at the CA. Unset if the CA refused to create one."""
    state: AuthorizationState
    """The last known state at the CA (RFC 8555, section 7.1.6)."""
    error: Annotated[str, Field(max_length=4096)] | None = None
    """Why validation failed."""
    challenge: ChallengeStatus | None = None
    """The selected challenge."""
    record: RecordStatus | None = None
    """The record that the CA looks up, for dns-01."""
    resource: HttpResourceStatus | None = None
    """The file that the CA requests, for http-01."""
    presented: bool = False
    """Whether the record or file was created, or was about to be. The operator removes it when the order is done."""
    last_seen: Annotated[str, Field(max_length=4096)] | None = None
    """The last answer of the authoritative DNS servers, or of the web server."""
    last_look_time: Timestamp | None = None
    """When the servers were last queried."""


class OrderStatus(Model):
    """An order at the CA (RFC 8555, section 7.1.3)."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    url: _Url | None = None
    """The URL of the order at the CA. Unset if the CA refused to create one."""
    issuer: UsedIssuer | None = None
    """The issuer whose account placed the order. Unset for an order of an earlier version."""
    account_url: _Url = Field(alias="accountURL")
    """The URL of the account that placed the order."""
    server: _Url
    """The ACME directory of the CA."""
    names: Annotated[tuple[_Name, ...], Field(max_length=100, json_schema_extra=ATOMIC_LIST)]
    """The domains of the order."""
    spec_hash: Annotated[str, Field(max_length=128, pattern=VISIBLE_ASCII)]
    """
    A digest of the spec that the order was placed for. The operator abandons the order when the spec no longer matches.
    """
    seal: Annotated[str, Field(max_length=64, pattern="^[A-Za-z0-9_-]+$")] | None = None
    """
    Shows that the operator wrote the URL and the records: a MAC with a key derived from the account key. After a
    restart, the operator abandons an order with another seal, and does not remove its records.
    """
    state: OrderState
    """The last known state at the CA (RFC 8555, section 7.1.6)."""
    created_at: Timestamp
    """When the order was placed."""
    expires: Timestamp | None = None
    """When the order expires at the CA."""
    next_look_time: Timestamp | None = None
    """When the operator will next check the order."""
    authorizations: Annotated[
        tuple[AuthorizationStatus, ...], Field(max_length=100, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """The validation of each domain."""
    solver_objects: Annotated[tuple[SolverObjectStatus, ...], Field(max_length=200, json_schema_extra=ATOMIC_LIST)] = ()
    """The objects that answer http-01 challenges, until the order is done."""
