"""A ClusterIssuer that says which namespaces may request which domains, tried as a tenant of one of them."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, Final

import pytest

from harness import certificate, issuer, tsig_secret
from testbed.errors import CommandFailed
from testbed.parts.pebble import NEW_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Tenant
    from testbed.proxy import RecordingProxy

USER: Final = "mallory"
TEAM: Final = "example.test/team"


@pytest.fixture
def shared(tenant: Tenant, counted_ca: RecordingProxy) -> Iterator[dict[str, Any]]:
    """A ClusterIssuer with rules; the tenant may do everything with Certificates in the own namespace."""
    name, cluster = f"ruled-{secrets.token_hex(4)}", tenant.cluster
    cluster.apply(tsig_secret(tenant.bed, "certwright", name=f"{name}-tsig"))
    body = issuer(tenant.bed, None, name=name, tsig=f"{name}-tsig", server=counted_ca.directory_url)
    body["spec"]["allowed"] = [
        {"dnsNames": ["{namespace}.example.test", "*.{namespace}.example.test"]},
        {"namespaceSelector": {"matchLabels": {TEAM: "shop"}}, "dnsZones": ["shop.example.test"]},
        {"namespaces": ["kube-system"]},
    ]
    applied = cluster.apply(body)
    rules = ("--verb=*", "--resource=certificates.certwright.io,certificates.certwright.io/status")
    tenant.bed.kubectl("-n", tenant.namespace, "create", "role", USER, *rules)
    tenant.bed.kubectl("-n", tenant.namespace, "create", "rolebinding", USER, f"--role={USER}", f"--user={USER}")
    cluster.wait_ready("ClusterIssuer", None, name)
    yield applied
    cluster.delete("ClusterIssuer", None, name)
    cluster.delete("Secret", "certwright", f"{name}-tsig")
    cluster.delete("Secret", "certwright", f"{name}-account")


def requested(tenant: Tenant, shared: dict[str, Any], name: str, *domains: str) -> None:
    """Have the tenant apply a Certificate."""
    reference = {"name": shared["metadata"]["name"], "kind": "ClusterIssuer"}
    body = certificate(tenant.namespace, name, domains, issuerRef=reference)
    tenant.bed.kubectl(f"--as={USER}", "apply", "--server-side", "-f", "-", stdin=json.dumps(body))


def test_a_tenant_gets_the_own_domains_and_no_others(
    tenant: Tenant, shared: dict[str, Any], counted_ca: RecordingProxy
) -> None:
    own = f"{tenant.namespace}.example.test"
    requested(tenant, shared, "own", own, f"*.{own}")
    tenant.ready("own")
    ordered = counted_ca.counts()[NEW_ORDER]
    requested(tenant, shared, "deep", f"a.b.{own}")
    requested(tenant, shared, "other", "victim.example.test", own)
    requested(tenant, shared, "wide", "*.example.test")
    for name, refused in (("deep", f"a.b.{own}"), ("other", "victim.example.test"), ("wide", "*.example.test")):
        message = tenant.not_ready(name, "NamesNotAllowed")["message"]
        assert f"does not let namespace {tenant.namespace} request {refused}. " in message
        assert f"(spec.allowed[0]) allow {own}, *.{own}." in message
    # A status that claims an order is under way changes nothing.
    order = {"url": f"{counted_ca.directory_url}/x", "state": "ready", "names": ["victim.example.test"]}
    order |= {"accountURL": "https://x", "server": "https://x", "specHash": "x", "createdAt": "2026-01-01T00:00:00Z"}
    patch = json.dumps({"status": {"order": order, "nextAttemptTime": None}})
    flags = ("--subresource=status", "--type=merge", "-p", patch)
    tenant.bed.kubectl(f"--as={USER}", "-n", tenant.namespace, "patch", "certificate.certwright.io", "other", *flags)
    tenant.not_ready("other", "NamesNotAllowed")
    assert counted_ca.counts()[NEW_ORDER] == ordered
    with pytest.raises(CommandFailed):
        tenant.bed.kubectl(f"--as={USER}", "label", "namespace", tenant.namespace, f"{TEAM}=shop")
    with pytest.raises(CommandFailed):
        tenant.bed.kubectl(f"--as={USER}", "get", "clusterissuers.certwright.io", shared["metadata"]["name"])


def test_a_label_of_the_namespace_admits_it(tenant: Tenant, shared: dict[str, Any]) -> None:
    requested(tenant, shared, "web", "www.shop.example.test")
    tenant.not_ready("web", "NamesNotAllowed")
    tenant.cluster.patch("Namespace", None, tenant.namespace, {"metadata": {"labels": {TEAM: "shop"}}})
    tenant.ready("web")


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ([], "spec.allowed in body should have at least 1 items"),
        ([{"dnsNames": []}], "dnsNames in body should have at least 1 items"),
        ([{"dnsNames": ["{name}.example"]}], "may have {namespace} as its only expression in braces"),
        ([{"dnsZones": ["*.example"]}], "must be a zone such as example.com, without *"),
        ([{"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}], "values must be set with In"),
    ],
)
def test_rules_that_could_mean_anything_are_refused(
    tenant: Tenant, shared: dict[str, Any], allowed: Any, said: str
) -> None:
    body = {"apiVersion": "certwright.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "refused"}}
    body["spec"] = {**shared["spec"], "allowed": allowed}
    with pytest.raises(CommandFailed) as caught:
        tenant.bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    assert said in str(caught.value.details)
