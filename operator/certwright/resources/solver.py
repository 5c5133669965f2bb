"""Which domains a solver is for, and the dns01 solver with the DNS providers."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.duration import AtLeast
from certwright.resources.http01 import SelfCheck
from certwright.resources.labels import LABELS
from certwright.resources.names import (
    UNIQUE_ENDPOINTS,
    UNIQUE_LIST,
    Distinct,
    DnsName,
    Endpoint,
    Resolver,
    TsigKeyName,
    Unique,
    ZoneName,
)
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import ATOMIC_LIST, rule, validations

CnameStrategy = Literal["None", "Follow"]
TsigAlgorithm = Literal[
    "HMACMD5",
    "HMACSHA1",
    "HMACSHA224",
    "HMACSHA256",
    "HMACSHA256-128",
    "HMACSHA384",
    "HMACSHA384-192",
    "HMACSHA512",
    "HMACSHA512-256",
]
UpdateProtocol = Literal["TCP", "UDP"]
SelfCheckView = Literal["authoritative", "recursive"]

MAX_SELECTED: Final = 48
"""Entries of a list of names in a solver: comparing more with each other costs more than the API server allows."""
_REF = "_secret_ref"
TARGETS_FOLLOW: Final = "allowedTargets is for cnameStrategy Follow: with None no CNAME is followed"
WAIT_LONG: Final = "propagationWait must not be longer than propagationTimeout"
_TSIG_PAIR = "tsigKeyName and tsigSecretSecretRef must be set together; leave both unset for unsigned updates"


class Selector(Model):
    """Selects the domains for a solver: those that match every field that is set."""

    dns_names: Annotated[
        tuple[DnsName, ...], Field(max_length=MAX_SELECTED, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """
    Exact domain names; a wildcard matches only itself. An exact name takes precedence over a zone. A solver for names
    or zones is not for IP addresses.
    """
    dns_zones: Annotated[
        tuple[ZoneName, ...], Field(max_length=MAX_SELECTED, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """All domains in these zones, including subdomains and wildcards. The longest matching zone wins."""
    match_labels: Annotated[Mapping[str, str], LABELS] = {}
    """Labels that the Certificate must have."""


class DnsProvider(Model):
    """The base of the models of DNS providers: an issuer names one of them.

    The names of its fields are those of the provider's configuration in `certwright.dns.providers`; a credential
    `api_token` there is named here by `api_token_secret_ref`.
    """

    def credentials(self) -> dict[str, SecretKeyRef]:
        """Where the credentials are that are given, by the names of the configuration."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name.removesuffix(_REF): value for name, value in given if isinstance(value, SecretKeyRef)}

    def credential_field(self, name: str) -> str:
        """The field that says where a credential is, as users write it."""
        field = f"{name}{_REF}"
        return type(self).model_fields[field].alias or field

    def settings(self) -> dict[str, Any]:
        """What is given besides credentials, by the names of the configuration."""
        return {name: getattr(self, name) for name in type(self).model_fields if not name.endswith(_REF)}


class Rfc2136(DnsProvider):
    """Dynamic updates (RFC 2136), as supported by BIND, Knot, PowerDNS and Microsoft DNS."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("has(self.tsigKeyName) == has(self.tsigSecretSecretRef)", _TSIG_PAIR))
    )

    nameserver: Endpoint
    """
    The server to send updates to, as host, host:port or [IPv6 address]:port. The default port is 53.
    """
    tsig_key_name: TsigKeyName | None = None
    """The name of the TSIG key, as in the server's configuration."""
    tsig_algorithm: TsigAlgorithm = "HMACSHA256"
    """The algorithm of the TSIG key."""
    tsig_secret_secret_ref: SecretKeyRef | None = None
    """
    The Secret entry that holds the TSIG key in base64, as printed by tsig-keygen. Paste it into the Secret's
    `stringData` unchanged.
    """
    protocol: UpdateProtocol = "TCP"
    """The transport protocol for updates."""

    @model_validator(mode="after")
    def _tsig_is_whole(self) -> Self:
        if (self.tsig_key_name is None) != (self.tsig_secret_secret_ref is None):
            raise ValueError(_TSIG_PAIR)
        return self


def provider_fields(model: type[Model]) -> list[str]:
    """The fields that name a provider, as users write them."""
    return [
        field.alias or name
        for name, field in model.model_fields.items()
        if any(isinstance(one, type) and issubclass(one, DnsProvider) for one in get_args(field.annotation))
    ]


def _one_provider_message(model: type[Model]) -> str:
    return f"must name one DNS provider: {', '.join(provider_fields(model))}"


def _one_provider_rule(schema: dict[str, Any], model: type[Model]) -> None:
    given = [f"has(self.{name})" for name in provider_fields(model)]
    cel = given[0] if len(given) == 1 else f"[{', '.join(given)}].exists_one(given, given)"
    schema.update(validations(rule(cel, _one_provider_message(model))))


class ProviderChoice(Model):
    """The base of solvers whose records a DNS provider creates: one field for each."""

    rfc2136: Rfc2136 | None = None
    """Creates records by dynamic updates (RFC 2136)."""

    @property
    def provider(self) -> tuple[str, DnsProvider]:
        """The provider: its name, which is also its name in `certwright.dns.providers`, and its model."""
        ((name, provider),) = self._providers()
        return name, provider

    def _providers(self) -> list[tuple[str, DnsProvider]]:
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return [(name, value) for name, value in given if isinstance(value, DnsProvider)]


class Dns01(ProviderChoice):
    """Validation by a TXT record at _acme-challenge.<domain> (RFC 8555, section 8.4). Required for wildcards."""

    model_config = ConfigDict(json_schema_extra=_one_provider_rule)

    cname_strategy: CnameStrategy = "Follow"
    """
    What to do if _acme-challenge.<domain> is a CNAME. Follow creates the record at the target of the CNAME,
    where the CA looks it up, if allowedTargets permits. None creates it at the name itself, for split-horizon DNS.
    """
    allowed_targets: Annotated[
        tuple[ZoneName, ...], Field(max_length=MAX_SELECTED, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """
    The zones, such as acme.example.net, to which CNAMEs at _acme-challenge.<domain> may lead; targets below the
    validated domain itself are always allowed. If unset, an Issuer follows CNAMEs everywhere, and a ClusterIssuer to
    no other domain: otherwise anyone who owns a domain could have records created wherever its credentials reach.
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
    DNS servers that must serve the record before the CA is asked to validate, each as host, host:port or [IPv6
    address]:port. If unset, those in the zone's NS records. Set it if the cluster cannot reach these.
    """
    self_check: SelfCheck = "required"
    """
    Whether the operator looks for the record before it asks the CA to validate. required: the CA is asked only once the
    record is visible. advisory: after propagationTimeout the CA is asked anyway, with a warning. off: no look, for DNS
    servers that the operator cannot reach at all; the CA is asked after propagationWait.
    """
    self_check_views: Annotated[
        tuple[SelfCheckView, ...], Field(min_length=1, max_length=2, json_schema_extra=UNIQUE_LIST), Unique
    ] = ("authoritative",)
    """
    Where the record must be visible. authoritative: on every authoritative server of the zone, each asked directly.
    recursive: on every server in nameservers, or in the operator's resolv.conf, as the CA's own resolver would find it;
    for split-horizon DNS, name public resolvers there. With both, resolvers are asked once the authoritative servers
    have the record, because a resolver remembers for a while that a record was missing.
    """
    propagation_timeout: Annotated[timedelta, AtLeast("1s")] = timedelta(minutes=2)
    """
    How long to wait until the record is visible. If it is not by then and selfCheck is required, the Certificate
    reports which servers lack it; after a pause the record is written again for the same order and the wait
    restarts.
    """
    propagation_wait: Annotated[timedelta, AtLeast("0s")] = timedelta()
    """
    How long to wait after the record was written before the first look, or before the CA is asked if selfCheck is off.
    At most propagationTimeout. For the recursive view alone, set the time that the provider takes to publish a record.
    """

    @model_validator(mode="after")
    def _one_provider(self) -> Self:
        if len(self._providers()) != 1:
            raise ValueError(_one_provider_message(type(self)))
        return self

    @model_validator(mode="after")
    def _wait_is_short(self) -> Self:
        if self.propagation_wait > self.propagation_timeout:
            raise ValueError(WAIT_LONG)
        return self

    @model_validator(mode="after")
    def _targets_are_followed(self) -> Self:
        if self.allowed_targets and self.cname_strategy != "Follow":
            raise ValueError(TARGETS_FOLLOW)
        return self
