"""The operator works with the chart's rights, and can do no more than they say."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from harness import OperatorProcess, certificate, issuer, tsig_secret
from harness.chart_rights import ChartRights
from testbed.errors import CommandFailed
from testbed.kubectl import Kubectl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chart import Helm
    from harness import Cluster
    from testbed.bed import TestBed

pytestmark = pytest.mark.usefixtures("without_operator")


@pytest.fixture
def make_namespace(cluster: Cluster) -> Iterator[Callable[[str], str]]:
    """Makes namespaces that go with the test."""
    with ExitStack() as stack:

        def make(prefix: str) -> str:
            name = f"{prefix}-{secrets.token_hex(4)}"
            cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            stack.callback(cluster.delete, "Namespace", None, name)
            return name

        yield make


@pytest.fixture
def cluster_issuer(bed: TestBed, cluster: Cluster) -> Iterator[Callable[[str], str]]:
    """Makes ClusterIssuers whose credentials are in a namespace."""
    with ExitStack() as stack:

        def make(operator_namespace: str) -> str:
            name = f"shared-{secrets.token_hex(4)}"
            cluster.apply(tsig_secret(bed, operator_namespace, name=f"{name}-tsig"))
            cluster.apply(issuer(bed, None, name=name, tsig=f"{name}-tsig"))
            stack.callback(cluster.delete, "ClusterIssuer", None, name)
            return name

        yield make


def with_issuer(bed: TestBed, cluster: Cluster, namespace: str) -> str:
    cluster.apply(tsig_secret(bed, namespace))
    cluster.apply(issuer(bed, namespace))
    return namespace


def test_the_operator_issues_everywhere_with_the_charts_rights(
    bed: TestBed,
    cluster: Cluster,
    helm: Helm,
    tmp_path: Path,
    *,
    make_namespace: Callable[[str], str],
    cluster_issuer: Callable[[str], str],
) -> None:
    home = make_namespace("operator")
    tenant = with_issuer(bed, cluster, make_namespace("tenant"))
    shared = cluster_issuer(home)
    with ChartRights(bed, helm, home, {}) as rights:
        account = rights.kubeconfig(tmp_path / "kubeconfig")
        log = tmp_path / "operator.log"
        with OperatorProcess(account, log, operator_namespace=home, environment=rights.environment):
            cluster.apply(certificate(tenant, "own", ["own.example.test", "*.own.example.test"]))
            cluster.apply(
                certificate(tenant, "shared", ["shared.example.test"], issuer_name=shared, issuer_kind="ClusterIssuer")
            )
            for name in ("own", "shared"):
                cluster.wait_ready("Certificate", tenant, name)
            cluster.apply(certificate(tenant, "gone", ["gone.example.test"]))
            cluster.delete("Certificate", tenant, "gone")
            cluster.wait_gone("Certificate", tenant, "gone")
        assert rights.refused() == []
        assert {event["reason"] for event in cluster.events(tenant, "own")} >= {"Issuing", "Issued"}
        assert cluster.events("default", shared) != []


def test_with_namespaces_the_operator_serves_these_and_sees_nothing_else(
    bed: TestBed,
    cluster: Cluster,
    helm: Helm,
    tmp_path: Path,
    *,
    make_namespace: Callable[[str], str],
    cluster_issuer: Callable[[str], str],
) -> None:
    home = make_namespace("operator")
    first, second, other = (with_issuer(bed, cluster, make_namespace(name)) for name in ("first", "second", "other"))
    shared = cluster_issuer(home)
    with ChartRights(bed, helm, home, {"namespaces": [first, second]}) as rights:
        account = rights.kubeconfig(tmp_path / "kubeconfig")
        log = tmp_path / "operator.log"
        with OperatorProcess(account, log, operator_namespace=home, environment=rights.environment) as operator:
            cluster.apply(certificate(other, "unseen", ["unseen.example.test"]))
            cluster.apply(certificate(first, "own", ["own.first.example.test"]))
            cluster.apply(certificate(second, "own", ["own.second.example.test"]))
            cluster.apply(
                certificate(second, "shared", ["s.example.test"], issuer_name=shared, issuer_kind="ClusterIssuer")
            )
            for namespace, name in ((first, "own"), (second, "own"), (second, "shared")):
                cluster.wait_ready("Certificate", namespace, name)
            unseen = cluster.get("Certificate", other, "unseen")
            assert unseen is not None
            assert "conditions" not in unseen.get("status", {})
            assert rights.refused() == []
            assert cluster.events("default", shared) != []
            # A namespace that goes takes its Role along; the others are served as before.
            cluster.delete("Namespace", None, second)
            cluster.wait_gone("Namespace", None, second)
            cluster.apply(certificate(first, "later", ["later.first.example.test"]))
            cluster.wait_ready("Certificate", first, "later")
            assert operator.running
            assert operator.healthy()


def test_http01_objects_are_made_and_removed_with_the_charts_rights(
    bed: TestBed, cluster: Cluster, helm: Helm, tmp_path: Path, *, make_namespace: Callable[[str], str]
) -> None:
    home, tenant = make_namespace("operator"), make_namespace("tenant")
    site = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "site", "namespace": tenant},
        "spec": {
            "ingressClassName": "none-such",
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
        },
    }
    cluster.apply(site)
    # Nobody serves the class and no pod is ever placed, so that the objects stay until they are removed.
    by_pod = {"http01": {"ingress": {"ingressClassName": "none-such"}, "selfCheckTimeout": "1h"}}
    in_place = {"http01": {"responder": "shared", "ingress": {"name": "site"}, "selfCheckTimeout": "1h"}}
    cluster.apply(issuer(bed, tenant, name="by-pod", solvers=[by_pod]))
    cluster.apply(issuer(bed, tenant, name="in-place", solvers=[in_place]))

    def made() -> set[str]:
        kinds = "pods,services,endpointslices,ingresses"
        selected = ("--selector=certwright.io/http01-solver=true", "--output=name", "--namespace", tenant)
        return {line.partition("/")[0] for line in bed.kubectl("get", kinds, *selected).splitlines()}

    def rules() -> list[Any]:
        found = cluster.get("Ingress", tenant, "site") or {}
        shown: list[Any] = found["spec"].get("rules") or []
        return shown

    def until(what: str, holds: Callable[[], bool]) -> None:
        cluster.wait_for(what, lambda: {"holds": holds()}, lambda found: bool(found["holds"]))

    with ChartRights(bed, helm, home, {"namespaces": [tenant]}) as rights, rights.client() as account:
        # As the downward API would say; an address for documentation, where nobody is.
        environment = {**rights.environment, "CERTWRIGHT_RESPONDER_ADDRESS": "192.0.2.1"}
        kubeconfig, log = rights.kubeconfig(tmp_path / "kubeconfig"), tmp_path / "operator.log"
        with OperatorProcess(kubeconfig, log, operator_namespace=home, environment=environment):
            for name in ("by-pod", "in-place"):
                cluster.apply(certificate(tenant, name, [f"{name}.example.test"], issuer_name=name))
            until(
                "pod, Services, slice, Ingress and rules are not all there",
                lambda: len(made()) == 4 and rules() != [],  # the two orders together have all four kinds
            )
            for name in ("by-pod", "in-place"):
                cluster.delete("Certificate", tenant, name)
                cluster.wait_gone("Certificate", tenant, name)
            until("objects of solvers are left", lambda: made() == set() and rules() == [])
        assert rights.refused() == []
        served = f"/apis/networking.k8s.io/v1/namespaces/{tenant}"
        assert account.get(f"{served}/networkpolicies").status_code == 200
        assert account.get("/apis/networking.k8s.io/v1/ingressclasses/none-such").status_code == 404
        assert account.get(f"/api/v1/namespaces/{tenant}/pods").status_code == 403


def test_with_namespaces_the_api_server_refuses_secrets_elsewhere(
    bed: TestBed, cluster: Cluster, helm: Helm, make_namespace: Callable[[str], str]
) -> None:
    home, served, other = (make_namespace(name) for name in ("operator", "served", "other"))
    for namespace in (home, served, other):
        cluster.apply(tsig_secret(bed, namespace))
    with ChartRights(bed, helm, home, {"namespaces": [served]}) as rights, rights.client() as account:

        def answer(method: str, namespace: str, name: str = "") -> int:
            path = f"/api/v1/namespaces/{namespace}/secrets/{name}" if namespace else "/api/v1/secrets"
            return account.request(method, path).status_code

        assert answer("GET", served, "tsig") == 200
        assert answer("GET", served) == 200
        assert answer("GET", other, "tsig") == 403
        assert answer("GET", other) == 403
        assert answer("DELETE", other, "tsig") == 403
        assert answer("GET", "kube-system") == 403
        assert answer("GET", "") == 403
        assert answer("GET", home, "tsig") == 200
        assert answer("GET", home) == 403
        assert answer("DELETE", home, "tsig") == 403
        refusal = account.get(f"/api/v1/namespaces/{other}/secrets/tsig").json()["message"]
        assert f'User "{rights.user}" cannot get resource "secrets"' in refusal


def test_the_account_may_hold_its_own_lease_and_no_other(
    bed: TestBed, helm: Helm, make_namespace: Callable[[str], str]
) -> None:
    home, elsewhere = make_namespace("operator"), make_namespace("other")
    values = {"leaderElection": {"leaseName": "ours"}}
    with ChartRights(bed, helm, home, values) as rights, rights.client() as account:

        def lease(method: str, namespace: str, name: str) -> int:
            path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
            version = bed.kubectl(
                "get", "lease", name, "-n", namespace, "-o=jsonpath={.metadata.resourceVersion}", check=False
            )
            body = {"metadata": {"name": name, "resourceVersion": version}, "spec": {"holderIdentity": "a"}}
            if method == "POST":
                return account.post(path, json=body).status_code
            return account.request(method, f"{path}/{name}", json=body).status_code

        # The chart brings it, empty.
        assert lease("GET", home, "ours") == 200
        assert lease("PUT", home, "ours") == 200
        assert lease("POST", home, "other") == 201
        assert lease("GET", home, "other") == 403
        assert lease("PUT", home, "other") == 403
        assert lease("DELETE", home, "ours") == 403
        assert lease("POST", elsewhere, "ours") == 403


def test_people_get_our_resources_with_the_built_in_roles_and_never_a_status(
    bed: TestBed, cluster: Cluster, helm: Helm, tmp_path: Path, *, make_namespace: Callable[[str], str]
) -> None:
    namespace = make_namespace("team")

    def person(role: str) -> Kubectl:
        bed.kubectl("create", "rolebinding", role, "--clusterrole", role, "--user", role, "--namespace", namespace)
        return Kubectl(bed.programs["kubectl"], bed.write_kubeconfig(tmp_path / role, role))

    def may(who: Kubectl, verb: str, resource: str, *options: str) -> bool:
        where = () if resource == "clusterissuers" else ("--namespace", namespace)
        answer = who.run("auth", "can-i", verb, f"{resource}.certwright.io", *where, *options, check=False)
        return answer.strip() == "yes"

    def added() -> dict[str, Any]:
        found: dict[str, Any] = {"rules": bed.kubectl("get", "clusterrole", "admin", "--output", "json")}
        return found

    with ChartRights(bed, helm, namespace, {}):
        cluster.wait_for("admin has our rules", added, lambda found: '"certwright.io"' in found["rules"])
        view, edit, admin = (person(role) for role in ("view", "edit", "admin"))
        every = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
        for resource in ("certificates", "issuers"):
            assert [verb for verb in every if may(view, verb, resource)] == ["get", "list", "watch"]
            for who in (edit, admin):
                assert all(may(who, verb, resource) for verb in every)
        for who in (view, edit, admin):
            for resource in ("certificates", "issuers"):
                assert not any(may(who, verb, resource, "--subresource=status") for verb in ("update", "patch"))
            assert not any(may(who, verb, "clusterissuers") for verb in every)
        manifest = "apiVersion: certwright.io/v1\nkind: Certificate\nmetadata: {name: a}\n"
        spec = "spec: {dnsNames: [a.example], secretName: a-tls, issuerRef: {name: ca}}\n"
        edit.run("apply", "--server-side", "-n", namespace, "-f", "-", stdin=manifest + spec)
        how = ("--server-side", "--subresource=status", "-n", namespace, "-f", "-")
        with pytest.raises(CommandFailed, match="cannot patch resource"):
            edit.run("apply", *how, stdin=manifest + "status: {revision: 7}\n")
        with pytest.raises(CommandFailed, match="cannot create resource"):
            view.run("create", "-n", namespace, "-f", "-", stdin=manifest.replace("name: a", "name: b") + spec)
