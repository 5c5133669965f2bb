"""Objects of cert-manager that fit a test bed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harness.manifests import TSIG_SECRET, certificate, issuer

if TYPE_CHECKING:
    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble

API: Final = "cert-manager.io/v1"
CERTIFICATE: Final = "Certificate.cert-manager.io"
ISSUER: Final = "Issuer.cert-manager.io"
CLUSTER_ISSUER: Final = "ClusterIssuer.cert-manager.io"
LEASE: Final[dict[str, Any]] = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "cert-manager-controller", "namespace": "kube-system"},
    "spec": {"holderIdentity": "cert-manager-0", "leaseDurationSeconds": 60, "leaseTransitions": 1},
}
"""By which its controller is seen to run."""


def rfc2136(bed: TestBed, secret: str = TSIG_SECRET, *, dns_server: str | None = None) -> dict[str, Any]:
    """Return its solver for the bed's BIND, whose fields are ours."""
    [solver] = issuer(bed, None, tsig=secret, dns_server=dns_server)["spec"]["acme"]["solvers"]
    found: dict[str, Any] = solver["dns01"]["rfc2136"]
    return found


def their_issuer(
    bed: TestBed,
    namespace: str | None,
    name: str = "pebble",
    *,
    pebble: Pebble | None = None,
    dns_server: str | None = None,
    tsig: str = TSIG_SECRET,
    **acme: Any,
) -> dict[str, Any]:
    """Return an Issuer of cert-manager, a ClusterIssuer without a namespace: with the arguments of `issuer`."""
    solvers = [{"dns01": {"rfc2136": rfc2136(bed, tsig, dns_server=dns_server)}}]
    made = issuer(bed, namespace, name=name, pebble=pebble, **{"solvers": solvers, **acme})
    return {**made, "apiVersion": API}


def their_certificate(namespace: str, name: str, *names: str, issuer: str = "pebble", **spec: Any) -> dict[str, Any]:
    """Return a Certificate of cert-manager: with the arguments of `certificate`."""
    return {**certificate(namespace, name, names, **{"issuerRef": {"name": issuer}, **spec}), "apiVersion": API}
