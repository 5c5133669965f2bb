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
from certwright.resources.revocation import KEPT_REVOCATIONS, RevocationStatus
from certwright.resources.rules import ATOMIC_LIST, CONDITIONS, MAX_COUNT, rule, validations
from certwright.resources.subject import LITERAL_SUBJECT, MAILBOX, URI, Subject, Usages, common_name_of
from certwright.resources.timestamp import Timestamp

_ONE_ISSUER = "exactly one of issuerRef and issuerRefs must be set"
MAX_NAMES: Final = 100
"""Of one certificate, as at most CAs."""
_NO_NAMES = "needs at least one of dnsNames, ipAddresses and commonName: ACME CAs certify nothing else alone"
_TOO_MANY = (
    "dnsNames and ipAddresses may have 100 entries together, including a common name that is in neither: CAs put no "
    "more into one certificate"
)
_ONE_SUBJECT = "literalSubject excludes subject and commonName: it is the whole subject"
_NO_CA = "must be false or unset: ACME CAs issue certificates for servers, never for CAs"
_NO_OTHER_NAMES = "must be empty: ACME CAs certify DNS names and IP addresses, and refuse a request with other names"
_USAGES_ENCODED = "must be true or unset: usages are in the request; to keep them out of it, leave usages out"
_AGREEMENT = "encipher only and decipher only need key agreement as well (RFC 5280, section 4.2.1.3)"
_IS_REHEARSED = "({0}.name == self.renewal.rehearse.issuerRef.name && {0}.kind == self.renewal.rehearse.issuerRef.kind)"
_REHEARSED_ELSEWHERE = "rehearse.issuerRef must be another issuer than those of the certificate, such as a staging one"
_RENEW_ONCE = "renewBefore and renewBeforePercentage are mutually exclusive"
_RENEW_EARLY = "renewBefore must be shorter than duration: otherwise the certificate would be renewed continuously"


class OtherName(Model):
    """A name of another type, as cert-manager has it for private CAs."""

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
    subdomains but not the domain itself; list both if you need both. Upper case, a final dot and names in other
    scripts are converted, and duplicates are ignored.
    """
    ip_addresses: Annotated[
        tuple[IpAddress, ...], Field(max_length=MAX_NAMES, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """
    The IPv4 and IPv6 addresses of the certificate, such as 192.0.2.1 or 2001:db8::1 (RFC 8738). CAs validate them by
    http-01 or tls-alpn-01, never by dns-01. Few CAs issue certificates for addresses, some only in a certain profile.
    """
    uris: Annotated[tuple[Annotated[str, URI], ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST), Distinct] = ()
    """
    URIs of the certificate. ACME cannot validate a URI: public CAs refuse them, so the operator does not order from
    those. A private CA is asked, and may refuse or ignore them.
    """
    email_addresses: Annotated[
        tuple[Annotated[str, MAILBOX], ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """E-mail addresses of the certificate. What is said of uris holds for them."""
    common_name: CommonName | None = None
    """
    The subject's common name, for software that still reads it: a DNS name or an IP address of at most 64 characters.
    One that is not in dnsNames or ipAddresses is added to the names of the certificate.
    """
    subject: Subject | None = None
    """
    The other fields of the subject. They are requested; public CAs leave them out of their certificates, which an
    Event tells and which causes no further order.
    """
    literal_subject: Annotated[str, LITERAL_SUBJECT] | None = None
    """
    The whole subject, as in RFC 4514, such as CN=www.example.com,O=Example,C=DE. It is in the request in the order
    that the RFC says, the last part first. Its CN, if it has one, must be a DNS name or an IP address. Excludes
    subject and commonName.
    """
    usages: Usages = ()
    """
    Key usages and extended key usages to request. If unset, the CA decides. Most ACME CAs decide anyway: an Event
    tells if the certificate has others, and no further order is placed for it.
    """
    encode_usages_in_request: bool | None = None
    """Must be true or unset: usages are in the request. To keep them out of it, leave usages out."""
    other_names: Annotated[tuple[OtherName, ...], Field(max_length=20, json_schema_extra=ATOMIC_LIST)] | None = None
    """Must be empty: ACME has no such identifiers, so no CA grants them. It is here to be refused with the reason."""
    is_ca: Annotated[bool | None, Field(alias="isCA")] = None
    """Must be false or unset: an ACME CA issues no certificates for CAs."""
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
    """The issuer of the certificate. Either this or issuerRefs."""
    issuer_refs: IssuerRefs = None
    """
    Up to 4 issuers, in order of preference, instead of issuerRef. If one cannot issue for so long that it matters, the
    next one does: at once for a certificate that is missing, late in its lifetime for a renewal. A certificate of any
    of them is kept until its renewal, which the first issuer that works does.
    """
    duration: Annotated[timedelta, AtLeast("1h")] | None = None
    """
    The requested lifetime, such as 2160h. It is sent to the CA only if the issuer sets enableDurationFeature;
    most CAs choose the lifetime themselves. If unset, the CA decides.
    """
    renew_before: Annotated[timedelta, AtLeast("5m")] | None = None
    """
    How long before expiry to renew the certificate at the latest, such as 360h, unless the CA suggests a time. If
    unset, or longer than nine tenths of the certificate's real lifetime, the certificate is renewed when one third of
    that lifetime remains, or half if it is shorter than ten days.
    """
    renew_before_percentage: Annotated[int, Field(ge=1, le=99)] | None = None
    """The percentage of the lifetime that remains when the certificate is renewed. Excludes renewBefore."""
    http01: Http01Override | None = None
    """
    The route to the solver of http-01, if another one than the issuer's leads to the domains of this Certificate: the
    class of its Ingress, an Ingress to edit in place, or further Gateways.
    """
    revoke_on_delete: bool = False
    """
    Whether to revoke the certificate in the Secret when the Certificate is deleted, for the reason
    cessationOfOperation. The deletion waits for it, for ten minutes at most.
    """
    renewal: Renewal | None = None
    """When and how the certificate is renewed."""
    private_key: PrivateKey = PrivateKey()
    """The private key of the certificate."""
    keystores: Keystores | None = None
    """Keystores that the Secret also holds, always of the same certificate as tls.crt."""
    additional_output_formats: OutputFormats = ()
    """Further formats that the Secret also holds, always of the same certificate as tls.crt."""
    revision_history_limit: RevisionHistoryLimit = 1
    """
    How many revisions of the certificate are kept, with their private keys, the present one included. With 2 or more,
    a Secret of its own keeps them: they can be rolled back to, and a Secret that is deleted comes back from it
    without an order.
    """
    temporary_certificate: bool = False
    """
    Whether to write a self-signed certificate into a Secret that does not exist, until the CA has issued the first one.
    For servers and ingress controllers that do not start without any.
    """
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
    """What that time is based on, and what the CA suggests."""
    serial_number: Annotated[str, Field(max_length=64)] | None = None
    """The serial number of the certificate in the Secret, in hexadecimal."""
    issuer: UsedIssuer | None = None
    """The issuer of the certificate in the Secret; while there is none, the one that it is requested from."""
    revision: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The number of certificates issued for this object."""
    revocations: Annotated[
        tuple[RevocationStatus, ...], Field(max_length=KEPT_REVOCATIONS, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """The certificates that were revoked, or are to be, the latest ones last. None of them is used again."""
    failed_attempts: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """The number of failed attempts since the last success."""
    last_failure_time: Timestamp | None = None
    """When the last attempt failed."""
    next_attempt_time: Timestamp | None = None
    """When the next attempt will start."""
    revisions: Annotated[
        tuple[RevisionStatus, ...], Field(max_length=MAX_REVISIONS, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """The revisions that are kept, if revisionHistoryLimit is 2 or more: those that a rollback can go back to."""
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
