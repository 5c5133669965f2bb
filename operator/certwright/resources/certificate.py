"""Certificate: its domains, its issuer, and the Secret that stores it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.conditions import UNOBSERVED, Condition, without_conflict
from certwright.resources.duration import DURATION, AtLeast
from certwright.resources.group import API_VERSION, CERTIFICATES
from certwright.resources.keystores import Keystores, OutputFormats
from certwright.resources.labels import ANNOTATIONS_TO_WRITE, LABELS_TO_WRITE
from certwright.resources.names import UNIQUE_LIST, CommonName, DnsName, ObjectName, Unique
from certwright.resources.object import Metadata, Object
from certwright.resources.order_status import OrderStatus
from certwright.resources.private_key import PrivateKey
from certwright.resources.references import IssuerRef
from certwright.resources.request import KEPT_REQUESTS, RequestSpec, RequestStatus
from certwright.resources.rules import ATOMIC_LIST, CONDITIONS, MAX_COUNT, rule, validations
from certwright.resources.timestamp import Timestamp

_COMMON_NAME = "commonName must be one of dnsNames"
_RENEW_ONCE = "renewBefore and renewBeforePercentage are mutually exclusive"
_RENEW_EARLY = "renewBefore must be shorter than duration: otherwise the certificate would be renewed continuously"


class SecretTemplate(Model):
    """Metadata for the Secret."""

    labels: Annotated[Mapping[str, str], LABELS_TO_WRITE] = {}
    """Labels for the Secret."""
    annotations: Annotated[Mapping[str, str], ANNOTATIONS_TO_WRITE] = {}
    """Annotations for the Secret."""


class CertificateSpec(Model):
    """The desired certificate and the Secret that stores it."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "!has(self.commonName) || self.commonName in self.dnsNames",
                _COMMON_NAME,
                field_path=".commonName",
            ),
            rule(
                "!(has(self.renewBefore) && has(self.renewBeforePercentage))",
                _RENEW_ONCE,
                field_path=".renewBeforePercentage",
            ),
            rule(
                f"!has(self.duration) || !has(self.renewBefore)"
                f" || !{DURATION.cel_for('self.duration')} || !{DURATION.cel_for('self.renewBefore')}"
                f" || duration(self.renewBefore) < duration(self.duration)",
                _RENEW_EARLY,
                field_path=".renewBefore",
            ),
        )
    )

    dns_names: Annotated[
        tuple[DnsName, ...], Field(min_length=1, max_length=100, json_schema_extra=UNIQUE_LIST), Unique
    ]
    """
    The DNS names of the certificate, 1 to 100, in lower case, such as example.com or *.example.com. A wildcard
    covers one level of subdomains but not the domain itself; list both if you need both.
    """
    common_name: CommonName | None = None
    """The subject's common name, for software that still reads it: one of dnsNames, at most 64 characters."""
    secret_name: ObjectName
    """
    The name of the kubernetes.io/tls Secret that the operator creates and maintains in the Certificate's
    namespace: tls.crt holds the certificate and its chain, tls.key the private key. An existing Secret with
    other content is left untouched. Two Certificates cannot share a Secret.
    """
    secret_template: SecretTemplate | None = None
    """Labels and annotations for the Secret."""
    secret_owner_reference: bool = False
    """Whether deleting the Certificate also deletes the Secret, which servers may still be using."""
    issuer_ref: IssuerRef
    """The issuer of the certificate."""
    duration: Annotated[timedelta, AtLeast("1h")] | None = None
    """
    The requested lifetime, such as 2160h. It is sent to the CA only if the issuer sets enableDurationFeature;
    most CAs choose the lifetime themselves. If unset, the CA decides.
    """
    renew_before: Annotated[timedelta, AtLeast("5m")] | None = None
    """
    How long before expiry to renew the certificate, such as 360h. If unset, the certificate is renewed when one
    third of its lifetime remains.
    """
    renew_before_percentage: Annotated[int, Field(ge=1, le=99)] | None = None
    """The percentage of the lifetime that remains when the certificate is renewed. Excludes renewBefore."""
    private_key: PrivateKey = PrivateKey()
    """The private key of the certificate."""
    keystores: Keystores | None = None
    """Keystores that the Secret also holds, always of the same certificate as tls.crt."""
    additional_output_formats: OutputFormats = ()
    """Further formats that the Secret also holds, always of the same certificate as tls.crt."""
    paused: bool = False
    """
    Whether to leave everything as it is: nothing is ordered, presented or written, and an expiring certificate is only
    reported. What exists is kept.
    """
    request: RequestSpec | None = None
    """
    Something to do once, such as a renewal. The operator removes the field when the request is finished;
    status.requests says what came of it. Removing it earlier withdraws the request.
    """

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.common_name is not None and self.common_name not in self.dns_names:
            raise ValueError(_COMMON_NAME)
        if self.renew_before is not None and self.renew_before_percentage is not None:
            raise ValueError(_RENEW_ONCE)
        if self.duration is not None and self.renew_before is not None and self.renew_before >= self.duration:
            raise ValueError(_RENEW_EARLY)
        return self


class CertificateStatus(Model):
    """The observed state. Only the operator writes it."""

    conditions: Annotated[
        tuple[Condition, ...], Field(max_length=16, json_schema_extra=CONDITIONS), AfterValidator(without_conflict)
    ] = ()
    """
    Ready: the Secret holds a certificate that matches the spec and has not expired. Issuing: a certificate is
    being issued. Paused: spec.paused is set.
    """
    observed_generation: Annotated[int, Field(ge=UNOBSERVED)] | None = None
    """The metadata.generation that this status describes; -1 until the operator has seen the object."""
    not_before: Timestamp | None = None
    """When the certificate in the Secret became valid."""
    not_after: Timestamp | None = None
    """When the certificate in the Secret expires."""
    renewal_time: Timestamp | None = None
    """When the certificate will be renewed."""
    serial_number: Annotated[str, Field(max_length=64)] | None = None
    """The serial number of the certificate in the Secret, in hexadecimal."""
    revision: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The number of certificates issued for this object."""
    failed_attempts: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The number of failed attempts since the last success."""
    last_failure_time: Timestamp | None = None
    """When the last attempt failed."""
    next_attempt_time: Timestamp | None = None
    """When the next attempt will start."""
    recent_orders: Annotated[tuple[Timestamp, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """
    When orders were placed during the last day, other than scheduled renewals. No more than 5 are placed in an hour
    and 10 in a day, whatever changes the Secret or the spec.
    """
    requests: Annotated[tuple[RequestStatus, ...], Field(max_length=KEPT_REQUESTS, json_schema_extra=ATOMIC_LIST)] = ()
    """The last 8 requests (spec.request), the latest last."""
    order: OrderStatus | None = None
    """The order in progress at the CA: what each domain needs, and what was last observed."""


class Certificate(Object):
    """A TLS certificate that Certwright issues, stores in a Secret and keeps renewed."""

    KIND: ClassVar[str] = "Certificate"
    PLURAL: ClassVar[str] = CERTIFICATES

    api_version: str = API_VERSION
    kind: Literal["Certificate"] = "Certificate"
    metadata: Metadata
    spec: CertificateSpec
    """The desired certificate and the Secret that stores it."""
    status: CertificateStatus = CertificateStatus()
    """The observed state. Only the operator writes it."""
