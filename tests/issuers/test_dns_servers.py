"""The DNS servers that an Issuer names by their addresses: not where only the operator, its node or its cloud is."""

from __future__ import annotations

from typing import Any

import pytest

from certwright.failures import IssuanceError
from certwright.http.addresses import AddressPolicy
from certwright.issuers.dns_servers import check_dns_servers
from certwright.resources import AcmeIssuerSpec
from tests.fakes.issuers import CA, SHARED, Bench

IN_POD = AddressPolicy(allow_loopback=False)
RFC2136 = {"nameserver": "ns1.example"}


def spec(*solvers: dict[str, Any]) -> AcmeIssuerSpec:
    return AcmeIssuerSpec.model_validate(
        {"server": "https://ca.example/d", "privateKeySecretRef": {"name": "account"}, "solvers": solvers}
    )


@pytest.mark.parametrize(
    ("solver", "field"),
    [
        ({"dns01": {"rfc2136": RFC2136, "nameservers": ["192.0.2.1", "169.254.169.254:80"]}}, "dns01.nameservers"),
        ({"dns01": {"rfc2136": RFC2136, "nameservers": ["127.0.0.1:8080"]}}, "dns01.nameservers"),
        ({"dns01": {"rfc2136": RFC2136, "nameservers": ["[::ffff:169.254.169.254]:53"]}}, "dns01.nameservers"),
        (
            {"dns01": {"rfc2136": RFC2136, "authoritativeNameservers": ["[fd00:ec2::254]:80"]}},
            "dns01.authoritativeNameservers",
        ),
        ({"dns01": {"rfc2136": {"nameserver": "169.254.20.10"}}}, "dns01.rfc2136.nameserver"),
        ({"dns01": {"rfc2136": {"nameserver": "[::1]:8080"}}}, "dns01.rfc2136.nameserver"),
        ({"http01": {"ingress": {}, "nameservers": ["168.63.129.16"]}}, "http01.nameservers"),
        ({"tlsAlpn01": {"service": {}, "nameservers": ["100.100.100.200"]}}, "tlsAlpn01.nameservers"),
    ],
)
def test_an_issuer_names_no_server_where_only_the_operator_its_node_or_its_cloud_is(
    solver: dict[str, Any], field: str
) -> None:
    with pytest.raises(IssuanceError) as caught:
        check_dns_servers(spec({"http01": {"ingress": {}}}, solver), IN_POD)
    assert caught.value.reason == "DNSServerRefused"
    assert str(caught.value).startswith(f"spec.acme.solvers[1].{field} names ")


def test_other_servers_are_nobodys_business() -> None:
    fine = ["192.0.2.1", "10.0.0.10:53", "[2001:db8::1]:53", "ns1.example", "https://dns.example/dns-query"]
    check_dns_servers(spec({"dns01": {"rfc2136": {"nameserver": "10.0.0.1"}, "nameservers": fine}}), IN_POD)
    check_dns_servers(spec({"dns01": {"rfc2136": {"nameserver": "127.0.0.1:5353"}}}), AddressPolicy())


async def test_the_cache_of_the_node_may_be_named_by_a_cluster_issuer_only() -> None:
    bench = Bench()
    solvers = [{"dns01": {"rfc2136": RFC2136, "nameservers": ["169.254.20.10"]}}]
    for key in (CA, SHARED):
        bench.write(key, solvers=solvers)
        await bench.reconciler.reconcile(key)
    assert bench.ready(SHARED) == ("True", "AccountRegistered")
    assert bench.ready(CA) == ("False", "DNSServerRefused")
