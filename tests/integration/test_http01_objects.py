"""http-01 where no node runs pods: what is made for it, what is said about it, what is left of it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from harness import Tenant, issuer, tsig_secret
from harness.cluster import SECONDS, conditions
from harness.mistakes import message_of, wait_event
from harness.solver_objects import solver_objects, wait_nothing_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Cluster, OperatorProcess
    from harness.cluster import Object
    from testbed.bed import TestBed

NAMES = ("a.http01.example.test", "b.http01.example.test")


def http01(tenant: Tenant, route: dict[str, Any] | None = None, **fields: Any) -> list[dict[str, Any]]:
    chosen = route or {"ingress": {"ingressClassName": "traefik"}}
    return [{"http01": {"nameservers": [tenant.bed.bind.address], **chosen, **fields}}]


def begin(tenant: Tenant, *names: str, route: dict[str, Any] | None = None, **fields: Any) -> None:
    """Apply an Issuer and a Certificate, which waits for it by itself."""
    # By default a self-check fails after a minute, and most tests want to see it under way.
    solvers = http01(tenant, route, **{"selfCheckTimeout": "10m", **fields})
    tenant.cluster.apply(issuer(tenant.bed, tenant.namespace, name="http", solvers=solvers))
    tenant.apply("web", *(names or NAMES[:1]), issuerRef={"name": "http"})


def front(tenant: Tenant, *, path: bool) -> Object:
    """Return an Ingress of a user's for the first name, with a path or without any."""
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    paths = {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}} if path else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "front", "namespace": tenant.namespace},
        "spec": {"ingressClassName": "traefik", "rules": [{"host": NAMES[0], **paths}]},
    }


EDIT: dict[str, Any] = {"ingress": {"name": "front"}}
GITOPS = ("apply", "--server-side", "--force-conflicts", "-f", "-")


def plain(tenant: Tenant) -> None:
    begin(tenant, *NAMES)


def killed(tenant: Tenant) -> None:
    begin(tenant)


def stopped(tenant: Tenant) -> None:
    begin(tenant)


def gone(tenant: Tenant) -> None:
    begin(tenant)


def timed_out(tenant: Tenant) -> None:
    begin(tenant, selfCheckTimeout="3s")


def advisory(tenant: Tenant) -> None:
    begin(tenant, selfCheck="advisory", selfCheckTimeout="1s")


def changed(tenant: Tenant) -> None:
    tenant.cluster.apply(tsig_secret(tenant.bed, tenant.namespace))
    begin(tenant)


def edited(tenant: Tenant) -> None:
    tenant.cluster.apply(front(tenant, path=True))
    begin(tenant, *NAMES, route=EDIT)


def deployed(tenant: Tenant) -> None:
    tenant.bed.kubectl(*GITOPS, "--field-manager=gitops", stdin=json.dumps(front(tenant, path=False)))
    begin(tenant, route=EDIT)


def put_back(tenant: Tenant) -> None:
    tenant.bed.kubectl(*GITOPS, "--field-manager=argocd-controller", stdin=json.dumps(front(tenant, path=True)))
    begin(tenant, route=EDIT)


def without_paths(tenant: Tenant) -> None:
    tenant.cluster.apply(front(tenant, path=False))
    begin(tenant, route=EDIT)


def nothing_to_edit(tenant: Tenant) -> None:
    begin(tenant, route=EDIT)


def wrong_class(tenant: Tenant) -> None:
    begin(tenant, route={"ingress": {"ingressClassName": "nowhere"}}, selfCheck="required")


def no_gateways(tenant: Tenant) -> None:
    begin(tenant, route={"gatewayHTTPRoute": {"parentRefs": [{"name": "gateway"}]}})


def bad_template(tenant: Tenant) -> None:
    template = {"spec": {"resources": {"limits": {"memory": "lots"}}}}
    begin(tenant, route={"ingress": {"ingressClassName": "traefik", "podTemplate": template}})


def nowhere(tenant: Tenant) -> None:
    begin(tenant, "web.nowhere.invalid")


def restricted(tenant: Tenant) -> None:
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    tenant.cluster.patch("Namespace", None, tenant.namespace, level)
    begin(tenant)


def quota(tenant: Tenant) -> None:
    tenant.cluster.apply(tsig_secret(tenant.bed, tenant.namespace))
    tenant.cluster.apply(issuer(tenant.bed, tenant.namespace))
    none = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": 0}}}
    tenant.bed.kubectl("apply", "-n", tenant.namespace, "-f", "-", stdin=json.dumps(none))
    tenant.cluster.wait_for(
        "the quota does not hold", lambda: {"memory": _probe(tenant)}, lambda seen: seen["memory"] is None
    )
    begin(tenant)


BEGINNINGS = (
    quota,
    plain,
    timed_out,
    advisory,
    changed,
    edited,
    deployed,
    put_back,
    without_paths,
    nothing_to_edit,
    wrong_class,
    no_gateways,
    bad_template,
    nowhere,
    restricted,
    killed,
    stopped,
    gone,
)
Waiting = dict[Callable[[Tenant], None], Tenant]


@pytest.fixture(scope="module")
def waiting(bed: TestBed, cluster: Cluster, session_operator: OperatorProcess) -> Iterator[Waiting]:
    """Certificates that wait side by side, each in a namespace of its own: what takes its time takes it once."""
    if not session_operator.running:
        session_operator.start()
    begun: Waiting = {}
    for beginning in BEGINNINGS:
        namespace = f"test-{secrets.token_hex(4)}"
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        begun[beginning] = Tenant(namespace, bed, cluster, session_operator)
        beginning(begun[beginning])
    yield begun
    for tenant in begun.values():
        cluster.delete("Namespace", None, tenant.namespace)


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


def test_after_its_timeout_the_self_check_fails_and_the_order_is_kept(waiting: Waiting) -> None:
    tenant = waiting[timed_out]
    told = tenant.not_ready("web", "SelfCheckFailed")["message"]
    assert re.search(r"After \d+ s http://", told)  # 3 s, or a little more on a busy machine
    assert "does not answer with the key authorization" in told
    assert "the solver pod cw-web-" in told
    assert "The next attempt is at" in told
    event = wait_event(tenant.cluster, tenant.namespace, "web", "SelfCheckFailed")
    assert event["type"] == "Warning"
    found = tenant.cluster.get("Certificate", tenant.namespace, "web") or {}
    assert found["status"]["order"]["state"] == "pending"
    assert found["status"]["failedAttempts"] == 0


def test_advisory_asks_the_ca_all_the_same_and_says_so(waiting: Waiting) -> None:
    tenant = waiting[advisory]
    event = wait_event(tenant.cluster, tenant.namespace, "web", "SelfCheckSkipped")
    assert "Asking the CA anyway (selfCheck: advisory)" in event["message"]
    told = tenant.not_ready("web", "ValidationFailed")["message"]
    assert NAMES[0] in told
    nothing_left(tenant)


def test_a_quota_is_told_in_kubernetes_words_and_the_rest_goes_on(waiting: Waiting) -> None:
    tenant = waiting[quota]
    told = tenant.not_ready("web", "APIServerRefused")["message"]
    assert "could not create Pod" in told
    assert "exceeded quota: no-pods" in told
    assert sorted(one["kind"] for one in solver_objects(tenant.cluster, tenant.namespace)) == ["Ingress", "Service"]
    tenant.apply("other", "other.http01.example.test")
    tenant.ready("other")
    tenant.bed.kubectl("delete", "-n", tenant.namespace, "quota", "no-pods")
    # The pauses between tries have grown meanwhile.
    under_way(tenant, "web", "has not been scheduled yet", seconds=180)


def test_one_pod_service_and_ingress_for_all_names_and_the_reason_that_none_is_served(waiting: Waiting) -> None:
    tenant = waiting[plain]
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


def test_an_issuer_that_changes_to_dns01_in_the_middle_gets_the_certificate(waiting: Waiting) -> None:
    tenant = waiting[changed]
    under_way(tenant, "web")
    tenant.add_issuer("http")
    tenant.ready("web")
    nothing_left(tenant)


def test_an_ingress_edited_in_place_is_as_it_was_when_the_certificate_goes(waiting: Waiting) -> None:
    tenant = waiting[edited]
    rules = front(tenant, path=True)["spec"]["rules"]
    found = under_way(tenant, "web")
    assert found["metadata"]["finalizers"] == ["certwright.io/clean-up"], "nobody else takes the rules out again"
    seen = (tenant.cluster.get("Ingress", tenant.namespace, "front") or {})["spec"]["rules"]
    assert [len(rule["http"]["paths"]) for rule in seen] == [2, 1]
    assert seen[0]["http"]["paths"][1] == rules[0]["http"]["paths"][0]
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    assert (tenant.cluster.get("Ingress", tenant.namespace, "front") or {})["spec"]["rules"] == rules
    nothing_left(tenant)


def test_an_ingress_that_was_edited_in_place_is_its_owners_alone_afterwards(waiting: Waiting) -> None:
    """Whoever applies it by server-side apply, as GitOps tools do, has no conflict with the operator."""
    tenant = waiting[deployed]
    under_way(tenant, "web")
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    found = tenant.cluster.get("Ingress", tenant.namespace, "front") or {}
    assert [entry["manager"] for entry in found["metadata"]["managedFields"]] == ["gitops"]
    other = front(tenant, path=False) | {"spec": {"ingressClassName": "traefik", "rules": [{"host": NAMES[1]}]}}
    without_force = [option for option in GITOPS if option != "--force-conflicts"]
    tenant.bed.kubectl(*without_force, "--field-manager=gitops", stdin=json.dumps(other))


def test_an_edited_ingress_whose_owner_puts_his_rules_back_gets_ours_again_and_he_is_named(waiting: Waiting) -> None:
    tenant = waiting[put_back]
    under_way(tenant, "web")
    his = front(tenant, path=True)
    tenant.bed.kubectl(*GITOPS, "--field-manager=argocd-controller", stdin=json.dumps(his))

    def paths(found: Object) -> int:
        return len(found["spec"]["rules"][0]["http"]["paths"])

    assert paths(tenant.cluster.get("Ingress", tenant.namespace, "front") or {}) == 1
    tenant.cluster.wait_for(
        "the path does not come back",
        lambda: tenant.cluster.get("Ingress", tenant.namespace, "front"),
        lambda found: paths(found) == 2,
    )
    under_way(tenant, "web", "the field manager argocd-controller wrote the rules of the Ingress")
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    found = tenant.cluster.get("Ingress", tenant.namespace, "front") or {}
    assert found["spec"]["rules"] == his["spec"]["rules"]


def test_an_ingress_of_hosts_without_paths_is_as_it_was_when_the_certificate_goes(waiting: Waiting) -> None:
    """It has no default backend either: without any rule the API server would not take it."""
    tenant = waiting[without_paths]
    rules = front(tenant, path=False)["spec"]["rules"]
    under_way(tenant, "web")
    assert (tenant.cluster.get("Ingress", tenant.namespace, "front") or {})["spec"]["rules"] != rules
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    assert (tenant.cluster.get("Ingress", tenant.namespace, "front") or {})["spec"]["rules"] == rules
    nothing_left(tenant)


def test_an_ingress_to_edit_that_is_not_there_is_named_and_looked_for_again(waiting: Waiting) -> None:
    tenant = waiting[nothing_to_edit]
    told = tenant.not_ready("web", "IngressNotFound")["message"]
    assert f"The Ingress {tenant.namespace}/front, which the issuer's http01 solver should edit, does not exist" in told
    assert solver_objects(tenant.cluster, tenant.namespace) == []


def test_an_ingress_class_that_is_not_there_is_named(waiting: Waiting) -> None:
    tenant = waiting[wrong_class]
    [pod] = _soon(tenant, "Pod")
    # There is no kubelet: this test is one, so that the pod is not what is looked at.
    tenant.cluster.patch_status("Pod", tenant.namespace, pod["metadata"]["name"], {"phase": "Running"})
    under_way(tenant, "web", "there is no IngressClass nowhere in the cluster")


def test_gateways_that_the_cluster_does_not_know_are_told(waiting: Waiting) -> None:
    tenant = waiting[no_gateways]
    told = tenant.not_ready("web", "APIServerRefused")["message"]
    assert "the cluster does not serve gateway.networking.k8s.io/v1 HTTPRoute. Are its CRDs installed?" in told


def test_a_pod_template_that_kubernetes_refuses_is_told_in_its_words(waiting: Waiting) -> None:
    tenant = waiting[bad_template]
    told = tenant.not_ready("web", "APIServerRefused")["message"]
    assert "could not create Pod" in told
    assert "quantities must match" in told


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
    tenant.bed.apply(policy, {**binding, "spec": {"policyName": name}})
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


def test_a_name_that_leads_nowhere_is_told(waiting: Waiting) -> None:
    tenant = waiting[nowhere]
    under_way(tenant, "web", "no resolver could say what A records web.nowhere.invalid has", "REFUSED")


def _soon(tenant: Tenant, kind: str) -> list[Object]:
    found = tenant.cluster.wait_for(
        f"there is no {kind}",
        lambda: {"items": [one for one in solver_objects(tenant.cluster, tenant.namespace) if one["kind"] == kind]},
        lambda seen: bool(seen["items"]),
    )
    items: list[Object] = found["items"]
    return items


def test_the_api_server_takes_the_pod_at_the_restricted_level(waiting: Waiting) -> None:
    tenant = waiting[restricted]
    refused = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "careless", "namespace": tenant.namespace},
        "spec": {"containers": [{"name": "a", "image": "localhost/none"}]},
    }
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        tenant.cluster.apply(refused)
    under_way(tenant, "web", "has not been scheduled yet")


@dataclass(frozen=True)
class Before:
    """An order and its objects before the operator ends, and how often something was told about it."""

    url: str
    objects: set[tuple[str, str]]
    events: int

    @classmethod
    def of(cls, tenant: Tenant) -> Before:
        found = under_way(tenant, "web", "has not been scheduled yet")
        events = tenant.cluster.events(tenant.namespace, "web")
        return cls(found["status"]["order"]["url"], objects_of(tenant), sum(map(times, events)))

    def assert_gone_on_with(self, tenant: Tenant) -> None:
        """Wait until the next operator tells of it, and see that it is the same order with the same objects."""
        tenant.cluster.wait_for(
            "nothing is told anew",
            lambda: {"status": {"events": sum(map(times, tenant.cluster.events(tenant.namespace, "web")))}},
            lambda seen: bool(seen["status"]["events"] > self.events),
        )
        after = under_way(tenant, "web", "has not been scheduled yet")
        assert after["status"]["order"]["url"] == self.url
        assert objects_of(tenant) == self.objects
        told = {event["reason"] for event in tenant.cluster.events(tenant.namespace, "web")}
        assert told == {"Issuing", "WaitingForHTTP"}


def times(event: Object) -> int:
    return int((event.get("series") or event).get("count") or 1)


def objects_of(tenant: Tenant) -> set[tuple[str, str]]:
    return {(one["kind"], one["metadata"]["uid"]) for one in solver_objects(tenant.cluster, tenant.namespace)}


def test_a_kill_in_the_middle_keeps_the_order_and_its_objects_and_those_that_admission_changed(
    mutated: Tenant, waiting: Waiting
) -> None:
    tenants = mutated, waiting[killed]
    begin(mutated)
    before = [Before.of(tenant) for tenant in tenants]
    [pod] = _soon(mutated, "Pod")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "128Mi"
    mutated.operator.kill()
    mutated.operator.start()
    for tenant, then in zip(tenants, before, strict=True):
        then.assert_gone_on_with(tenant)
    tenants[1].cluster.delete("Certificate", tenants[1].namespace, "web")
    nothing_left(tenants[1])


def test_a_stop_in_the_middle_keeps_the_order_and_meanwhile_a_namespace_can_go(waiting: Waiting) -> None:
    kept, leaves = waiting[stopped], waiting[gone]
    under_way(leaves, "web")
    before = Before.of(kept)
    kept.operator.stop()
    try:
        leaves.cluster.delete("Namespace", None, leaves.namespace)
        leaves.cluster.wait_gone("Namespace", None, leaves.namespace)
    finally:
        kept.operator.start()
    before.assert_gone_on_with(kept)
    kept.cluster.delete("Certificate", kept.namespace, "web")
    nothing_left(kept)
