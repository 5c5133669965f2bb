"""The dns01 solver: its challenge type, its provider, and how records are checked."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.dns_providers.base import provider_fields
from certwright.resources.dns_providers.choice import ProviderChoice
from certwright.resources.duration import DURATION, AtLeast
from certwright.resources.http01 import SelfCheck
from certwright.resources.names import (
    UNIQUE_ENDPOINTS,
    UNIQUE_LIST,
    Distinct,
    DnsName,
    Endpoint,
    Resolver,
    Unique,
    ZoneName,
)
from certwright.resources.rules import ATOMIC_LIST, rule, validations
from certwright.resources.selector import MAX_SELECTED
from certwright.resources.timestamp import Timestamp

CnameStrategy = Literal["None", "Follow"]
DnsChallengeType = Literal["dns-01", "dns-account-01", "dns-persist-01"]
SelfCheckView = Literal["authoritative", "recursive"]

MAX_TTL: Final = 86400
"""A record of a challenge lives for minutes; one that a resolver keeps for longer than a day is a mistake."""

_PERSISTENT: Final = "dns-persist-01"
_TARGETS_FOLLOW: Final = "allowedTargets has no effect with cnameStrategy None: no CNAME is followed"
_TARGETS_CREATED: Final = "allowedTargets needs a DNS provider: it applies to records that the operator creates"
_WAIT_LONG: Final = "propagationWait must not be longer than propagationTimeout"
_PERSIST_ALONE: Final = "persist requires challengeType dns-persist-01"
_RAW_ALONE: Final = (
    "httpRequest with mode RAW is for challengeType dns-01: the server puts the record where only that has it"
)
_ACME_DNS_BRIEF: Final = (
    "acmeDNS cannot be used with challengeType dns-persist-01: its API takes only the values of challenges for an order"
)
_ALWAYS_LOOKED_FOR: Final = (
    "selfCheck, selfCheckViews and propagationWait cannot be set with challengeType dns-persist-01: its record is "
    "always looked for, on the authoritative servers"
)


def _providers_message(model: type[Model]) -> str:
    return f"must name one DNS provider: {', '.join(provider_fields(model))}"


def _at_most_one_message(model: type[Model]) -> str:
    return f"must name at most one DNS provider: {', '.join(provider_fields(model))}"


def _rules(schema: dict[str, Any], model: type[Model]) -> None:
    given = [f"has(self.{name})" for name in provider_fields(model)]
    persistent = f"self.challengeType == '{_PERSISTENT}'"
    wait, timeout = "self.propagationWait", "self.propagationTimeout"
    rules = [
        rule(f"{persistent} || [{', '.join(given)}].exists_one(given, given)", _providers_message(model)),
        rule(f"{persistent} || !has(self.persist)", _PERSIST_ALONE, field_path=".persist"),
        rule(
            f"!({persistent}) || (self.selfCheck == 'required' && self.selfCheckViews == ['authoritative'] && "
            f"(!{DURATION.cel_for(wait)} || duration({wait}) == duration('0s')))",
            _ALWAYS_LOOKED_FOR,
        ),
        rule(
            "self.challengeType == 'dns-01' || !has(self.httpRequest) || self.httpRequest.mode != 'RAW'",
            _RAW_ALONE,
            field_path=".httpRequest.mode",
        ),
        rule(f"!({persistent}) || !has(self.acmeDNS)", _ACME_DNS_BRIEF, field_path=".acmeDNS"),
        rule(f"!has(self.allowedTargets) || {' || '.join(given)}", _TARGETS_CREATED, field_path=".allowedTargets"),
        rule(
            "!has(self.allowedTargets) || self.cnameStrategy == 'Follow'",
            _TARGETS_FOLLOW,
            field_path=".allowedTargets",
            reason="FieldValueForbidden",
        ),
        rule(
            f"!has({timeout}) || !{DURATION.cel_for(wait)} || !{DURATION.cel_for(timeout)} || "
            f"duration({wait}) <= duration({timeout})",
            _WAIT_LONG,
            field_path=".propagationWait",
        ),
    ]
    if len(given) > 1:
        count = f"[{', '.join(given)}].filter(given, given).size()"
        rules.append(rule(f"!({persistent}) || {count} <= 1", _at_most_one_message(model)))
    schema.update(validations(*rules))


class DnsPersist(Model):
    """Additional content of permanent records, besides the CA and the account."""

    issuer_domain_name: DnsName | None = None
    """
    The domain name that identifies the CA in the record, such as letsencrypt.org. If unset, the first of the
    caaIdentities in the CA's directory.
    """
    policy: Literal["wildcard"] | None = None
    """wildcard: the record also covers wildcards and subdomains. Records for wildcards always do."""
    persist_until: Timestamp | None = None
    """When the records that the operator creates or requests expire. If unset, they do not."""


class Dns01(ProviderChoice):
    """Validation by a TXT record. Required for wildcards."""

    model_config = ConfigDict(json_schema_extra=_rules)

    challenge_type: DnsChallengeType = "dns-01"
    """
    Which record validates a domain. dns-01 (RFC 8555, section 8.4): a record at _acme-challenge.<domain> for each
    order. dns-account-01 (draft-ietf-acme-dns-account-label): a record at _<label>._acme-challenge.<domain> for each
    order, so that several accounts, operators or clusters can validate the same domain at the same time, each with its
    own CNAME; the issuer's status shows the label. dns-persist-01 (draft-ietf-acme-dns-persist): a permanent record at
    _validation-persist.<domain>, which names the CA and the account and serves every issuance and renewal; the issuer's
    status shows the exact records. With a DNS provider, the operator creates these once; without one, it places no
    order until you have published them.
    """
    persist: DnsPersist | None = None
    """Additional content of the permanent records for challengeType dns-persist-01."""
    cname_strategy: CnameStrategy = "Follow"
    """
    What to do if the name of the record is a CNAME. Follow creates the record at the CNAME's target, where the CA looks
    it up, if allowedTargets permits. None creates it at the name itself, for split-horizon DNS.
    """
    allowed_targets: Annotated[
        tuple[ZoneName, ...], Field(max_length=MAX_SELECTED, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """
    The zones, such as acme.example.net, that CNAMEs at the name of the record may point to; targets below the validated
    domain itself are always allowed. If unset, an Issuer follows CNAMEs everywhere, and a ClusterIssuer to no other
    domain: otherwise anyone who owns a domain could make the operator create records wherever the credentials allow.
    Permanent records that you publish yourself may be anywhere.
    """
    nameservers: Annotated[tuple[Resolver, ...], Field(max_length=16, json_schema_extra=UNIQUE_ENDPOINTS), Unique] = ()
    """
    Recursive DNS servers for looking up CNAMEs, zones and name servers, and for the recursive view of the self-check,
    each as host, host:port or [IPv6 address]:port, or as an https:// URL for DNS over HTTPS (RFC 8484). If unset, those
    in the operator's resolv.conf.
    """
    authoritative_nameservers: Annotated[
        tuple[Endpoint, ...], Field(max_length=16, json_schema_extra=UNIQUE_LIST), Unique
    ] = ()
    """
    DNS servers that must serve the record before the operator asks the CA to validate, each as host, host:port or [IPv6
    address]:port. If unset, the zone's NS records. Set this if the cluster cannot reach those servers.
    """
    zone: ZoneName | None = None
    """
    The zone in which to create the records. If unset, the zone with the longest matching name. Set this if the provider
    has several, or if the DNS returns another zone inside the cluster. The solver then validates no domains in other
    zones.
    """
    ttl: Annotated[int, Field(ge=1, le=MAX_TTL)] | None = None
    """
    For how many seconds resolvers may cache the records. If unset, 60, or the provider's minimum. Webhooks choose it
    themselves.
    """
    self_check: SelfCheck = "required"
    """
    Whether the operator checks for the record before it asks the CA to validate. required: it asks the CA only once the
    record is visible. advisory: after propagationTimeout it asks the CA anyway, with a warning. off: no check, for DNS
    servers that the operator cannot reach at all; it asks the CA after propagationWait.
    """
    self_check_views: Annotated[
        tuple[SelfCheckView, ...], Field(min_length=1, max_length=2, json_schema_extra=UNIQUE_LIST), Unique
    ] = ("authoritative",)
    """
    Where the record must be visible. authoritative: on every authoritative server of the zone, each asked directly.
    recursive: on every server in nameservers, or in the operator's resolv.conf, as the CA's own resolver would find it;
    for split-horizon DNS, list public resolvers there. With both, the operator asks the resolvers once the
    authoritative servers have the record, because a resolver caches for a while that a record was missing.
    """
    propagation_timeout: Annotated[timedelta, AtLeast("1s")] | None = None
    """
    How long to wait until the record is visible. If unset, 2 minutes, or as long as the provider usually takes. If
    selfCheck is required and the record is not visible in time, the Certificate reports which servers lack it; after a
    pause, the operator writes the record again for the same order and restarts the wait. For a permanent record, the
    operator waits without a limit before it places the order, and this long afterwards.
    """
    propagation_wait: Annotated[timedelta, AtLeast("0s")] = timedelta()
    """
    How long to wait after writing the record before the first check, or before asking the CA if selfCheck is off. At
    most propagationTimeout. For the recursive view alone, set the time that the provider takes to publish a record.
    """

    @property
    def has_provider(self) -> bool:
        """Whether the operator creates the records."""
        return bool(self.providers())

    @property
    def lasting(self) -> DnsPersist:
        """What permanent records say."""
        return self.persist or DnsPersist()

    @model_validator(mode="after")
    def _one_provider(self) -> Self:
        given, persistent = self.providers(), self.challenge_type == _PERSISTENT
        if len(given) != 1 and not persistent:
            raise ValueError(_providers_message(type(self)))
        if len(given) > 1:
            raise ValueError(_at_most_one_message(type(self)))
        if self.allowed_targets and not given:
            raise ValueError(_TARGETS_CREATED)
        return self

    @model_validator(mode="after")
    def _settings_fit_the_challenge(self) -> Self:
        looked_for = (self.self_check, self.self_check_views, self.propagation_wait)
        if self.challenge_type != _PERSISTENT:
            if self.persist is not None:
                raise ValueError(_PERSIST_ALONE)
        elif looked_for != ("required", ("authoritative",), timedelta()):
            raise ValueError(_ALWAYS_LOOKED_FOR)
        if self.challenge_type == _PERSISTENT and self.acme_dns is not None:
            raise ValueError(_ACME_DNS_BRIEF)
        raw = self.http_request is not None and self.http_request.mode == "RAW"
        if raw and self.challenge_type != "dns-01":
            raise ValueError(_RAW_ALONE)
        return self

    @model_validator(mode="after")
    def _wait_is_short(self) -> Self:
        if self.propagation_timeout is not None and self.propagation_wait > self.propagation_timeout:
            raise ValueError(_WAIT_LONG)
        return self

    @model_validator(mode="after")
    def _targets_are_followed(self) -> Self:
        if self.allowed_targets and self.cname_strategy != "Follow":
            raise ValueError(_TARGETS_FOLLOW)
        return self
