"""Objects of cert-manager that fit a test bed."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from harness.manifests import TSIG_SECRET

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
    """Return its solver for the bed's BIND."""
    key_name, key = bed.bind.main_key
    return {
        "nameserver": dns_server or bed.bind.address,
        "tsigKeyName": key_name,
        "tsigAlgorithm": key.algorithm.replace("-", "").upper(),
        "tsigSecretSecretRef": {"name": secret, "key": "secret"},
    }


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
    """Return an Issuer of cert-manager; a ClusterIssuer without a namespace.

    Args:
        bed: The bed.
        namespace: Where it is to be.
        name: What it is called.
        pebble: Another Pebble than the bed's first.
        dns_server: Another DNS server than the bed's BIND, ``host:port``.
        tsig: Name of the Secret with the TSIG key.
        acme: Further fields of ``spec.acme``; they replace what is there.
    """
    ca = pebble or bed.pebble
    spec = {
        "server": ca.directory_url,
        "caBundle": base64.b64encode(ca.ca_bundle_pem).decode(),
        "email": "admin@example.test",
        "privateKeySecretRef": {"name": f"{name}-account"},
        "solvers": [{"dns01": {"rfc2136": rfc2136(bed, tsig, dns_server=dns_server)}}],
        **acme,
    }
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    kind = "Issuer" if namespace else "ClusterIssuer"
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": {"acme": spec}}


def their_certificate(namespace: str, name: str, *names: str, issuer: str = "pebble", **spec: Any) -> dict[str, Any]:
    """Return a Certificate of cert-manager.

    Args:
        namespace: Where it is to be.
        name: What it is called; its Secret is ``NAME-tls``.
        names: Its domains.
        issuer: Its Issuer.
        spec: Further fields of the spec; they replace what is there.
    """
    body = {"secretName": f"{name}-tls", "dnsNames": list(names), "issuerRef": {"name": issuer}, **spec}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": "Certificate", "metadata": metadata, "spec": body}
