"""Issuer and ClusterIssuer: an account at a CA, and how to prove control over names to it."""

import base64
import binascii
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.conditions import Condition
from certwright.resources.group import API_VERSION, CLUSTER_ISSUERS, ISSUERS
from certwright.resources.metadata import Metadata
from certwright.resources.names import Base64Pem, Email, HttpsUrl
from certwright.resources.object import Object
from certwright.resources.rules import ATOMIC_LIST, CONDITIONS, rule, validations
from certwright.resources.secret_ref import AccountKeyRef
from certwright.resources.solver import IssuerSolver
from certwright.resources.timestamp import Timestamp

AccountKeyAlgorithm = Literal["ES256", "ES384", "ES512", "RS256"]

_TRUST = "caBundle and skipTLSVerify exclude each other: a bundle is there to be verified against"
_NO_PEM = "is base64, but what is in it is no PEM certificate"
_PEM_START = "-----BEGIN CERTIFICATE-----"


class AcmeIssuerSpec(Model):
    """An account at an ACME CA (RFC 8555). Registering it agrees to the CA's terms of service."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("!(has(self.caBundle) && self.skipTLSVerify)", _TRUST, field_path=".skipTLSVerify")
        )
    )

    server: HttpsUrl
    """The URL of the CA's ACME directory, such as https://acme-staging-v02.api.letsencrypt.org/directory."""
    email: Email | None = None
    """Where the CA may write to about the account. A change is sent to the CA."""
    private_key_secret_ref: AccountKeyRef
    """
    The Secret that holds the account's private key. The operator makes it if it is not there. Keep it: it is
    the account, and all that can be done at the CA in its name.
    """
    account_key_algorithm: AccountKeyAlgorithm = "ES256"
    """The kind of account key to make. A key that is there already is used as it is."""
    disable_account_key_generation: bool = False
    """Whether to wait for somebody else to put the account key into the Secret in place of making one."""
    ca_bundle: Base64Pem | None = Field(default=None, alias="caBundle")
    """
    Certificates to trust for the connection to the CA, PEM in base64, for CAs inside a company. Without it, those
    in the file that the operator's SSL_CERT_FILE names, or the CAs that browsers trust.
    """
    skip_tls_verify: bool = Field(default=False, alias="skipTLSVerify")
    """
    Whether to talk to the CA without knowing who it is. For trials only: whoever is in between can issue for
    you.
    """
    profile: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The CA's profile for the certificates, such as shortlived, for CAs that have a choice."""
    enable_duration_feature: bool = False
    """Whether to ask the CA for the duration of the Certificate. Many CAs refuse orders that ask."""
    solvers: Annotated[tuple[IssuerSolver, ...], Field(min_length=1, max_length=32, json_schema_extra=ATOMIC_LIST)]
    """
    How to prove control over names. For each name the best fitting solver is taken: an exact name first, then
    the longest zone, then the most labels, then the order of this list.
    """

    @property
    def ca_bundle_pem(self) -> str | None:
        """The certificates of `caBundle` as PEM text."""
        return None if self.ca_bundle is None else _decode_pem(self.ca_bundle)

    @model_validator(mode="after")
    def _trust_is_clear(self) -> Self:
        if self.ca_bundle is not None:
            if self.skip_tls_verify:
                raise ValueError(_TRUST)
            _decode_pem(self.ca_bundle)
        return self


def _decode_pem(text: str) -> str:
    try:
        pem = base64.b64decode("".join(text.split()), validate=True).decode("ascii", errors="replace")
    except binascii.Error:
        raise ValueError("caBundle is no base64 text") from None
    if _PEM_START not in pem:
        raise ValueError(f"caBundle {_NO_PEM}")
    return pem


class IssuerSpec(Model):
    """Which CA, and how."""

    acme: AcmeIssuerSpec
    """An account at an ACME CA (RFC 8555). Registering it agrees to the CA's terms of service."""


class AcmeIssuerStatus(Model):
    """The account at the CA."""

    uri: Annotated[str, Field(max_length=2048)] | None = None
    """The URL of the account."""
    server: Annotated[str, Field(max_length=2048)] | None = None
    """The ACME directory that the account was registered at."""
    terms_of_service: Annotated[str, Field(max_length=2048)] | None = None
    """The terms of service that registering agreed to."""
    last_registered_email: Annotated[str, Field(max_length=320)] | None = None
    """The address that the CA was last told."""
    key_thumbprint: Annotated[str, Field(max_length=128)] | None = None
    """The thumbprint of the account key (RFC 7638)."""


class IssuerStatus(Model):
    """What the operator found and did. Nobody else writes here."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=16, json_schema_extra=CONDITIONS)] = ()
    """Ready: the account is registered and certificates can be ordered."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""
    acme: AcmeIssuerStatus | None = None
    """The account at the CA."""
    failed_attempts: Annotated[int, Field(ge=0)] = 0
    """How many attempts to register have failed since the last success."""
    next_attempt_time: Timestamp | None = None
    """When the next attempt starts."""


class Issuer(Object):
    """An account at a CA for the Certificates of one namespace.

    Its Secrets (account key, credentials of solvers) are read from that namespace.
    """

    KIND: ClassVar[str] = "Issuer"
    PLURAL: ClassVar[str] = ISSUERS

    api_version: str = API_VERSION
    kind: Literal["Issuer"] = "Issuer"
    metadata: Metadata
    spec: IssuerSpec
    """Which CA, and how to prove control over names to it."""
    status: IssuerStatus = IssuerStatus()
    """What the operator found and did. Nobody else writes here."""


class ClusterIssuer(Object):
    """An account at a CA for the Certificates of every namespace.

    Its Secrets (account key, credentials of solvers) are read from the namespace that the operator runs in.
    """

    KIND: ClassVar[str] = "ClusterIssuer"
    PLURAL: ClassVar[str] = CLUSTER_ISSUERS
    NAMESPACED: ClassVar[bool] = False

    api_version: str = API_VERSION
    kind: Literal["ClusterIssuer"] = "ClusterIssuer"
    metadata: Metadata
    spec: IssuerSpec
    """Which CA, and how to prove control over names to it."""
    status: IssuerStatus = IssuerStatus()
    """What the operator found and did. Nobody else writes here."""
