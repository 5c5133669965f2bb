"""The dns solvers beside dns01, with the same providers: dnsAccount01 and dnsPersist01."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.duration import AtLeast
from certwright.resources.names import Distinct, DnsName, Endpoint, ZoneName
from certwright.resources.rules import ATOMIC_LIST, rule, validations
from certwright.resources.solver import (
    TARGETS_FOLLOW,
    CnameStrategy,
    Dns01,
    DnsProvider,
    ProviderChoice,
    provider_fields,
)
from certwright.resources.timestamp import Timestamp

_Targets = Annotated[tuple[ZoneName, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST), Distinct]
_Servers = Annotated[tuple[Endpoint, ...], Field(max_length=8, json_schema_extra=ATOMIC_LIST), Distinct]


_NO_PROVIDER: Final = "allowedTargets is for records that the operator creates: name a DNS provider as well"


def _at_most_one_message(model: type[Model]) -> str:
    return f"must name at most one DNS provider: {', '.join(provider_fields(model))}"


def _provider_rules(schema: dict[str, Any], model: type[Model]) -> None:
    given = [f"has(self.{name})" for name in provider_fields(model)]
    rules = [rule(f"!has(self.allowedTargets) || {' || '.join(given)}", _NO_PROVIDER, field_path=".allowedTargets")]
    if len(given) > 1:
        rules.append(rule(f"[{', '.join(given)}].filter(given, given).size() <= 1", _at_most_one_message(model)))
    schema.update(validations(*rules))


class DnsAccount01(Dns01):
    """Validation by a TXT record at a name of the account's own, _<label>._acme-challenge.<domain>.

    See draft-ietf-acme-dns-account-label. Several accounts, operators or clusters can validate the same domain at the
    same time, each with a CNAME of its own. The label is computed from the account URL; the issuer's status shows it.
    """

    cname_strategy: CnameStrategy = "Follow"
    """
    What to do if _<label>._acme-challenge.<domain> is a CNAME. Follow creates the record at the target of the CNAME,
    where the CA looks it up, if allowedTargets permits. None creates it at the name itself, for split-horizon DNS.
    """
    allowed_targets: _Targets = ()
    """
    The zones, such as acme.example.net, to which CNAMEs at _<label>._acme-challenge.<domain> may lead; targets below
    the validated domain itself are always allowed. If unset, an Issuer follows CNAMEs everywhere, and a ClusterIssuer
    to no other domain: otherwise anyone who owns a domain could have records created wherever its credentials reach.
    """
    nameservers: _Servers = ()
    """
    Recursive DNS servers for looking up CNAMEs, zones and name servers, each as host, host:port or [IPv6
    address]:port. If unset, those in the operator's resolv.conf.
    """
    authoritative_nameservers: _Servers = ()
    """
    DNS servers that must serve the record before the CA is asked to validate, each as host, host:port or [IPv6
    address]:port. If unset, those in the zone's NS records. Set it if the cluster cannot reach these.
    """


class DnsPersist01(ProviderChoice):
    """Validation by a permanent TXT record at _validation-persist.<domain> (draft-ietf-acme-dns-persist).

    The record names the CA and the account, and serves every issuance and renewal: nothing in the DNS changes when a
    certificate is ordered. The issuer's status shows the exact records. With a DNS provider the operator creates them,
    once; without one it waits until you have published them, and places no order before.
    """

    model_config = ConfigDict(json_schema_extra=_provider_rules)

    issuer_domain_name: DnsName | None = None
    """
    The name by which the record means the CA, such as letsencrypt.org. If unset, the first of the caaIdentities in the
    CA's directory.
    """
    policy: Literal["wildcard"] | None = None
    """
    wildcard: the record also covers wildcards, and domains below. Records for wildcards always say so.
    """
    persist_until: Timestamp | None = None
    """When the records that the operator creates or asks for expire. If unset, they do not."""
    cname_strategy: CnameStrategy = "Follow"
    """
    What to do if _validation-persist.<domain> is a CNAME. Follow looks for the record, and creates it, at the target of
    the CNAME, where the CA looks it up. None does so at the name itself, for split-horizon DNS.
    """
    allowed_targets: _Targets = ()
    """
    The zones to which CNAMEs at _validation-persist.<domain> may lead for the operator to create records there; targets
    below the domain itself are always allowed. If unset, an Issuer follows CNAMEs everywhere, and a ClusterIssuer to no
    other domain. Records that you publish yourself may be anywhere.
    """
    nameservers: _Servers = ()
    """
    Recursive DNS servers for looking up CNAMEs, zones and name servers, each as host, host:port or [IPv6
    address]:port. If unset, those in the operator's resolv.conf.
    """
    authoritative_nameservers: _Servers = ()
    """
    DNS servers that must serve the record before the CA is asked to validate, each as host, host:port or [IPv6
    address]:port. If unset, those in the zone's NS records. Set it if the cluster cannot reach these.
    """
    propagation_timeout: Annotated[timedelta, AtLeast("1s")] = timedelta(minutes=2)
    """
    How long to wait until all authoritative servers serve the record, once the order is placed. Before that the
    Certificate waits without a limit, and looks again at growing pauses.
    """

    @property
    def has_provider(self) -> bool:
        """Whether the operator creates the records."""
        return bool(self._providers())

    @model_validator(mode="after")
    def _one_provider(self) -> Self:
        given = [value for value in dict(self).values() if isinstance(value, DnsProvider)]
        if len(given) > 1:
            raise ValueError(_at_most_one_message(type(self)))
        if self.allowed_targets and not given:
            raise ValueError(_NO_PROVIDER)
        if self.allowed_targets and self.cname_strategy != "Follow":
            raise ValueError(TARGETS_FOLLOW)
        return self
