"""Solvers: how an Issuer proves to the CA that the names of a certificate are ours."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.duration import AtLeast
from certwright.resources.http01 import Http01
from certwright.resources.labels import LABELS
from certwright.resources.names import DnsName, Endpoint, TsigKeyName, Unique, ZoneName
from certwright.resources.rules import ATOMIC_LIST, SET, rule, validations
from certwright.resources.secret_ref import SecretKeyRef

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

_REF = "_secret_ref"
_ONE_CHALLENGE = "must have exactly one of dns01 and http01"
_TSIG_PAIR = "tsigKeyName and tsigSecretSecretRef belong together: give both, or none for updates without a key"


class Selector(Model):
    """Which names a solver is for: those that fit everything given here."""

    dns_names: Annotated[tuple[DnsName, ...], Field(max_length=64, json_schema_extra=SET), Unique] = ()
    """Exactly these names, a wildcard being a name of its own. An exact name beats a zone."""
    dns_zones: Annotated[tuple[ZoneName, ...], Field(max_length=64, json_schema_extra=SET), Unique] = ()
    """Every name in these zones and below, wildcards included. The longest matching zone wins."""
    match_labels: Annotated[Mapping[str, str], LABELS] = {}
    """Only Certificates that have all of these labels."""


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
    """Dynamic updates (RFC 2136), which BIND, Knot, PowerDNS and Microsoft's DNS server take."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("has(self.tsigKeyName) == has(self.tsigSecretSecretRef)", _TSIG_PAIR))
    )

    nameserver: Endpoint
    """
    The server that takes the updates, as host, host:port or [IPv6 address]:port. The port is 53 if not given.
    """
    tsig_key_name: TsigKeyName | None = None
    """The name of the TSIG key, as the server's configuration has it."""
    tsig_algorithm: TsigAlgorithm = "HMACSHA256"
    """The algorithm of the TSIG key."""
    tsig_secret_secret_ref: SecretKeyRef | None = None
    """
    Where the TSIG key is: base64, as tsig-keygen prints it, which a Secret's `stringData` takes as it is.
    """
    protocol: UpdateProtocol = "TCP"
    """How updates are sent."""

    @model_validator(mode="after")
    def _tsig_is_whole(self) -> Self:
        if (self.tsig_key_name is None) != (self.tsig_secret_secret_ref is None):
            raise ValueError(_TSIG_PAIR)
        return self


def _provider_fields(model: type[Model]) -> list[str]:
    """The fields that name a provider, as users write them."""
    return [
        field.alias or name
        for name, field in model.model_fields.items()
        if any(isinstance(one, type) and issubclass(one, DnsProvider) for one in get_args(field.annotation))
    ]


def _one_provider_message(model: type[Model]) -> str:
    return f"must name one DNS provider: {', '.join(_provider_fields(model))}"


def _one_provider_rule(schema: dict[str, Any], model: type[Model]) -> None:
    given = [f"has(self.{name})" for name in _provider_fields(model)]
    cel = given[0] if len(given) == 1 else f"[{', '.join(given)}].exists_one(given, given)"
    schema.update(validations(rule(cel, _one_provider_message(model))))


class Dns01(Model):
    """Proof by a TXT record at _acme-challenge.<name> (RFC 8555, section 8.4). The only way to a wildcard."""

    model_config = ConfigDict(json_schema_extra=_one_provider_rule)

    cname_strategy: CnameStrategy = "Follow"
    """
    What to do if _acme-challenge.<name> is a CNAME. Follow writes the record where the CNAME leads, which is
    where the CA looks. None writes it at the name itself, for servers that answer differently inside and
    outside.
    """
    nameservers: Annotated[tuple[Endpoint, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """
    Recursive servers that find CNAMEs, zones and their name servers, each as host, host:port or [IPv6
    address]:port. Without it, those of the operator's own resolv.conf.
    """
    authoritative_nameservers: Annotated[tuple[Endpoint, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """
    The servers that must show the record before the CA is told to look, each as host, host:port or [IPv6
    address]:port. Without it, those in the zone's NS records. Give it where these cannot be reached from the
    cluster.
    """
    propagation_timeout: Annotated[timedelta, AtLeast("1s")] = timedelta(minutes=2)
    """
    How long to wait until every authoritative server shows the record. After it the Certificate says what is
    missing where; the order is kept, the record written again, and the wait begins anew after a pause.
    """
    rfc2136: Rfc2136 | None = None
    """Writes the records by dynamic updates (RFC 2136)."""

    @property
    def provider(self) -> tuple[str, DnsProvider]:
        """The provider: its name, which is also its name in `certwright.dns.providers`, and its model."""
        ((name, provider),) = self._providers()
        return name, provider

    @model_validator(mode="after")
    def _one_provider(self) -> Self:
        if len(self._providers()) != 1:
            raise ValueError(_one_provider_message(type(self)))
        return self

    def _providers(self) -> list[tuple[str, DnsProvider]]:
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return [(name, value) for name, value in given if isinstance(value, DnsProvider)]


class IssuerSolver(Model):
    """One way of proving control over names, and the names it is for."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("has(self.dns01) != has(self.http01)", _ONE_CHALLENGE))
    )

    selector: Selector | None = None
    """Which names this solver is for. Without it, every name for which no other solver fits better."""
    dns01: Dns01 | None = None
    """Proof by a TXT record."""
    http01: Http01 | None = None
    """Proof by a file served over HTTP on port 80; wildcards cannot be proved so."""

    @model_validator(mode="after")
    def _one_challenge(self) -> Self:
        if (self.dns01 is None) == (self.http01 is None):
            raise ValueError(_ONE_CHALLENGE)
        return self
