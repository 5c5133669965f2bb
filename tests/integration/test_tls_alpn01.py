"""tls-alpn-01 as a solver of Issuers: what is made in the cluster, and a validation by a real CA."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness import OperatorProcess, Tenant, issuer
from testbed.definitions import GATEWAY_API
from testbed.ports import allocator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness import Cluster
    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble

GROUP = "gateway.networking.k8s.io"


pytestmark = pytest.mark.usefixtures("without_operator")


@pytest.fixture
def tls_operator(bed: TestBed, operator_namespace: str, tls_port: int, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator whose shared responder is where the CA asks: what is between the two is the cluster's."""
    # The API server takes no loopback address in an EndpointSlice; nothing follows this one here.
    arguments = (
        "--responder-address=192.0.2.1",
        f"--responder-port={allocator.take()}",
        f"--tls-responder-port={tls_port}",
        f"--tls-alpn01-port={tls_port}",
        "--allow-loopback",
    )
    with OperatorProcess(
        bed.kubeconfig, tmp_path / "operator.log", operator_namespace=operator_namespace, arguments=arguments
    ) as running:
        yield running


@pytest.fixture
def tenant(bed: TestBed, cluster: Cluster, namespace: str, tls_operator: OperatorProcess) -> Tenant:
    return Tenant(namespace, bed, cluster, tls_operator)


@pytest.fixture
def _tls_routes(bed: TestBed) -> Iterator[None]:
    with bed.crds(*GATEWAY_API.of("tlsroutes")):
        yield


@pytest.mark.usefixtures("_tls_routes")
def test_a_domain_is_validated_by_a_handshake_and_nothing_is_left(
    tenant: Tenant, make_pebble: Callable[..., Pebble], tls_port: int
) -> None:
    bed, cluster, namespace = tenant.bed, tenant.cluster, tenant.namespace
    parents = {"parentRefs": [{"name": "front", "namespace": "gateway"}]}
    solver = {
        "tlsAlpn01": {
            "gatewayTLSRoute": parents,
            "responder": "shared",
            "nameservers": [bed.bind.address],
        }
    }
    pebble = make_pebble(tls_port=tls_port, authz_reuse_percent=0)
    cluster.apply(issuer(bed, namespace, name="by-tls", pebble=pebble, solvers=[solver]))
    cluster.wait_ready("Issuer", namespace, "by-tls")
    name = f"{namespace}.example.test"
    tenant.apply("by-tls", name, issuerRef={"name": "by-tls"})
    tenant.ready("by-tls", seconds=60)
    assert bed.kubectl("get", f"tlsroutes.{GROUP},services,endpointslices", "-n", namespace, "-o", "name") == ""
    events = " ".join(event["message"] for event in cluster.events(namespace, "by-tls"))
    assert "Ordering a certificate" in events
    # Nothing answers for this one: what is made is to be seen.
    solver["tlsAlpn01"] |= {"selfCheckTimeout": "10m", "nameservers": ["127.0.0.1:9"]}
    cluster.apply(issuer(bed, namespace, name="by-tls", pebble=pebble, solvers=[solver]))
    cluster.wait_ready("Issuer", namespace, "by-tls")
    tenant.apply("waits", f"b.{name}", issuerRef={"name": "by-tls"})
    tenant.not_ready("waits", "WaitingForTLS")
    route = bed.kubectl("get", f"tlsroutes.{GROUP}", "-n", namespace, "-o", "jsonpath={.items[*].spec.hostnames[*]}")
    assert route == f"b.{name}"
    cluster.delete("Certificate", namespace, "waits")
    cluster.wait_gone("Certificate", namespace, "waits")


def test_a_tenant_who_orders_the_domain_of_another_waits_and_has_no_route(
    tenant: Tenant, make_pebble: Callable[..., Pebble], tls_port: int
) -> None:
    """The operator's responder is reached by everybody here, as it is through the owner's TLSRoute elsewhere."""
    bed, cluster, namespace = tenant.bed, tenant.cluster, tenant.namespace
    bed.apply_crds(*GATEWAY_API.of("tlsroutes"))
    pebble, name = make_pebble(tls_port=tls_port, authz_reuse_percent=0), "contested.example.test"
    other = replace(tenant, namespace=f"{namespace}-tenant")
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other.namespace}})
    # The owner's order goes on once the domain can be looked up.
    for one, nameserver in ((tenant, "127.0.0.1:9"), (other, bed.bind.address)):
        route = {"gatewayTLSRoute": {"parentRefs": [{"name": "front"}]}, "responder": "shared"}
        solver = {"tlsAlpn01": {**route, "nameservers": [nameserver], "selfCheckTimeout": "10m"}}
        cluster.apply(issuer(bed, one.namespace, name="by-tls", pebble=pebble, solvers=[solver]))
        cluster.wait_ready("Issuer", one.namespace, "by-tls")
    tenant.apply("owner", name, issuerRef={"name": "by-tls"})
    tenant.not_ready("owner", "WaitingForTLS")
    other.apply("tenant", name, issuerRef={"name": "by-tls"})
    refused = other.not_ready("tenant", "NameInUse")
    assert f"another namespace is validating {name} with another account" in refused["message"]
    assert tenant.namespace not in refused["message"], "whose it is, is nobody else's business"
    assert bed.kubectl("get", f"tlsroutes.{GROUP},services,endpointslices", "-n", other.namespace, "-o", "name") == ""
    cluster.delete("Namespace", None, other.namespace)
