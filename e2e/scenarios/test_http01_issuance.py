"""HTTP-01 as users have it: real pods, real routes, a CA that comes over port 80, HTTPS that verifies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from harness.cluster import refusal
from harness.manifests import issuer, tsig_secret
from scenarios.space import INGRESS
from testbed.parts.gateway import NAME as GATEWAY
from testbed.parts.gateway import NAMESPACE as GATEWAY_NAMESPACE

if TYPE_CHECKING:
    from harness.cluster import Object
    from scenarios.space import Space

ROUTE: dict[str, Any] = {"gatewayHTTPRoute": {"parentRefs": [{"name": GATEWAY, "namespace": GATEWAY_NAMESPACE}]}}
MANY = 20
PER_ROUTE = 16


def made_since(shop: Space, before: dict[str, int]) -> dict[str, int]:
    """How many objects of each kind the operator has made since."""
    return {kind: len(shop.made(kind)) - count for kind, count in before.items()}


def so_far(shop: Space) -> dict[str, int]:
    return {kind: len(shop.made(kind)) for kind in ("Pod", "Service", "Ingress", "HTTPRoute", "EndpointSlice")}


def test_one_name_by_an_ingress(shop: Space) -> None:
    host, before = shop.host("one"), so_far(shop)
    shop.http01()
    shop.serve("one", host)
    shop.apply("one", host)
    shop.ready("one")
    assert shop.verified(host) == {host}
    assert made_since(shop, before) == {"Pod": 1, "Service": 1, "Ingress": 1, "HTTPRoute": 0, "EndpointSlice": 0}
    shop.nothing_left()


def test_twenty_names_of_one_order_have_one_restricted_pod_service_and_ingress(shop: Space) -> None:
    hosts, before = [shop.host(f"many{number}") for number in range(MANY)], so_far(shop)
    shop.http01()
    shop.serve("many", *hosts)
    shop.apply("many", *hosts)
    # It may be done before the kubelet says that it runs.
    pod = shop.solver_pod(phases=("Pending", "Running"))
    careless = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "careless", "namespace": shop.namespace}}
    with pytest.raises(httpx.HTTPStatusError) as caught:
        shop.cluster.apply({**careless, "spec": {"containers": [{"name": "a", "image": pod_image(pod)}]}})
    assert 'violates PodSecurity "restricted:latest"' in refusal(caught.value), "the level holds, and the pod met it"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"].get("volumes", []) == []
    shop.ready("many")
    for host in (hosts[0], hosts[-1]):
        assert shop.verified(host) == set(hosts)
    assert made_since(shop, before) == {"Pod": 1, "Service": 1, "Ingress": 1, "HTTPRoute": 0, "EndpointSlice": 0}
    shop.nothing_left()


def pod_image(pod: Object) -> str:
    image: str = pod["spec"]["containers"][0]["image"]
    return image


def test_an_ingress_is_edited_in_place_and_is_as_it_was_afterwards(shop: Space) -> None:
    host = shop.host("edited")
    shop.http01("editing", {"ingress": {"name": "edited-0"}})
    shop.serve("edited", host)
    rules = (shop.cluster.get("Ingress", shop.namespace, "edited-0") or {})["spec"]["rules"]
    before = so_far(shop)
    shop.apply("edited", host, issuer_name="editing")
    shop.ready("edited")
    assert shop.verified(host) == {host}
    assert made_since(shop, before) == {"Pod": 1, "Service": 1, "Ingress": 0, "HTTPRoute": 0, "EndpointSlice": 0}
    shop.cluster.wait_for(
        "the Ingress still has rules of the solver",
        lambda: shop.cluster.get("Ingress", shop.namespace, "edited-0"),
        lambda found: bool(found["spec"]["rules"] == rules),
    )
    shop.nothing_left()


def test_twenty_names_by_http_routes_have_two_routes_and_one_pod(shop: Space) -> None:
    hosts, before = [shop.host(f"routed{number}") for number in range(MANY)], so_far(shop)
    shop.http01("routes", ROUTE)
    shop.serve("routed", hosts[0])
    shop.apply("routed", *hosts, issuer_name="routes")
    shop.ready("routed")
    assert shop.verified(hosts[0]) == set(hosts)
    routes = -(-MANY // PER_ROUTE)
    assert made_since(shop, before) == {"Pod": 1, "Service": 1, "Ingress": 0, "HTTPRoute": routes, "EndpointSlice": 0}
    shop.nothing_left()


@pytest.mark.parametrize(("name", "route"), [("shared", INGRESS), ("shared-routed", ROUTE)])
def test_the_operator_itself_answers_and_there_is_no_pod(shop: Space, name: str, route: dict[str, Any]) -> None:
    hosts, before = [shop.host(f"{name}{number}") for number in range(3)], so_far(shop)
    shop.http01(name, route, responder="shared")
    shop.serve(name, hosts[0])
    shop.apply(name, *hosts, issuer_name=name)
    shop.ready(name)
    assert shop.verified(hosts[0]) == set(hosts)
    made = made_since(shop, before)
    assert (made["Pod"], made["Service"], made["EndpointSlice"]) == (0, 1, 1)
    assert made["Ingress"] + made["HTTPRoute"] == 1
    shop.nothing_left()


@pytest.mark.parametrize("responder", ["pod", "shared"])
def test_without_a_self_check_the_route_is_given_its_time(shop: Space, responder: str) -> None:
    name = f"unchecked-{responder}"
    shop.http01(name, responder=responder, selfCheck="off")
    shop.apply(name, shop.host(name), issuer_name=name)
    # On a busy machine the first validation may come too early all the same; the next try is a minute later.
    found = shop.ready(name, seconds=150)
    assert found["status"]["revision"] == 1
    shop.nothing_left()


def test_a_wildcard_goes_by_dns_and_the_names_beside_it_by_http(shop: Space) -> None:
    # Of certificates that fit Traefik shows the one whose names come last: the Gateway's is for *.example.test.
    wildcard, host, before = f"*.{shop.host('wild')}", shop.host("beside"), so_far(shop)
    shop.cluster.apply(tsig_secret(shop.bed, shop.namespace))
    [dns01] = issuer(shop.bed, shop.namespace)["spec"]["acme"]["solvers"]
    shop.add_issuer("mixed", {"http01": INGRESS}, {**dns01, "selector": {"dnsNames": [wildcard]}})
    some = wildcard.replace("*", "some")
    shop.serve("mixed", host, some)
    shop.apply("mixed", wildcard, host, issuer_name="mixed")
    shop.ready("mixed")
    assert shop.verified(host) == shop.verified(some) == {wildcard, host}
    assert made_since(shop, before)["Pod"] == 1
    shop.nothing_left()
    assert not [name for name in shop.bed.bind.txt_records("example.test") if name.endswith(shop.host("wild"))]


def test_certificates_for_one_name_at_once_do_not_get_in_each_others_way(shop: Space) -> None:
    """Two of each kind of solver, and so of each account: their files have the same host, and rules in one Ingress."""
    host = shop.host("same")
    shop.serve("same", host)
    rules = (shop.cluster.get("Ingress", shop.namespace, "same-0") or {})["spec"]["rules"]
    shop.http01("same-pod")
    shop.http01("same-shared", responder="shared")
    shop.http01("same-edit", {"ingress": {"name": "same-0"}})
    wanted = {f"{kind}-{number}": kind for kind in ("same-pod", "same-shared", "same-edit") for number in "12"}
    for name, issuer_name in wanted.items():
        shop.apply(name, host, issuer_name=issuer_name)
    for name in wanted:
        found = shop.ready(name, seconds=120)
        assert found["status"]["revision"] == 1
    shop.nothing_left()
    assert (shop.cluster.get("Ingress", shop.namespace, "same-0") or {})["spec"]["rules"] == rules


def test_twenty_certificates_at_once(shop: Space) -> None:
    names, before = [f"at-once-{number}" for number in range(MANY)], so_far(shop)
    shop.http01()
    for name in names:
        shop.apply(name, shop.host(name))
    for name in names:
        shop.ready(name)
    shop.serve(names[-1], shop.host(names[-1]))
    assert shop.verified(shop.host(names[-1])) == {shop.host(names[-1])}
    assert made_since(shop, before) == {kind: MANY if kind in {"Pod", "Service", "Ingress"} else 0 for kind in before}
    shop.nothing_left()
