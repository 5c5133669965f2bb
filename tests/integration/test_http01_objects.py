"""http-01 where no node runs pods: what is made for it, what is said about it, what is left of it."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from harness.cluster import SECONDS, conditions
from harness.mistakes import message_of, wait_event
from harness.solver_objects import solver_objects, wait_nothing_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Tenant
    from harness.cluster import Object

NAMES = ("a.http01.example.test", "b.http01.example.test")


def http01(tenant: Tenant, route: dict[str, Any] | None = None, **fields: Any) -> list[dict[str, Any]]:
    chosen = route or {"ingress": {"ingressClassName": "traefik"}}
    return [{"http01": {"nameservers": [tenant.bed.bind.address], **chosen, **fields}}]


def under_way(
    tenant: Tenant, name: str, *words: str, reason: str = "WaitingForHTTP", seconds: float = SECONDS
) -> Object:
    """Wait until a Certificate waits for its files, and says so with these words."""

    def waits(found: Object) -> bool:
        issuing = conditions(found).get("Issuing", {})
        return issuing.get("reason") == reason and all(word in issuing["message"] for word in words)

    return tenant.cluster.wait_for(
        f"Certificate {name} does not say {words}",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, name),
        waits,
        seconds=seconds,
    )


def nothing_left(tenant: Tenant) -> None:
    wait_nothing_left(tenant.cluster, tenant.namespace)


def test_one_pod_service_and_ingress_for_all_names_and_the_reason_that_none_is_served(tenant: Tenant) -> None:
    tenant.add_issuer("http", solvers=http01(tenant))
    tenant.apply("web", *NAMES, issuerRef={"name": "http"})
    found = under_way(tenant, "web", f"http://{NAMES[0]}/.well-known/acme-challenge/", "has not been scheduled yet")
    made = solver_objects(tenant.cluster, tenant.namespace)
    assert sorted(one["kind"] for one in made) == ["Ingress", "Pod", "Service"]
    for one in made:
        [owner] = one["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Certificate", "web", found["metadata"]["uid"])
        assert one["metadata"]["labels"]["certwright.io/certificate-uid"] == found["metadata"]["uid"]
    order = found["status"]["order"]
    assert {(one["kind"], one["name"]) for one in order["solverObjects"]} == {
        (one["kind"], one["metadata"]["name"]) for one in made
    }
    for entry in order["authorizations"]:
        assert entry["resource"]["url"].startswith(f"http://{entry['name']}/.well-known/acme-challenge/")
        assert "HTTP 50" in entry["lastSeen"] or "HTTP 404" in entry["lastSeen"]
    assert "finalizers" not in found["metadata"], "Kubernetes removes everything with the Certificate"
    assert f"({len(NAMES) - 1} more domain also waiting)" in message_of(found, "Issuing")
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    nothing_left(tenant)


def test_after_its_timeout_the_self_check_fails_and_the_order_is_kept(tenant: Tenant) -> None:
    tenant.add_issuer("http", solvers=http01(tenant, selfCheckTimeout="3s"))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    told = tenant.not_ready("web", "SelfCheckFailed")["message"]
    assert "After 3 s http://" in told
    assert "does not answer with the key authorization" in told
    assert "the solver pod cw-web-" in told
    assert "The next attempt is at" in told
    event = wait_event(tenant.cluster, tenant.namespace, "web", "SelfCheckFailed")
    assert event["type"] == "Warning"
    found = tenant.cluster.get("Certificate", tenant.namespace, "web") or {}
    assert found["status"]["order"]["state"] == "pending"
    assert found["status"]["failedAttempts"] == 0


def test_advisory_asks_the_ca_all_the_same_and_says_so(tenant: Tenant) -> None:
    tenant.add_issuer("http", solvers=http01(tenant, selfCheck="advisory", selfCheckTimeout="1s"))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    event = wait_event(tenant.cluster, tenant.namespace, "web", "SelfCheckSkipped")
    assert "Asking the CA anyway (selfCheck: advisory)" in event["message"]
    told = tenant.not_ready("web", "ValidationFailed")["message"]
    assert NAMES[0] in told
    nothing_left(tenant)


def test_an_issuer_that_changes_to_dns01_in_the_middle_gets_the_certificate(tenant: Tenant) -> None:
    tenant.add_issuer("http", solvers=http01(tenant))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    under_way(tenant, "web")
    tenant.add_issuer("http")
    tenant.ready("web")
    nothing_left(tenant)


def test_an_ingress_edited_in_place_is_as_it_was_when_the_certificate_goes(tenant: Tenant) -> None:
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    front = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "front", "namespace": tenant.namespace},
        "spec": {
            "ingressClassName": "traefik",
            "rules": [{"host": NAMES[0], "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
        },
    }
    rules = tenant.cluster.apply(front)["spec"]["rules"]
    tenant.add_issuer("http", solvers=http01(tenant, {"ingress": {"name": "front"}}))
    tenant.apply("web", *NAMES, issuerRef={"name": "http"})
    found = under_way(tenant, "web")
    assert found["metadata"]["finalizers"] == ["certwright.io/clean-up"], "nobody else takes the rules out again"
    edited = (tenant.cluster.get("Ingress", tenant.namespace, "front") or {})["spec"]["rules"]
    assert [len(rule["http"]["paths"]) for rule in edited] == [2, 1]
    assert edited[0]["http"]["paths"][1] == rules[0]["http"]["paths"][0]
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    assert (tenant.cluster.get("Ingress", tenant.namespace, "front") or {})["spec"]["rules"] == rules
    nothing_left(tenant)


def test_an_ingress_that_was_edited_in_place_is_its_owners_alone_afterwards(tenant: Tenant) -> None:
    """Whoever applies it by server-side apply, as GitOps tools do, has no conflict with the operator."""
    front = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "front", "namespace": tenant.namespace},
        "spec": {"ingressClassName": "traefik", "rules": [{"host": NAMES[0]}]},
    }
    apply = ("apply", "--server-side", "--field-manager=gitops", "-f", "-")
    tenant.bed.kubectl(*apply, stdin=json.dumps(front))
    tenant.add_issuer("http", solvers=http01(tenant, {"ingress": {"name": "front"}}))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    under_way(tenant, "web")
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    found = tenant.cluster.get("Ingress", tenant.namespace, "front") or {}
    assert [entry["manager"] for entry in found["metadata"]["managedFields"]] == ["gitops"]
    front["spec"] = {"ingressClassName": "traefik", "rules": [{"host": NAMES[1]}]}
    tenant.bed.kubectl(*apply, stdin=json.dumps(front))


def test_an_edited_ingress_whose_owner_puts_his_rules_back_gets_ours_again_and_he_is_named(tenant: Tenant) -> None:
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    front = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "front", "namespace": tenant.namespace},
        "spec": {"ingressClassName": "traefik", "rules": [{"host": NAMES[0], "http": {"paths": [path]}}]},
    }
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-")
    tenant.bed.kubectl(*apply, stdin=json.dumps(front))
    tenant.add_issuer("http", solvers=http01(tenant, {"ingress": {"name": "front"}}))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    under_way(tenant, "web")
    tenant.bed.kubectl(*apply, stdin=json.dumps(front))

    def paths(found: Object) -> int:
        return len(found["spec"]["rules"][0]["http"]["paths"])

    assert paths(tenant.cluster.get("Ingress", tenant.namespace, "front") or {}) == 1
    tenant.cluster.wait_for(
        "the path does not come back",
        lambda: tenant.cluster.get("Ingress", tenant.namespace, "front"),
        lambda found: paths(found) == 2,
        seconds=30,
    )
    under_way(tenant, "web", "the field manager argocd-controller wrote the rules of the Ingress")
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    found = tenant.cluster.get("Ingress", tenant.namespace, "front") or {}
    assert found["spec"]["rules"] == front["spec"]["rules"]  # type: ignore[index]  # a dict of dicts


def test_an_ingress_of_hosts_without_paths_is_as_it_was_when_the_certificate_goes(tenant: Tenant) -> None:
    """It has no default backend either: without any rule the API server would not take it."""
    front = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "front", "namespace": tenant.namespace},
        "spec": {"ingressClassName": "traefik", "rules": [{"host": NAMES[0]}]},
    }
    rules = tenant.cluster.apply(front)["spec"]["rules"]
    tenant.add_issuer("http", solvers=http01(tenant, {"ingress": {"name": "front"}}))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    under_way(tenant, "web")
    assert (tenant.cluster.get("Ingress", tenant.namespace, "front") or {})["spec"]["rules"] != rules
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    assert (tenant.cluster.get("Ingress", tenant.namespace, "front") or {})["spec"]["rules"] == rules
    nothing_left(tenant)


def test_an_ingress_to_edit_that_is_not_there_is_named_and_looked_for_again(tenant: Tenant) -> None:
    tenant.add_issuer("http", solvers=http01(tenant, {"ingress": {"name": "front"}}))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    told = tenant.not_ready("web", "IngressNotFound")["message"]
    assert f"The Ingress {tenant.namespace}/front, which the issuer's http01 solver should edit, does not exist" in told
    assert solver_objects(tenant.cluster, tenant.namespace) == []


def test_an_ingress_class_that_is_not_there_is_named(tenant: Tenant) -> None:
    tenant.add_issuer(
        "http", solvers=http01(tenant, {"ingress": {"ingressClassName": "nowhere"}}, selfCheck="required")
    )
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    [pod] = _soon(tenant, "Pod")
    # There is no kubelet: this test is one, so that the pod is not what is looked at.
    tenant.cluster.patch_status("Pod", tenant.namespace, pod["metadata"]["name"], {"phase": "Running"})
    under_way(tenant, "web", "there is no IngressClass nowhere in the cluster")


def test_gateways_that_the_cluster_does_not_know_are_told(tenant: Tenant) -> None:
    tenant.add_issuer("http", solvers=http01(tenant, {"gatewayHTTPRoute": {"parentRefs": [{"name": "gateway"}]}}))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    told = tenant.not_ready("web", "APIServerRefused")["message"]
    assert "the cluster does not serve gateway.networking.k8s.io/v1 HTTPRoute. Are its CRDs installed?" in told


def test_a_pod_template_that_kubernetes_refuses_is_told_in_its_words(tenant: Tenant) -> None:
    template = {"spec": {"resources": {"limits": {"memory": "lots"}}}}
    tenant.add_issuer(
        "http", solvers=http01(tenant, {"ingress": {"ingressClassName": "traefik", "podTemplate": template}})
    )
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    told = tenant.not_ready("web", "APIServerRefused")["message"]
    assert "could not create Pod" in told
    assert "quantities must match" in told


def test_a_quota_is_told_in_kubernetes_words_and_the_rest_goes_on(tenant: Tenant) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-pods"},
        "spec": {"hard": {"pods": 0}},
    }
    tenant.bed.kubectl("apply", "-n", tenant.namespace, "-f", "-", stdin=json.dumps(quota))
    tenant.cluster.wait_for(
        "the quota does not hold", lambda: {"memory": _probe(tenant)}, lambda seen: seen["memory"] is None
    )
    tenant.add_issuer("http", solvers=http01(tenant))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    told = tenant.not_ready("web", "APIServerRefused")["message"]
    assert "could not create Pod" in told
    assert "exceeded quota: no-pods" in told
    assert sorted(one["kind"] for one in solver_objects(tenant.cluster, tenant.namespace)) == ["Ingress", "Service"]
    tenant.apply("other", "other.http01.example.test")
    tenant.ready("other")
    tenant.bed.kubectl("delete", "-n", tenant.namespace, "quota", "no-pods")
    # The pauses between tries have grown meanwhile.
    under_way(tenant, "web", "has not been scheduled yet", seconds=180)


@pytest.fixture
def mutated(tenant: Tenant) -> Iterator[Tenant]:
    """A namespace whose pods get more memory than they ask for, as platform teams' policies have it."""
    name = f"memory-{tenant.namespace}"
    group = "admissionregistration.k8s.io/v1"
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant.namespace}}}
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    change = '[JSONPatch{op: "replace", path: "/spec/containers/0/resources/limits/memory", value: "128Mi"}]'
    policy = {
        "apiVersion": group,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {**here, "resourceRules": [pods]},
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": change}}],
        },
    }
    binding = {"apiVersion": group, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name}}
    tenant.bed.kubectl("apply", "-f", "-", stdin=json.dumps(policy))
    tenant.bed.kubectl("apply", "-f", "-", stdin=json.dumps({**binding, "spec": {"policyName": name}}))
    try:
        tenant.cluster.wait_for(
            "the policy does not act", lambda: {"memory": _probe(tenant)}, lambda seen: bool(seen["memory"] == "128Mi")
        )
        yield tenant
    finally:
        for kind in ("MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicy"):
            tenant.bed.kubectl("delete", kind, name)


def _probe(tenant: Tenant) -> Any:
    """The memory that a pod gets which asks for 64 Mi; None if it is refused."""
    container = {"name": "a", "image": "localhost/none", "resources": {"limits": {"memory": "64Mi"}}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"probe-{secrets.token_hex(4)}", "namespace": tenant.namespace},
        "spec": {"containers": [container]},
    }
    try:
        made = tenant.cluster.apply(pod)
    except httpx.HTTPStatusError:
        return None
    tenant.cluster.delete("Pod", tenant.namespace, made["metadata"]["name"])
    return made["spec"]["containers"][0]["resources"]["limits"]["memory"]


def test_a_pod_that_admission_changed_is_no_hindrance_after_a_restart(mutated: Tenant) -> None:
    mutated.add_issuer("http", solvers=http01(mutated))
    mutated.apply("web", NAMES[0], issuerRef={"name": "http"})
    under_way(mutated, "web", "has not been scheduled yet")
    [pod] = _soon(mutated, "Pod")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "128Mi"
    mutated.operator.kill()
    events = len(mutated.cluster.events(mutated.namespace, "web"))
    mutated.operator.start()
    under_way(mutated, "web", "has not been scheduled yet")
    mutated.cluster.wait_for(
        "nothing is told anew",
        lambda: {"status": {"events": mutated.cluster.events(mutated.namespace, "web")}},
        lambda seen: len(seen["status"]["events"]) > events,
    )
    told = {event["reason"] for event in mutated.cluster.events(mutated.namespace, "web")}
    assert told == {"Issuing", "WaitingForHTTP"}
    [same] = _soon(mutated, "Pod")
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]


def test_a_name_that_leads_nowhere_is_told(tenant: Tenant) -> None:
    tenant.add_issuer("http", solvers=http01(tenant))
    tenant.apply("web", "web.nowhere.invalid", issuerRef={"name": "http"})
    under_way(tenant, "web", "no resolver could say what A records web.nowhere.invalid has", "REFUSED")


@pytest.mark.parametrize("kill", [True, False])
def test_a_restart_in_the_middle_keeps_the_order_and_its_objects(tenant: Tenant, *, kill: bool) -> None:
    tenant.add_issuer("http", solvers=http01(tenant))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    before = under_way(tenant, "web")
    names = {(one["kind"], one["metadata"]["uid"]) for one in solver_objects(tenant.cluster, tenant.namespace)}
    if kill:
        tenant.operator.kill()
    else:
        tenant.operator.stop()
    tenant.operator.start()
    after = under_way(tenant, "web", "has not been scheduled yet")
    assert after["status"]["order"]["url"] == before["status"]["order"]["url"]
    assert {(one["kind"], one["metadata"]["uid"]) for one in solver_objects(tenant.cluster, tenant.namespace)} == names
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    nothing_left(tenant)


def test_a_namespace_goes_while_the_operator_is_down(tenant: Tenant) -> None:
    tenant.add_issuer("http", solvers=http01(tenant))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    under_way(tenant, "web")
    tenant.operator.stop()
    try:
        tenant.cluster.delete("Namespace", None, tenant.namespace)
        tenant.cluster.wait_gone("Namespace", None, tenant.namespace)
    finally:
        tenant.operator.start()


def _soon(tenant: Tenant, kind: str) -> list[Object]:
    found = tenant.cluster.wait_for(
        f"there is no {kind}",
        lambda: {"items": [one for one in solver_objects(tenant.cluster, tenant.namespace) if one["kind"] == kind]},
        lambda seen: bool(seen["items"]),
    )
    items: list[Object] = found["items"]
    return items


def test_the_api_server_takes_the_pod_at_the_restricted_level(tenant: Tenant) -> None:
    tenant.cluster.patch(
        "Namespace",
        None,
        tenant.namespace,
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
    )
    refused = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "careless", "namespace": tenant.namespace},
        "spec": {"containers": [{"name": "a", "image": "localhost/none"}]},
    }
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        tenant.cluster.apply(refused)
    tenant.add_issuer("http", solvers=http01(tenant))
    tenant.apply("web", NAMES[0], issuerRef={"name": "http"})
    under_way(tenant, "web", "has not been scheduled yet")
