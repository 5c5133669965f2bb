"""What goes wrong with HTTP-01 on a real cluster: the Certificate names the cause, and others go on.

Once it is put right the certificate comes by itself.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from scenarios.ingress_pod import REDIRECT, start_ingress
from scenarios.installed import load_operator_image
from scenarios.pods import start_web
from scenarios.space import INGRESS, Space, fresh_namespace
from testbed.images import CERTWRIGHT
from testbed.parts.gateway import NAME as GATEWAY
from testbed.parts.gateway import NAMESPACE as GATEWAY_NAMESPACE
from testbed.web import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.cluster import Cluster, Object
    from scenarios.installed import Release
    from testbed import TestBed

NAME = "web"
INNER = "example.test/inner"
MOVED = 301


def with_good_issuers(space: Space) -> Space:
    """A space with an issuer `good`, whose solvers are pods behind Traefik, and one `shared` without pods."""
    space.http01("good", wait=False)
    space.http01("shared", responder="shared", wait=False)
    return space


@pytest.fixture
def troubled(space: Space) -> Space:
    return with_good_issuers(space)


@pytest.fixture(scope="module")
def controllers(cluster: Cluster) -> Iterator[str]:
    """A namespace for ingress controllers."""
    name = f"ingress-{secrets.token_hex(4)}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.delete("Namespace", None, name)


def of_pods(**spec: Any) -> dict[str, Any]:
    """A route by Traefik's Ingresses with something of its own about the pod."""
    return {"ingress": {**INGRESS["ingress"], "podTemplate": {"spec": spec}}}


def apply_unserved(space: Space, **template: Any) -> None:
    """Apply a Certificate that waits, its pod running, because no controller serves its class.

    What is done to its pod meanwhile does not come too late.
    """
    ingress = {"ingressClassName": late_class(space), "podTemplate": {"spec": template}}
    space.http01("late", {"ingress": ingress})
    space.apply(NAME, space.host(NAME), issuer_name="late")


def late_class(space: Space) -> str:
    return f"late-{space.namespace}"


def serve_at_last(space: Space) -> None:
    """Have Traefik serve the class, and see the Certificate Ready."""
    served = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": late_class(space)}}
    served["spec"] = {"controller": "traefik.io/ingress-controller"}
    space.bed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(served))
    try:
        space.ready(NAME)
        space.nothing_left()
    finally:
        space.bed.kubectl("delete", "ingressclass", late_class(space))


def wait_for_another(space: Space, pod: Object) -> Object:
    """Wait for the pod that comes in place of this one, which has the same name."""
    return space.cluster.wait_for(
        "the pod is not made again",
        space.solver_pod,
        lambda seen: bool(seen["metadata"]["uid"] != pod["metadata"]["uid"]),
    )


def test_an_image_that_is_not_there_is_named(troubled: Space) -> None:
    troubled.bed.node.remove_image(CERTWRIGHT)
    try:
        troubled.apply(NAME, troubled.host(NAME), issuer_name="good")
        troubled.told(NAME, "does not start: its image cannot be pulled", CERTWRIGHT)
        troubled.goes_on("shared")
    finally:
        load_operator_image(troubled.bed)
    troubled.ready(NAME)
    troubled.nothing_left()


def test_a_node_that_takes_no_pods_is_told_in_the_schedulers_words(troubled: Space) -> None:
    troubled.bed.kubectl("cordon", troubled.bed.node.name)
    try:
        troubled.apply(NAME, troubled.host(NAME), issuer_name="good")
        troubled.told(NAME, "cannot be scheduled: 0/1 nodes are available", "unschedulable")
        troubled.goes_on("shared")
    finally:
        troubled.bed.kubectl("uncordon", troubled.bed.node.name)
    troubled.ready(NAME)
    troubled.nothing_left()


def drained(space: Space, _: str) -> None:
    apply_unserved(space)


def evicted(space: Space, _: str) -> None:
    """The kubelet evicts it for what it writes: its log is more than it may."""
    apply_unserved(space, resources={"limits": {"ephemeral-storage": "1Ki"}})


def too_big(space: Space, _: str) -> None:
    space.http01("big", of_pods(resources={"requests": {"memory": "4000Gi"}}))
    space.apply(NAME, space.host(NAME), issuer_name="big")


def wrong_class(space: Space, _: str) -> None:
    space.http01("wrong", {"ingress": {"ingressClassName": "nginx"}})
    space.apply(NAME, space.host(NAME), issuer_name="wrong")


def nobodys_class(space: Space, _: str) -> None:
    served = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": inner_class(space)}}
    served["spec"] = {"controller": INNER}
    space.bed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(served))
    space.http01("inner", {"ingress": {"ingressClassName": inner_class(space)}})
    space.apply(NAME, space.host(NAME), issuer_name="inner")


def inner_class(space: Space) -> str:
    return f"inner-{space.namespace}"


def leads_elsewhere(space: Space, _: str) -> None:
    start_web(space.bed, space.cluster, space.namespace, "elsewhere")
    service = space.cluster.get("Service", space.namespace, "elsewhere") or {}
    space.lead(space.host(NAME), service["spec"]["clusterIP"])
    space.apply(NAME, space.host(NAME), issuer_name="good")


def denied_by_policy(space: Space, controllers: str) -> None:
    """The ingress controller is a pod here: kube-router keeps it from the solver pod as any other."""
    space.lead(space.host(NAME), start_ingress(space.bed, space.cluster, controllers, "plain"))
    space.cluster.apply(policy(space, "deny-all", {"podSelector": {}, "policyTypes": ["Ingress"]}))
    space.apply(NAME, space.host(NAME), issuer_name="good")


def redirected_to_nowhere(space: Space, controllers: str) -> None:
    space.lead(space.host(NAME), start_ingress(space.bed, space.cluster, controllers, "redirecting", *REDIRECT))
    only_plain = {"traefik.ingress.kubernetes.io/router.entrypoints": "web"}
    ingress = {**INGRESS["ingress"], "ingressTemplate": {"metadata": {"annotations": only_plain}}}
    space.http01("plain", {"ingress": ingress})
    space.apply(NAME, space.host(NAME), issuer_name="plain")


def policy(space: Space, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": space.namespace}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


Trouble = Callable[[Space, str], None]
TROUBLES: dict[Trouble, str | None] = {
    drained: None,
    evicted: "good",
    too_big: "good",
    wrong_class: "good",
    nobodys_class: "good",
    leads_elsewhere: "good",
    denied_by_policy: "shared",
    redirected_to_nowhere: "good",
}
"""What can go wrong, and the issuer of another Certificate that is applied at once and goes on."""
Troubles = dict[Trouble, Space]


@pytest.fixture(scope="module")
def troubles(node_bed: TestBed, cluster: Cluster, operator_release: Release, controllers: str) -> Iterator[Troubles]:
    """All that can go wrong side by side, each in a namespace of its own: what takes its time takes it once."""
    with ExitStack() as stack:
        spaces = [
            with_good_issuers(Space(node_bed, cluster, operator_release, stack.enter_context(fresh_namespace(cluster))))
            for _ in TROUBLES
        ]
        begun = dict(zip(TROUBLES, spaces, strict=True))
        for begin, space in begun.items():
            begin(space, controllers)
            if (issuer_name := TROUBLES[begin]) is not None:
                space.apply("other", space.host("other"), issuer_name=issuer_name)
        yield begun


def test_a_pod_that_a_drain_evicts_or_somebody_deletes_is_made_again(troubles: Troubles) -> None:
    troubled = troubles[drained]
    troubled.told(NAME, "there is no IngressClass late-")
    pod = troubled.solver_pod()
    place = f"/api/v1/namespaces/{troubled.namespace}/pods/{pod['metadata']['name']}"
    identity = {"name": pod["metadata"]["name"], "namespace": troubled.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": identity}
    troubled.bed.kubectl("create", "--raw", f"{place}/eviction", "-f", "-", stdin=json.dumps(eviction))
    troubled.told(NAME, "the solver pod", "the operator creates it again")
    again = wait_for_another(troubled, pod)
    troubled.goes_on()
    troubled.cluster.delete("Pod", troubled.namespace, pod["metadata"]["name"])
    wait_for_another(troubled, again)
    serve_at_last(troubled)


def test_a_pod_that_is_too_big_for_the_node_is_told_and_a_corrected_issuer_is_used(troubles: Troubles) -> None:
    troubled = troubles[too_big]
    troubled.told(NAME, "cannot be scheduled: 0/1 nodes are available", "Insufficient memory")
    troubled.goes_on()
    troubled.http01("big")
    troubled.ready(NAME)
    troubled.nothing_left()


def test_an_ingress_class_that_nobody_has_is_named_and_a_corrected_issuer_is_used(troubles: Troubles) -> None:
    troubled = troubles[wrong_class]
    troubled.told(NAME, "HTTP 404 Not Found at 10.200.0.1", "there is no IngressClass nginx in the cluster")
    troubled.goes_on()
    troubled.http01("wrong")
    troubled.ready(NAME)
    troubled.nothing_left()


def test_a_class_of_a_controller_that_does_not_run_is_named_with_it(troubles: Troubles) -> None:
    troubled = troubles[nobodys_class]
    name = inner_class(troubled)
    try:
        troubled.told(
            NAME,
            "HTTP 404 Not Found at 10.200.0.1",
            f"is of the class {name}, which is for the controller {INNER}, and its status has no address",
        )
        troubled.goes_on()
        troubled.http01("inner")
        troubled.ready(NAME)
        troubled.nothing_left()
    finally:
        troubled.bed.kubectl("delete", "ingressclass", name)


def test_a_name_that_leads_elsewhere_is_told_with_the_address(troubles: Troubles) -> None:
    troubled = troubles[leads_elsewhere]
    host = troubled.host(NAME)
    address = (troubled.cluster.get("Service", troubled.namespace, "elsewhere") or {})["spec"]["clusterIP"]
    troubled.told(NAME, f"http://{host}/.well-known/acme-challenge/", f"at {address}")
    troubled.goes_on()
    troubled.lead(host, None)
    troubled.ready(NAME)
    troubled.nothing_left()


def test_a_network_policy_in_the_way_is_named(cluster: Cluster, controllers: str, troubles: Troubles) -> None:
    troubled = troubles[denied_by_policy]
    address = (cluster.get("Pod", controllers, "plain") or {})["status"]["podIP"]
    troubled.told(NAME, "the NetworkPolicy deny-all selects the solver pod", "port 8089", f"at {address}")
    troubled.goes_on("shared")
    allowed = {
        "podSelector": {"matchLabels": {"certwright.io/http01-solver": "true"}},
        "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 8089}]}],
    }
    troubled.cluster.apply(policy(troubled, "solvers", allowed))
    troubled.ready(NAME)
    troubled.nothing_left()


def test_a_redirect_to_https_where_the_file_is_not_served_is_told(
    cluster: Cluster, controllers: str, troubles: Troubles
) -> None:
    troubled = troubles[redirected_to_nowhere]
    address = (cluster.get("Pod", controllers, "redirecting") or {})["status"]["podIP"]
    troubled.told(NAME, f"redirected to https://{troubled.host(NAME)}: HTTP 404 Not Found at {address}")
    troubled.goes_on()
    troubled.http01("plain")
    troubled.ready(NAME)
    troubled.nothing_left()


def test_a_pod_that_its_node_evicts_is_made_again(troubles: Troubles) -> None:
    troubled = troubles[evicted]
    troubled.told(NAME, "the solver pod cw-", "(Evicted: Pod ephemeral local storage", "creates it again")
    troubled.goes_on()
    troubled.cluster.wait_for(
        "the pod is not made again",
        lambda: {"status": {"made": [name for name in troubled.made("Pod") if name.startswith(f"cw-{NAME}-")]}},
        lambda seen: len(seen["status"]["made"]) > len(set(seen["status"]["made"])),
    )
    serve_at_last(troubled)


def test_a_redirect_to_https_in_front_is_followed(node_bed: TestBed, controllers: str, troubled: Space) -> None:
    """The controller sends all of port 80 to port 443, where it serves the file too: so does the CA follow it."""
    host = troubled.host(NAME)
    address = start_ingress(node_bed, troubled.cluster, controllers, "redirecting", *REDIRECT)
    assert fetch(f"http://{address}/", headers={"Host": host}).status == MOVED
    troubled.lead(host, address)
    troubled.apply(NAME, host, issuer_name="good")
    troubled.ready(NAME)
    troubled.nothing_left()


def test_a_route_of_the_users_that_redirects_everything_is_no_hindrance(troubled: Space) -> None:
    """With the Gateway API the redirect is a route, and the solver's names the path: the more exact one is served."""
    host = troubled.host(NAME)
    parents = [{"name": GATEWAY, "namespace": GATEWAY_NAMESPACE}]
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}
    troubled.cluster.apply(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "to-https", "namespace": troubled.namespace},
            "spec": {
                "parentRefs": [{**parents[0], "sectionName": "http"}],
                "hostnames": [host],
                "rules": [{"filters": [redirect]}],
            },
        }
    )
    troubled.cluster.wait_for(
        "the redirect is not in place",
        lambda: {"status": {"code": fetch("http://127.0.0.1/", headers={"Host": host}).status}},
        lambda seen: bool(seen["status"]["code"] == MOVED),
    )
    troubled.http01("routes", {"gatewayHTTPRoute": {"parentRefs": parents}})
    troubled.apply(NAME, host, issuer_name="routes")
    troubled.ready(NAME)
    troubled.nothing_left()
