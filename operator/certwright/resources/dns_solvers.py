"""The dns solvers beside dns01, with the same providers."""

from typing import Annotated

from pydantic import Field

from certwright.resources.names import Distinct, Endpoint, ZoneName
from certwright.resources.rules import ATOMIC_LIST
from certwright.resources.solver import CnameStrategy, Dns01

_Targets = Annotated[tuple[ZoneName, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST), Distinct]
_Servers = Annotated[tuple[Endpoint, ...], Field(max_length=8, json_schema_extra=ATOMIC_LIST), Distinct]


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
