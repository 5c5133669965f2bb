"""Certificate: the names, the issuer and the Secret that the certificate is kept in."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.conditions import Condition
from certwright.resources.duration import DURATION, AtLeast
from certwright.resources.group import API_VERSION, CERTIFICATES
from certwright.resources.references import IssuerRef
from certwright.resources.labels import ANNOTATIONS_TO_WRITE, LABELS_TO_WRITE
from certwright.resources.metadata import Metadata
from certwright.resources.names import CommonName, DnsName, ObjectName, Unique
from certwright.resources.object import Object
from certwright.resources.order_status import OrderStatus
from certwright.resources.private_key import PrivateKey
from certwright.resources.rules import CONDITIONS, SET, rule, validations
from certwright.resources.timestamp import Timestamp

_COMMON_NAME = "commonName must be one of dnsNames"
_RENEW_ONCE = "renewBefore and renewBeforePercentage exclude each other: give one"
_RENEW_EARLY = "renewBefore must be shorter than duration: the certificate would be renewed without end"


class SecretTemplate(Model):
    """What the Secret is to have besides the certificate."""

    labels: Annotated[Mapping[str, str], LABELS_TO_WRITE] = {}
    """Labels for the Secret."""
    annotations: Annotated[Mapping[str, str], ANNOTATIONS_TO_WRITE] = {}
    """Annotations for the Secret."""


class CertificateSpec(Model):
    """What the certificate is to be, and where to keep it."""

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

    dns_names: Annotated[tuple[DnsName, ...], Field(min_length=1, max_length=100, json_schema_extra=SET), Unique]
    """
    The names the certificate is for, 1 to 100 of them, lower-case, such as example.com or *.example.com. A
    wildcard covers one level of names, and not the name behind it: give both if both are needed.
    """
    common_name: CommonName | None = None
    """The subject's common name, for programs that still read it: one of dnsNames, 64 characters at most."""
    secret_name: ObjectName
    """
    The Secret of type kubernetes.io/tls, in the Certificate's namespace, that the operator makes and keeps:
    tls.crt is the certificate with its chain, tls.key the private key. A Secret that is there already and
    holds anything else is left alone. Two Certificates cannot share one.
    """
    secret_template: SecretTemplate | None = None
    """Labels and annotations for the Secret."""
    secret_owner_reference: bool = False
    """Whether deleting the Certificate deletes the Secret, and with it what servers may still be using."""
    issuer_ref: IssuerRef
    """Who issues the certificate."""
    duration: Annotated[timedelta, AtLeast("1h")] | None = None
    """
    The lifetime to ask for, such as 2160h. The CA is asked only if the issuer has enableDurationFeature; most
    CAs decide by themselves. Without it, what the CA gives.
    """
    renew_before: Annotated[timedelta, AtLeast("5m")] | None = None
    """
    How long before it expires to renew the certificate, such as 360h. Without it, when a third of its life is
    left.
    """
    renew_before_percentage: Annotated[int, Field(ge=1, le=99)] | None = None
    """How much of its life is left when the certificate is renewed, in percent. Excludes renewBefore."""
    private_key: PrivateKey = PrivateKey()
    """The private key of the certificate."""

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
    """What the operator found and did. Nobody else writes here."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=16, json_schema_extra=CONDITIONS)] = ()
    """
    Ready: the Secret holds a certificate that fits the spec and has not expired. Issuing: a certificate is on
    its way.
    """
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""
    not_before: Timestamp | None = None
    """When the certificate in the Secret began to be valid."""
    not_after: Timestamp | None = None
    """When the certificate in the Secret expires."""
    renewal_time: Timestamp | None = None
    """When the certificate is renewed."""
    serial_number: Annotated[str, Field(max_length=64)] | None = None
    """The serial number of the certificate in the Secret, hexadecimal."""
    revision: Annotated[int, Field(ge=0)] = 0
    """How many certificates have been issued for this object."""
    failed_attempts: Annotated[int, Field(ge=0)] = 0
    """How many attempts have failed since the last success."""
    last_failure_time: Timestamp | None = None
    """When the last attempt failed."""
    next_attempt_time: Timestamp | None = None
    """When the next attempt starts."""
    order: OrderStatus | None = None
    """The order at the CA while a certificate is on its way: what each name needs, and what was last seen."""


class Certificate(Object):
    """A TLS certificate that is issued, kept in a Secret, and renewed in time."""

    KIND: ClassVar[str] = "Certificate"
    PLURAL: ClassVar[str] = CERTIFICATES

    api_version: str = API_VERSION
    kind: Literal["Certificate"] = "Certificate"
    metadata: Metadata
    spec: CertificateSpec
    """What the certificate is to be, and where to keep it."""
    status: CertificateStatus = CertificateStatus()
    """What the operator found and did. Nobody else writes here."""
