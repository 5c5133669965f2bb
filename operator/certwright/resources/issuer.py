"""Issuer and ClusterIssuer: an account at a CA, and how to validate domains."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from certwright.resources.allowed import MAX_RULES, AllowedDomains
from certwright.resources.base import Model
from certwright.resources.conditions import (
    RECORDS_PUBLISHED,
    UNOBSERVED,
    Condition,
    set_condition,
    without_condition,
    without_conflict,
)
from certwright.resources.group import API_VERSION, CLUSTER_ISSUERS, ISSUERS
from certwright.resources.issuer_account import (
    AccountKeyRotation,
    CaOffer,
    CaProxy,
    CaTimeouts,
    ExternalAccountBinding,
    KeyRotationStatus,
    Preset,
    TlsSecretRef,
    preset_url,
)
from certwright.resources.issuer_solver import IssuerSolver
from certwright.resources.names import Base64Pem, Email, HttpsUrl
from certwright.resources.object import Metadata, Object
from certwright.resources.pem import decode_pem
from certwright.resources.persistent_records import MAX_RECORDS, PersistentRecordStatus
from certwright.resources.rate_limits import RateLimits, RateLimitUsageStatus
from certwright.resources.references import AccountKeyRef
from certwright.resources.rules import ATOMIC_LIST, CONDITIONS, MAX_COUNT, VISIBLE_ASCII, rule, validations
from certwright.resources.timestamp import Timestamp

AccountKeyAlgorithm = Literal["ES256", "ES384", "ES512", "RS256"]

_NO_SERVER = "set server to the URL of the CA's directory, or preset to the name of a CA"
_TWO_SERVERS = "server and preset are mutually exclusive"
_KEY_SIZE = "accountKeySize is for accountKeyAlgorithm RS256: the other algorithms have one size"
_TRUST = "caBundle and skipTLSVerify are mutually exclusive"


class AcmeIssuerSpec(Model):
    """An account at an ACME CA (RFC 8555). Registering the account accepts the CA's terms of service."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("has(self.server) || has(self.preset)", _NO_SERVER, field_path=".server", reason="FieldValueRequired"),
            rule("!(has(self.server) && has(self.preset))", _TWO_SERVERS, field_path=".preset"),
            rule(
                "!has(self.accountKeySize) || self.accountKeyAlgorithm == 'RS256'",
                _KEY_SIZE,
                field_path=".accountKeySize",
            ),
            rule("!(has(self.caBundle) && self.skipTLSVerify)", _TRUST, field_path=".skipTLSVerify"),
        )
    )

    server_url: Annotated[HttpsUrl | None, Field(alias="server")] = None
    """The URL of the CA's ACME directory, such as https://acme-staging-v02.api.letsencrypt.org/directory."""
    preset: Preset | None = None
    """A well-known CA by name, instead of `server`. `status.acme.server` shows the URL."""
    email: Email | None = None
    """The contact address of the account. Changes are sent to the CA."""
    private_key_secret_ref: AccountKeyRef
    """
    The Secret that holds the account's private key. The operator creates it if it does not exist. Protect it and back
    it up: anyone with the key controls the account.
    """
    external_account_binding: ExternalAccountBinding | None = None
    """The credentials that the CA gives its customers. `zerossl`, `google`, `sslcom-*` and `actalis` require them."""
    accepted_terms: Annotated[str, Field(min_length=1, max_length=512, pattern="^[ -~]+$")] | None = None
    """
    The URL of the CA's terms of service that you agree to. If unset, registering the account agrees to the current
    terms, and a condition reports when they change. If set, the operator registers an account only if the CA's terms
    have this URL; set it to the URL of changed terms to agree to them.
    """
    only_return_existing: bool = False
    """
    Whether to use only an existing account: an imported key that the CA does not know is then an error, and never
    registers a new account (RFC 8555, section 7.3.1).
    """
    account_key_rotation: AccountKeyRotation | None = None
    """When to replace the account's private key. The account, its orders and certificates stay."""
    deactivate_on_delete: bool = False
    """
    Whether deleting the issuer deactivates its account at the CA, which cannot be undone. The account stays if another
    issuer uses it.
    """
    account_key_algorithm: AccountKeyAlgorithm = "ES256"
    """The algorithm of a generated account key. An existing key is used unchanged."""
    account_key_size: Literal[2048, 3072, 4096] | None = None
    """The size of a generated account key in bits, for RS256: 2048 (the default), 3072 or 4096."""
    disable_account_key_generation: bool = False
    """Whether to wait until the user provides the account key in the Secret instead of generating one."""
    ca_bundle: Base64Pem | None = Field(default=None, alias="caBundle")
    """
    Base64-encoded PEM certificates to trust for the connection to the CA, for private CAs. If unset, those in
    the operator's SSL_CERT_FILE, or else the publicly trusted CAs.
    """
    skip_tls_verify: bool = Field(default=False, alias="skipTLSVerify")
    """
    Whether to skip verification of the CA's server certificate. For testing only: an attacker in the network
    path can issue certificates for your domains.
    """
    client_certificate_secret_ref: TlsSecretRef | None = None
    """The Secret with a client certificate, for a CA that requires one (mutual TLS)."""
    proxy: CaProxy | None = None
    """A proxy for all requests to this CA. If unset, the operator's HTTPS_PROXY and NO_PROXY apply."""
    timeouts: CaTimeouts | None = None
    """How long one request to this CA may take. If unset: 10s to connect, 30s between two parts, 60s in total."""
    preferred_chain: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """
    The common name of the root, or of an intermediate in the chain, if the CA offers several chains. If none matches,
    the operator uses the CA's default chain, with a Warning Event. A change takes effect at the next issuance.
    """
    profile: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The certificate profile, such as shortlived, for CAs that offer several."""
    enable_duration_feature: bool = False
    """Whether to request the Certificate's duration from the CA. Many CAs reject orders that request one."""
    rate_limits: RateLimits | None = None
    """The CA's rate limits, if Certwright does not know them, or if the CA grants you others."""
    solvers: Annotated[tuple[IssuerSolver, ...], Field(min_length=1, max_length=32, json_schema_extra=ATOMIC_LIST)]
    """
    How to validate domains. Each domain uses the best-matching solver: an exact name first, then the longest zone, then
    the most labels, then the order of this list.
    """

    @property
    def server(self) -> str:
        """The URL of the CA's directory, whichever way it is named."""
        if self.server_url is not None:
            return self.server_url
        if self.preset is None:
            raise AssertionError(_NO_SERVER)
        return preset_url(self.preset)

    @property
    def ca_bundle_pem(self) -> str | None:
        """The certificates of `caBundle` as PEM text."""
        return None if self.ca_bundle is None else decode_pem(self.ca_bundle)

    @model_validator(mode="after")
    def _ca_is_clear(self) -> Self:
        if self.server_url is None and self.preset is None:
            raise ValueError(_NO_SERVER)
        if self.server_url is not None and self.preset is not None:
            raise ValueError(_TWO_SERVERS)
        if self.account_key_size is not None and self.account_key_algorithm != "RS256":
            raise ValueError(_KEY_SIZE)
        return self

    @model_validator(mode="after")
    def _trust_is_clear(self) -> Self:
        if self.ca_bundle is not None:
            if self.skip_tls_verify:
                raise ValueError(_TRUST)
            decode_pem(self.ca_bundle)
        return self


class IssuerSpec(Model):
    """The CA and how to use it."""

    acme: AcmeIssuerSpec
    """An account at an ACME CA (RFC 8555). Registering the account accepts the CA's terms of service."""


class ClusterIssuerSpec(IssuerSpec):
    """The CA, how to use it, and who may request what."""

    allowed: Annotated[
        tuple[AllowedDomains, ...] | None, Field(min_length=1, max_length=MAX_RULES, json_schema_extra=ATOMIC_LIST)
    ] = None
    """
    Which namespaces may request which domains. A domain is allowed if any rule for the Certificate's namespace covers
    it; the operator refuses all others before it places an order, at renewals too. If unset, every namespace may
    request every domain that a solver matches.
    """


class AcmeIssuerStatus(Model):
    """The account at the CA."""

    uri: Annotated[str, Field(max_length=2048, pattern=VISIBLE_ASCII)] | None = None
    """The URL of the account."""
    server: Annotated[str, Field(max_length=2048, pattern=VISIBLE_ASCII)] | None = None
    """The ACME directory of the CA that the account is registered with."""
    terms_of_service: Annotated[str, Field(max_length=2048)] | None = None
    """The terms of service that the account agreed to."""
    last_registered_email: Annotated[str, Field(max_length=320)] | None = None
    """The contact address that was last sent to the CA."""
    key_thumbprint: Annotated[str, Field(max_length=128, pattern="^[A-Za-z0-9_-]+$")] | None = None
    """The thumbprint of the account key (RFC 7638)."""
    dns_account_label: Annotated[str, Field(max_length=63, pattern="^_[a-z2-7]{16}$")] | None = None
    """
    The label of the account, if a solver uses dns-account-01: the CA looks for records, or a CNAME, at
    <label>._acme-challenge.<domain>.
    """
    key_rotation: KeyRotationStatus | None = None
    """The last rotation of the account key."""
    former_servers: Annotated[
        tuple[Annotated[str, Field(max_length=2048, pattern=VISIBLE_ASCII)], ...],
        Field(max_length=4, json_schema_extra=ATOMIC_LIST),
    ] = ()
    """
    Former values of `server` at the same CA, where the CA knew the same account. This change did not cause a reissue.
    """
    offers: CaOffer | None = None
    """What the CA offers."""


class RateLimitStatus(Model):
    """A wait that the CA asked for (HTTP 429, RFC 8555 section 6.6)."""

    requests: Literal["newOrder", "other"]
    """What must wait: new orders, or all other requests."""
    since: Timestamp
    """When the CA refused a request."""
    until: Timestamp
    """When the next request is sent: one at first, then the others."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """What the CA said."""


class IssuerStatus(Model):
    """The observed state. Only the operator writes it."""

    conditions: Annotated[
        tuple[Condition, ...], Field(max_length=16, json_schema_extra=CONDITIONS), AfterValidator(without_conflict)
    ] = ()
    """
    Ready: the account is registered and certificates can be ordered. RecordsPublished, for issuers with a
    dns-persist-01 solver: their permanent DNS records are visible. OrphanedRecords, only while it is True: challenge
    records of its orders were left in the DNS.
    """
    observed_generation: Annotated[int, Field(ge=UNOBSERVED)] | None = None
    """The metadata.generation that this status describes; -1 until the operator has seen the object."""
    acme: AcmeIssuerStatus | None = None
    """The account at the CA."""
    rate_limits: Annotated[tuple[RateLimitStatus, ...], Field(max_length=2, json_schema_extra=ATOMIC_LIST)] = ()
    """The waits that the CA asked for. All Certificates of the issuer share them."""
    persistent_records: Annotated[
        tuple[PersistentRecordStatus, ...], Field(max_length=2 * MAX_RECORDS, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """
    The permanent DNS records of dns-persist-01 solvers, for the domains of their selectors and those that Certificates
    have needed; at most 64.
    """
    persistent_records_seal: Annotated[str, Field(max_length=64, pattern="^[A-Za-z0-9_-]+$")] | None = None
    """Shows which of these records the operator created. After a restart it removes no others."""
    rate_limit_usage: Annotated[
        tuple[RateLimitUsageStatus, ...], Field(max_length=4, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """How much of the CA's limits the account has used up, if it is more than a tenth."""
    failed_attempts: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The number of failed registration attempts since the last success."""
    next_attempt_time: Timestamp | None = None
    """When the next attempt will start."""

    def with_records(
        self, records: Iterable[PersistentRecordStatus], seal: str | None, condition: Condition, now: datetime
    ) -> Self:
        """The status with its permanent records, and what is said of them."""
        return self.replace(
            persistent_records=tuple(records),
            persistent_records_seal=seal,
            conditions=set_condition(self.conditions, condition, now),
        )

    def without_records(self) -> Self:
        """The status of an issuer that has no permanent records."""
        kept = without_condition(self.conditions, RECORDS_PUBLISHED)
        return self.replace(persistent_records=(), persistent_records_seal=None, conditions=kept)


class Issuer(Object):
    """An account at a CA for the Certificates of one namespace.

    The operator reads its Secrets (account key and solver credentials) from that namespace.
    """

    KIND: ClassVar[str] = "Issuer"
    PLURAL: ClassVar[str] = ISSUERS

    api_version: str = API_VERSION
    kind: Literal["Issuer"] = "Issuer"
    metadata: Metadata
    spec: IssuerSpec
    """The CA, the account there, and how to validate domains."""
    status: IssuerStatus = IssuerStatus()
    """The observed state. Only the operator writes it."""


class ClusterIssuer(Object):
    """An account at a CA for the Certificates of every namespace.

    The operator reads its Secrets (account key and solver credentials) from its own namespace.
    """

    KIND: ClassVar[str] = "ClusterIssuer"
    PLURAL: ClassVar[str] = CLUSTER_ISSUERS
    NAMESPACED: ClassVar[bool] = False

    api_version: str = API_VERSION
    kind: Literal["ClusterIssuer"] = "ClusterIssuer"
    metadata: Metadata
    spec: ClusterIssuerSpec
    """The CA, the account there, how to validate domains, and who may request which."""
    status: IssuerStatus = IssuerStatus()
    """The observed state. Only the operator writes it."""
