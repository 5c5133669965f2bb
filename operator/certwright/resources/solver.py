"""Solvers: how an Issuer proves to the CA that the names of a certificate are ours."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

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

_ONE_CHALLENGE = "must have exactly one of dns01 and http01"
_ONE_PROVIDER = "must name one DNS provider: rfc2136"
_TSIG_PAIR = "tsigKeyName and tsigSecretSecretRef belong together: give both, or none for updates without a key"


class Selector(Model):
    """Which names a solver is for: those that fit everything given here."""

    dns_names: Annotated[tuple[DnsName, ...], Field(max_length=64, json_schema_extra=SET), Unique] = ()
    """Exactly these names, a wildcard being a name of its own. An exact name beats a zone."""
    dns_zones: Annotated[tuple[ZoneName, ...], Field(max_length=64, json_schema_extra=SET), Unique] = ()
    """Every name in these zones and below, wildcards included. The longest matching zone wins."""
    match_labels: Annotated[Mapping[str, str], LABELS] = {}
    """Only Certificates that have all of these labels."""


class Rfc2136(Model):
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


class Dns01(Model):
    """Proof by a TXT record at _acme-challenge.<name> (RFC 8555, section 8.4). The only way to a wildcard."""

    model_config = ConfigDict(json_schema_extra=validations(rule("has(self.rfc2136)", _ONE_PROVIDER)))

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

    @model_validator(mode="after")
    def _one_provider(self) -> Self:
        if self.rfc2136 is None:
            raise ValueError(_ONE_PROVIDER)
        return self


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
