"""What a namespace demands of its objects, by the API server's own policies, quotas and limits: answered, or told."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from harness import OperatorProcess, issuer, tsig_secret
from harness.cluster import conditions
from harness.solver_objects import solver_objects
from harness.tenant import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Cluster
    from testbed.bed import TestBed

pytestmark = pytest.mark.usefixtures("without_operator")

GROUP = "admissionregistration.k8s.io/v1"
HTTP01_NAME = "a.http01.example.test"


@pytest.fixture
def space(bed: TestBed, cluster: Cluster, namespace: str) -> Workspace:
    cluster.apply(tsig_secret(bed, namespace))
    return Workspace(namespace, bed, cluster)


@pytest.fixture
def labelled(space: Workspace) -> Iterator[Workspace]:
    """A namespace whose every new object needs a label; our own resources are the users' and have it."""
    name = f"labels-{space.namespace}"
    kinds = {
        "apiGroups": ["", "networking.k8s.io", "discovery.k8s.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
    }
    policy = {
        "apiVersion": GROUP,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.namespace}},
                "resourceRules": [
                    {**kinds, "resources": ["secrets", "pods", "services", "ingresses", "endpointslices", "events"]}
                ],
            },
            "validations": [
                {
                    "expression": "has(object.metadata.labels) && 'team' in object.metadata.labels",
                    "message": "every object needs the label team",
                }
            ],
        },
    }
    binding = {
        "apiVersion": GROUP,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    for manifest in (policy, binding):
        space.bed.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    try:
        space.cluster.wait_for(
            "the policy does not act", lambda: {"refused": _is_refused(space)}, lambda seen: bool(seen["refused"])
        )
        yield space
    finally:
        for kind in ("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"):
            space.bed.kubectl("delete", kind, name)


def _is_refused(space: Workspace) -> bool:
    name = f"probe-{secrets.token_hex(4)}"
    metadata = {"name": name, "namespace": space.namespace}
    try:
        space.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    except httpx.HTTPStatusError:
        return True
    space.cluster.delete("Secret", space.namespace, name)
    return False


def operator(space: Workspace, folder: Path, *arguments: str) -> OperatorProcess:
    return OperatorProcess(
        space.bed.kubeconfig,
        folder / "operator.log",
        arguments=(
            "--solver-image=localhost/certwright:none",
            f"--http01-port={space.bed.traefik.http_port}",
            *arguments,
        ),
    )


def http01(space: Workspace, **ingress: Any) -> list[dict[str, Any]]:
    route = {"ingressClassName": "traefik", **ingress}
    return [{"http01": {"nameservers": [space.bed.bind.address], "ingress": route}}]


def wait_made(space: Workspace, kinds: set[str]) -> list[dict[str, Any]]:
    found = space.cluster.wait_for(
        f"no {kinds}",
        lambda: {"items": solver_objects(space.cluster, space.namespace)},
        lambda seen: kinds <= {one["kind"] for one in seen["items"]},
    )
    items: list[dict[str, Any]] = found["items"]
    return items


def test_a_label_that_every_object_needs_reaches_every_object_that_is_made(labelled: Workspace, tmp_path: Path) -> None:
    space = labelled
    with operator(space, tmp_path, "--object-label=team=web", "--object-annotation=example.com/owner=web team"):
        space.add_issuer("dns")
        space.add_issuer("http", solvers=http01(space))
        space.apply("plain", f"{secrets.token_hex(4)}.example.test", issuerRef={"name": "dns"})
        space.apply("filed", HTTP01_NAME, issuerRef={"name": "http"})
        space.ready("plain")
        made = wait_made(space, {"Pod", "Service", "Ingress"})
        for name in ("dns-account", "http-account", "plain-tls"):
            made.append(space.cluster.get("Secret", space.namespace, name) or {})
        for one in made:
            assert one["metadata"]["labels"]["team"] == "web"
            assert one["metadata"]["annotations"]["example.com/owner"] == "web team"
        assert space.cluster.events(space.namespace, "plain")
        space.cluster.delete("Certificate", space.namespace, "filed")
        space.cluster.wait_gone("Certificate", space.namespace, "filed")


def test_without_the_setting_the_policy_and_the_setting_are_named(labelled: Workspace, tmp_path: Path) -> None:
    space = labelled
    with operator(space, tmp_path):
        space.cluster.apply(issuer(space.bed, space.namespace))
        found = space.cluster.wait_condition(
            "Issuer", space.namespace, "pebble", "Ready", "False", reason="APIServerRefused"
        )
        told = conditions(found)["Ready"]["message"]
        assert f"ValidatingAdmissionPolicy 'labels-{space.namespace}'" in told
        assert "every object needs the label team" in told
        assert "chart values objectLabels and objectAnnotations (--object-label, --object-annotation)" in told


def test_quotas_and_limits_are_met_by_default_or_answered_by_the_setting_that_is_named(
    space: Workspace, tmp_path: Path
) -> None:
    hard = {
        f"{kind}.{name}": "1Gi" if name != "cpu" else "1"
        for kind in ("requests", "limits")
        for name in ("cpu", "memory")
    }
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "all"}, "spec": {"hard": hard}}
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "least"},
        "spec": {"limits": [{"type": "Container", "min": {"memory": "32Mi"}}]},
    }
    for manifest in (quota, limits):
        space.bed.kubectl("apply", "-n", space.namespace, "-f", "-", stdin=json.dumps(manifest))
    with operator(space, tmp_path) as running:
        space.add_issuer("http", solvers=http01(space))
        space.apply("web", HTTP01_NAME, issuerRef={"name": "http"})
        told = space.not_ready("web", "APIServerRefused")["message"]
        assert "minimum memory usage per Container is 32Mi" in told
        assert "the chart value http01.solver.resources (--solver-resources)" in told
        running.stop()
    resources = {"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
    with operator(space, tmp_path, f"--solver-resources={json.dumps(resources)}"):
        made = wait_made(space, {"Pod"})
        [pod] = [one for one in made if one["kind"] == "Pod"]
        assert pod["spec"]["containers"][0]["resources"] == resources
        space.cluster.delete("Certificate", space.namespace, "web")
        space.cluster.wait_gone("Certificate", space.namespace, "web")


def test_a_template_that_the_operator_does_not_allow_is_said_by_the_issuer_and_makes_nothing(
    space: Workspace, tmp_path: Path
) -> None:
    snippet = {"nginx.ingress.kubernetes.io/configuration-snippet": "return 200 secret;"}
    template = {"metadata": {"annotations": snippet}}
    with operator(space, tmp_path):
        space.cluster.apply(
            issuer(space.bed, space.namespace, name="http", solvers=http01(space, ingressTemplate=template))
        )
        space.apply("web", HTTP01_NAME, issuerRef={"name": "http"})
        found = space.cluster.wait_condition(
            "Issuer", space.namespace, "http", "Ready", "False", reason="TemplateRefused"
        )
        told = conditions(found)["Ready"]["message"]
        assert "has nginx.ingress.kubernetes.io/configuration-snippet, which this operator does not allow" in told
        assert "secret" not in told
        assert "TemplateRefused" in space.not_ready("web", "IssuerNotReady")["message"]
        assert solver_objects(space.cluster, space.namespace) == []
