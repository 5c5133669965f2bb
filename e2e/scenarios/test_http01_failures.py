"""What goes wrong with HTTP-01 on a real cluster: the Certificate names the cause, and others go on.

Once it is put right the certificate comes by itself.
"""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from scenarios.ingress_pod import REDIRECT, start_ingress
from scenarios.installed import load_operator_image
from scenarios.pods import start_web
from scenarios.space import INGRESS
from testbed.images import CERTWRIGHT
from testbed.parts.gateway import NAME as GATEWAY
from testbed.parts.gateway import NAMESPACE as GATEWAY_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenario.cluster import Cluster
    from scenarios.space import Space
    from testbed import TestBed

NAME = "web"


@pytest.fixture
def troubled(space: Space) -> Space:
    """A space with an issuer `good`, whose solvers are pods behind Traefik, and one `shared` without pods."""
    space.http01("good")
    space.http01("shared", responder="shared")
    return space


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


@contextmanager
def unserved(space: Space, **template: Any) -> Iterator[str]:
    """A Certificate that waits, its pod running, because nobody serves its class; at the end somebody does.

    Its name is what is yielded; what is done to its pod meanwhile does not come too late.
    """
    late = f"late-{space.namespace}"
    space.http01("late", {"ingress": {"ingressClassName": late, "podTemplate": {"spec": template}}})
    space.apply(NAME, space.host(NAME), issuer_name="late")
    yield NAME
    served = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": late}}
    served["spec"] = {"controller": "traefik.io/ingress-controller"}
    space.bed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(served))
    try:
        space.ready(NAME)
        space.nothing_left()
    finally:
        space.bed.kubectl("delete", "ingressclass", late)


def test_a_pod_that_its_node_evicts_is_made_again(troubled: Space) -> None:
    """The kubelet evicts it for what it writes: its log is more than it may."""
    with unserved(troubled, resources={"limits": {"ephemeral-storage": "1Ki"}}) as name:
        pod = troubled.solver_pod()
        name_of_pod = pod["metadata"]["name"]
        troubled.told(name, f"the solver pod {name_of_pod}", "(Evicted: Pod ephemeral local storage", "made again")
        troubled.goes_on()
        troubled.cluster.wait_for(
            "the pod is not made again",
            lambda: {"status": {"made": troubled.made("Pod")}},
            lambda seen: bool(seen["status"]["made"].count(name_of_pod) > 1),
        )


def test_a_pod_that_a_drain_evicts_or_somebody_deletes_is_made_again(troubled: Space) -> None:
    with unserved(troubled) as name:
        troubled.told(name, "there is no IngressClass late-")
        pod = troubled.solver_pod()
        place = f"/api/v1/namespaces/{troubled.namespace}/pods/{pod['metadata']['name']}"
        identity = {"name": pod["metadata"]["name"], "namespace": troubled.namespace}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": identity}
        troubled.bed.kubectl("create", "--raw", f"{place}/eviction", "-f", "-", stdin=json.dumps(eviction))
        troubled.told(name, "the solver pod", "it is made again")
        again = troubled.solver_pod()
        assert again["metadata"]["uid"] != pod["metadata"]["uid"]
        troubled.goes_on()
        troubled.cluster.delete("Pod", troubled.namespace, pod["metadata"]["name"])
        troubled.cluster.wait_for(
            "the pod is not made again",
            troubled.solver_pod,
            lambda seen: bool(seen["metadata"]["uid"] != again["metadata"]["uid"]),
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
        troubled.told(NAME, "cannot be placed on a node: 0/1 nodes are available", "unschedulable")
        troubled.goes_on("shared")
    finally:
        troubled.bed.kubectl("uncordon", troubled.bed.node.name)
    troubled.ready(NAME)
    troubled.nothing_left()


def test_a_pod_that_is_too_big_for_the_node_is_told_and_a_corrected_issuer_is_used(troubled: Space) -> None:
    troubled.http01("big", of_pods(resources={"requests": {"memory": "4000Gi"}}))
    troubled.apply(NAME, troubled.host(NAME), issuer_name="big")
    troubled.told(NAME, "cannot be placed on a node: 0/1 nodes are available", "Insufficient memory")
    troubled.goes_on()
    troubled.http01("big")
    troubled.ready(NAME)
    troubled.nothing_left()


def test_an_ingress_class_that_nobody_has_is_named_and_a_corrected_issuer_is_used(troubled: Space) -> None:
    troubled.http01("wrong", {"ingress": {"ingressClassName": "nginx"}})
    troubled.apply(NAME, troubled.host(NAME), issuer_name="wrong")
    troubled.told(NAME, "HTTP 404 Not Found at 10.200.0.1", "there is no IngressClass nginx in the cluster")
    troubled.goes_on()
    troubled.http01("wrong")
    troubled.ready(NAME)
    troubled.nothing_left()


def test_a_name_that_leads_elsewhere_is_told_with_the_address(troubled: Space) -> None:
    host = troubled.host(NAME)
    start_web(troubled.bed, troubled.cluster, troubled.namespace, "elsewhere")
    service = troubled.cluster.get("Service", troubled.namespace, "elsewhere") or {}
    address = service["spec"]["clusterIP"]
    with troubled.leading(host, address):
        troubled.apply(NAME, host, issuer_name="good")
        troubled.told(NAME, f"http://{host}/.well-known/acme-challenge/", f"at {address}")
        troubled.goes_on()
    troubled.ready(NAME)
    troubled.nothing_left()


def test_a_network_policy_in_the_way_is_named(node_bed: TestBed, controllers: str, troubled: Space) -> None:
    """The ingress controller is a pod here: kube-router keeps it from the solver pod as any other."""
    host, deny = troubled.host(NAME), "deny-all"
    address = start_ingress(node_bed, troubled.cluster, controllers, "plain")
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    metadata = {"namespace": troubled.namespace}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    troubled.cluster.apply({**policy, "metadata": {**metadata, "name": deny}, "spec": spec})
    with troubled.leading(host, address):
        troubled.apply(NAME, host, issuer_name="good")
        troubled.told(NAME, f"the NetworkPolicy {deny} selects the solver pod", "port 8089", f"at {address}")
        troubled.goes_on("shared")
        allowed = {
            "podSelector": {"matchLabels": {"certwright.io/http01-solver": "true"}},
            "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 8089}]}],
        }
        troubled.cluster.apply({**policy, "metadata": {**metadata, "name": "solvers"}, "spec": allowed})
        troubled.ready(NAME)
    troubled.nothing_left()


def test_a_redirect_to_https_in_front_is_followed(node_bed: TestBed, controllers: str, troubled: Space) -> None:
    """The controller sends all of port 80 to port 443, where it serves the file too: so does the CA follow it."""
    host = troubled.host(NAME)
    address = start_ingress(node_bed, troubled.cluster, controllers, "redirecting", *REDIRECT)
    with troubled.leading(host, address):
        troubled.apply(NAME, host, issuer_name="good")
        troubled.ready(NAME)
    troubled.nothing_left()


def test_a_redirect_to_https_where_the_file_is_not_served_is_told(
    node_bed: TestBed, controllers: str, troubled: Space
) -> None:
    host, only_plain = troubled.host(NAME), {"traefik.ingress.kubernetes.io/router.entrypoints": "web"}
    address = start_ingress(node_bed, troubled.cluster, controllers, "redirecting", *REDIRECT)
    ingress = {**INGRESS["ingress"], "ingressTemplate": {"metadata": {"annotations": only_plain}}}
    troubled.http01("plain", {"ingress": ingress})
    with troubled.leading(host, address):
        troubled.apply(NAME, host, issuer_name="plain")
        troubled.told(NAME, f"redirected to https://{host}: HTTP 404 Not Found at {address}")
        troubled.goes_on()
        troubled.http01("plain")
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
    troubled.http01("routes", {"gatewayHTTPRoute": {"parentRefs": parents}})
    troubled.apply(NAME, host, issuer_name="routes")
    troubled.ready(NAME)
    troubled.nothing_left()
