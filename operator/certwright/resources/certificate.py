"""Certificate: its domains, its issuer, and the Secret that stores it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.conditions import UNOBSERVED, Condition, without_conflict
from certwright.resources.duration import DURATION, AtLeast
from certwright.resources.group import API_VERSION, CERTIFICATES
from certwright.resources.http01 import Http01Override
from certwright.resources.keystores import MAX_REVISIONS, Keystores, OutputFormats, RevisionHistoryLimit
from certwright.resources.labels import ANNOTATIONS_TO_WRITE, LABELS_TO_WRITE
from certwright.resources.names import CommonName, Distinct, DnsName, IpAddress, ObjectName
from certwright.resources.object import Metadata, Object
from certwright.resources.order_status import OrderStatus
from certwright.resources.private_key import PrivateKey
from certwright.resources.references import IssuerRef, IssuerRefs, UsedIssuer
from certwright.resources.renewal import Renewal, RenewalStatus
from certwright.resources.request import KEPT_REQUESTS, RequestSpec, RequestStatus
from certwright.resources.revision import RevisionStatus
from certwright.resources.revocation import KEPT_REVOCATIONS, MAX_COMPROMISED_KEYS, RevocationStatus
from certwright.resources.rules import ATOMIC_LIST, CONDITIONS, MAX_COUNT, rule, validations
from certwright.resources.subject import LITERAL_SUBJECT, MAILBOX, URI, Subject, Usages, common_name_of
from certwright.resources.timestamp import Timestamp

_ONE_ISSUER = "exactly one of issuerRef and issuerRefs must be set"
MAX_NAMES: Final = 100
"""Of one certificate, as at most CAs."""
_NO_NAMES = "needs at least one of dnsNames, ipAddresses and commonName: ACME CAs issue no certificates without one"
_TOO_MANY = (
    "dnsNames and ipAddresses may have 100 entries together, including a common name that is in neither: CAs allow no "
    "more in one certificate"
)
_ONE_SUBJECT = "literalSubject is the whole subject: it cannot be combined with subject and commonName"
_NO_CA = "must be false or unset: ACME CAs do not issue CA certificates"
_NO_OTHER_NAMES = "must be empty: ACME CAs certify DNS names and IP addresses, and refuse a request with other names"
_USAGES_ENCODED = "must be true or unset: usages are always in the request; to omit them, omit usages"
_AGREEMENT = "encipher only and decipher only also need key agreement (RFC 5280, section 4.2.1.3)"
_IS_REHEARSED = "({0}.name == self.renewal.rehearse.issuerRef.name && {0}.kind == self.renewal.rehearse.issuerRef.kind)"
_REHEARSED_ELSEWHERE = (
    "rehearse.issuerRef must differ from the issuers of the certificate: use a staging issuer, for example"
)
_RENEW_ONCE = "renewBefore and renewBeforePercentage are mutually exclusive"
_RENEW_EARLY = "renewBefore must be shorter than duration: otherwise the certificate would be renewed continuously"


class OtherName(Model):
    """A name of another type, as in cert-manager, for private CAs."""

    oid: Annotated[str, Field(max_length=253)] | None = None
    """The object identifier of its type."""
    utf8_value: Annotated[str, Field(max_length=1024)] | None = None
    """The name."""


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
            rule("has(self.issuerRef) != has(self.issuerRefs)", _ONE_ISSUER, field_path=".issuerRef"),
            rule(
                "has(self.commonName) || (has(self.dnsNames) && size(self.dnsNames) > 0)"
                " || (has(self.ipAddresses) && size(self.ipAddresses) > 0)",
                _NO_NAMES,
            ),
            rule(
                "(has(self.dnsNames) ? size(self.dnsNames) : 0) + (has(self.ipAddresses) ? size(self.ipAddresses) : 0)"
                " + (has(self.commonName) && !(has(self.dnsNames) && self.commonName in self.dnsNames)"
                " && !(has(self.ipAddresses) && self.commonName in self.ipAddresses) ? 1 : 0)"
                f" <= {MAX_NAMES}",
                _TOO_MANY,
            ),
            rule(
                "!has(self.literalSubject) || !(has(self.subject) || has(self.commonName))",
                _ONE_SUBJECT,
                field_path=".literalSubject",
            ),
            rule("!has(self.isCA) || !self.isCA", _NO_CA, field_path=".isCA"),
            rule("!has(self.otherNames) || size(self.otherNames) == 0", _NO_OTHER_NAMES, field_path=".otherNames"),
            rule(
                "!has(self.encodeUsagesInRequest) || self.encodeUsagesInRequest",
                _USAGES_ENCODED,
                field_path=".encodeUsagesInRequest",
            ),
            rule(
                "!has(self.usages) || 'key agreement' in self.usages"
                " || !('encipher only' in self.usages || 'decipher only' in self.usages)",
                _AGREEMENT,
                field_path=".usages",
            ),
            rule(
                "!(has(self.renewBefore) && has(self.renewBeforePercentage))",
                _RENEW_ONCE,
                field_path=".renewBeforePercentage",
            ),
            rule(
                "!has(self.renewal) || !has(self.renewal.rehearse) || !("
                f"(has(self.issuerRef) && {_IS_REHEARSED.format('self.issuerRef')}) || "
                f"(has(self.issuerRefs) && self.issuerRefs.exists(one, {_IS_REHEARSED.format('one')})))",
                _REHEARSED_ELSEWHERE,
                field_path=".renewal",
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

    dns_names: Annotated[tuple[DnsName, ...], Field(max_length=MAX_NAMES, json_schema_extra=ATOMIC_LIST), Distinct] = ()
    """
    The DNS names of the certificate, up to 100, such as example.com or *.example.com. A wildcard covers one level of
    subdomains but not the domain itself; list both if you need both. Upper-case letters, a trailing dot and non-ASCII
    names are converted, and duplicates are ignored.
    """
    ip_addresses: Annotated[
        tuple[IpAddress, ...], Field(max_length=MAX_NAMES, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """
    The IPv4 and IPv6 addresses of the certificate, such as 192.0.2.1 or 2001:db8::1 (RFC 8738). CAs validate them with
    http-01 or tls-alpn-01, never with dns-01. Few CAs issue certificates for addresses, some only with a certain
    profile.
    """
    uris: Annotated[tuple[Annotated[str, URI], ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST), Distinct] = ()
    """
    The URIs of the certificate. ACME cannot validate URIs, and public CAs refuse them, so the operator does not order
    such certificates from public CAs. Private CAs may accept, refuse or ignore them.
    """
    email_addresses: Annotated[
        tuple[Annotated[str, MAILBOX], ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """The e-mail addresses of the certificate. The same restrictions apply as for uris."""
    common_name: CommonName | None = None
    """
    The subject's common name, for software that still reads it: a DNS name or an IP address of at most 64 characters.
    If it is not in dnsNames or ipAddresses, the operator adds it to the names of the certificate.
    """
    subject: Subject | None = None
    """
    The other fields of the subject. Public CAs leave them out of their certificates; an Event reports this, and the
    operator places no further order.
    """
    literal_subject: Annotated[str, LITERAL_SUBJECT] | None = None
    """
    The whole subject, in the format of RFC 4514, such as CN=www.example.com,O=Example,C=DE. As that RFC specifies, the
    CSR contains it in reverse order. Its CN, if any, must be a DNS name or an IP address. Mutually exclusive with
    subject and commonName.
    """
    usages: Usages = ()
    """
    Key usages and extended key usages to request. If unset, the CA decides. Most ACME CAs decide in any case: an Event
    reports if the certificate has others, and the operator places no further order.
    """
    encode_usages_in_request: bool | None = None
    """Must be true or unset, because usages are always part of the CSR. To omit them, omit usages."""
    other_names: Annotated[tuple[OtherName, ...], Field(max_length=20, json_schema_extra=ATOMIC_LIST)] | None = None
    """
    Must be empty: ACME has no such identifiers, so no CA issues them. The field exists so that it can be refused with
    this reason.
    """
    is_ca: Annotated[bool | None, Field(alias="isCA")] = None
    """Must be false or unset: ACME CAs do not issue CA certificates."""
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
    issuer_ref: IssuerRef | None = None
    """The issuer of the certificate. Set either this or issuerRefs."""
    issuer_refs: IssuerRefs = None
    """
    Up to 4 issuers, in order of preference, instead of issuerRef. If one cannot issue, the operator uses the next one:
    immediately for a missing certificate, late in the lifetime for a renewal. It keeps a certificate from any of them
    until the renewal, and renews with the first issuer that works.
    """
    duration: Annotated[timedelta, AtLeast("1h")] | None = None
    """
    The requested lifetime, such as 2160h. The operator sends it to the CA only if the issuer sets
    enableDurationFeature; most CAs choose the lifetime themselves. If unset, the CA decides.
    """
    renew_before: Annotated[timedelta, AtLeast("5m")] | None = None
    """
    How long before expiry to renew the certificate, such as 360h, unless the CA suggests a time. If unset, or longer
    than 90 % of the certificate's actual lifetime, the operator renews when one third of that lifetime remains, or half
    if the lifetime is shorter than ten days.
    """
    renew_before_percentage: Annotated[int, Field(ge=1, le=99)] | None = None
    """
    The percentage of the lifetime that remains when the certificate is renewed. Mutually exclusive with renewBefore.
    """
    http01: Http01Override | None = None
    """
    The route to the http-01 solver, if it differs from the issuer's for the domains of this Certificate: the class of
    its Ingress, an Ingress to edit in place, or additional Gateways.
    """
    revoke_on_delete: bool = False
    """
    Whether to revoke the certificate in the Secret when the Certificate is deleted, with the reason
    cessationOfOperation. The deletion waits for this for ten minutes at most.
    """
    renewal: Renewal | None = None
    """When and how the certificate is renewed."""
    private_key: PrivateKey = PrivateKey()
    """The private key of the certificate."""
    keystores: Keystores | None = None
    """Keystores to store in the Secret, always with the same certificate as tls.crt."""
    additional_output_formats: OutputFormats = ()
    """Additional formats to store in the Secret, always of the same certificate as tls.crt."""
    revision_history_limit: RevisionHistoryLimit = 1
    """
    How many revisions of the certificate to keep, with their private keys, including the current one. With 2 or more,
    the operator keeps them in a separate Secret: you can roll back to them, and the operator can restore a deleted
    Secret without an order.
    """
    temporary_certificate: bool = False
    """
    Whether to write a self-signed certificate into a Secret that does not exist, until the CA has issued the first one.
    For servers and ingress controllers that do not start without a certificate.
    """
    paused: bool = False
    """
    Whether the operator leaves the Certificate alone: it places no order, creates no records and writes no Secret, and
    only reports an expiring certificate. Everything that exists stays.
    """
    request: RequestSpec | None = None
    """
    A one-time request, such as a renewal. The operator removes the field when the request has ended; status.requests
    has the result. Removing it earlier cancels the request.
    """

    @property
    def issuers(self) -> tuple[IssuerRef, ...]:
        """The issuers in order of preference, at least one."""
        return self.issuer_refs or (() if self.issuer_ref is None else (self.issuer_ref,))

    @property
    def effective_common_name(self) -> str | None:
        """The common name of the subject, in normal form, wherever it is given."""
        return self.common_name if self.literal_subject is None else common_name_of(self.literal_subject)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.issuer_ref is None) == (self.issuer_refs is None):
            raise ValueError(_ONE_ISSUER)
        if not self.dns_names and not self.ip_addresses and self.common_name is None:
            raise ValueError(_NO_NAMES)
        if self.literal_subject is not None:
            if self.subject is not None or self.common_name is not None:
                raise ValueError(_ONE_SUBJECT)
            common_name_of(self.literal_subject)
        names = {*self.dns_names, *self.ip_addresses}
        if len(names | {self.effective_common_name} - {None}) > MAX_NAMES:
            raise ValueError(_TOO_MANY)
        if self.is_ca:
            raise ValueError(f"isCA {_NO_CA}")
        if self.other_names:
            raise ValueError(f"otherNames {_NO_OTHER_NAMES}")
        if self.encode_usages_in_request is False:
            raise ValueError(f"encodeUsagesInRequest {_USAGES_ENCODED}")
        if {"encipher only", "decipher only"} & set(self.usages) and "key agreement" not in self.usages:
            raise ValueError(_AGREEMENT)
        if self.renew_before is not None and self.renew_before_percentage is not None:
            raise ValueError(_RENEW_ONCE)
        if self.renewal is not None and self.renewal.rehearse is not None:
            elsewhere = self.renewal.rehearse.issuer_ref
            if any((one.kind, one.name) == (elsewhere.kind, elsewhere.name) for one in self.issuers):
                raise ValueError(_REHEARSED_ELSEWHERE)
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
    renewal: RenewalStatus | None = None
    """The basis of that time, and what the CA suggests."""
    serial_number: Annotated[str, Field(max_length=64)] | None = None
    """The serial number of the certificate in the Secret, in hexadecimal."""
    issuer: UsedIssuer | None = None
    """The issuer of the certificate in the Secret; while there is none, the issuer that it is requested from."""
    revision: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The number of certificates issued for this object."""
    revocations: Annotated[
        tuple[RevocationStatus, ...], Field(max_length=KEPT_REVOCATIONS, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """The certificates that were revoked or will be, the latest last. The operator uses none of them again."""
    compromised_keys: Annotated[
        tuple[Annotated[str, Field(max_length=64, pattern="^[0-9a-f]{64}$")], ...],
        Field(max_length=MAX_COMPROMISED_KEYS, json_schema_extra=ATOMIC_LIST),
    ] = ()
    """
    The private keys that were reported as compromised, the latest last: the SHA-256 of each public key. No Certificate
    of the namespace uses them again.
    """
    failed_attempts: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The number of failed attempts since the last success."""
    last_failure_time: Timestamp | None = None
    """When the last attempt failed."""
    next_attempt_time: Timestamp | None = None
    """When the next attempt will start."""
    revisions: Annotated[
        tuple[RevisionStatus, ...], Field(max_length=MAX_REVISIONS, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """The revisions that are kept, if revisionHistoryLimit is 2 or more. You can roll back to these."""
    recent_orders: Annotated[tuple[Timestamp, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """
    When orders were placed during the last day, not counting scheduled renewals. The operator places no more than 5 in
    an hour and 10 in a day, whatever changes the Secret or the spec.
    """
    requests: Annotated[tuple[RequestStatus, ...], Field(max_length=KEPT_REQUESTS, json_schema_extra=ATOMIC_LIST)] = ()
    """The last 8 requests (spec.request), the latest last."""
    order: OrderStatus | None = None
    """The order in progress at the CA: what each domain needs, and what the operator last observed."""


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
