"""Which addresses an issuer may use for DNS servers.

The addresses of a host name are checked when it is looked up. A configured address is used unchanged, because a node's
DNS cache has a link-local one. But an Issuer, which users of a namespace may write, must not name an address at which
only the operator's own pod, its node or its cloud listens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.dns import InvalidServer
from certwright.dns.endpoint import objection_to
from certwright.failures import IssuanceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certwright.http.addresses import AddressPolicy
    from certwright.resources import AcmeIssuerSpec, IssuerSolver


def check_dns_servers(spec: AcmeIssuerSpec, policy: AddressPolicy) -> None:
    """Check the DNS servers that an Issuer names.

    Args:
        spec: The Issuer's.
        policy: Which addresses may be connected to.

    Raises:
        IssuanceError: One has an address that may not be.
    """
    for number, solver in enumerate(spec.solvers):
        for field, text in _servers_of(solver):
            try:
                objection = objection_to(text, policy)
            except InvalidServer:
                continue  # a URL of DNS over HTTPS, whose connections are judged themselves
            if objection is not None:
                raise IssuanceError(
                    "DNSServerRefused",
                    f"spec.acme.solvers[{number}].{field} names {text}, which is {objection}: an Issuer may not have "
                    "the operator connect there. Name another server, or have an administrator create a ClusterIssuer.",
                )


def _servers_of(solver: IssuerSolver) -> Iterator[tuple[str, str]]:
    dns01 = solver.dns01
    if dns01 is not None:
        yield from (("dns01.nameservers", text) for text in dns01.nameservers)
        yield from (("dns01.authoritativeNameservers", text) for text in dns01.authoritative_nameservers)
        if dns01.rfc2136 is not None:
            yield "dns01.rfc2136.nameserver", dns01.rfc2136.nameserver
    routed = solver.http01 or solver.tls_alpn01
    if routed is not None:
        yield from ((f"{solver.field}.nameservers", text) for text in routed.nameservers)
