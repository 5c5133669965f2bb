from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.http01.diagnosis import (
    controller_trouble,
    http_route_trouble,
    pod_must_be_made_again,
    pod_trouble,
    route_trouble,
)
from certwright.http01.self_check import HttpSighting
from certwright.http01.settings import GatewayRoute, IngressRoute
from tests.fakes.http01 import file

if TYPE_CHECKING:
    from certwright.http01.settings import Owner
    from tests.fakes.http01 import FakeObjects


def pod(phase: str | None = None, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "cw-web"}, "status": {**({"phase": phase} if phase else {}), **status}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return pod("Pending", containerStatuses=[{"state": {"waiting": {"reason": reason, "message": message}}}])


LEAVING = {"metadata": {"name": "cw-web", "deletionTimestamp": "now"}, "status": {"phase": "Running"}}
EVICTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "evicting"}
UNPLACED = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Too many pods."}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (None, "the solver pod no longer exists"),
        (pod("Running"), ""),
        (pod("Failed", reason="Evicted", message="the node had no memory"), "has failed (Evicted: the node had no"),
        (pod("Failed"), "has failed; the operator creates it again"),
        (pod("Succeeded", reason="Evicted"), "has ended (Evicted); the operator creates it again"),
        (
            pod("Succeeded", conditions=[EVICTED]),
            "has ended (EvictionByEvictionAPI: evicting); the operator creates it again",
        ),
        (LEAVING, "the solver pod cw-web is being removed; the operator creates it again"),
        (
            {**LEAVING, "status": {"phase": "Running", "conditions": [EVICTED]}},
            "is being removed (EvictionByEvictionAPI: evicting); the operator creates it again",
        ),
        (
            pod("Pending", conditions=[UNPLACED]),
            "cannot be scheduled: 0/1 nodes are available: 1 Too many pods.",
        ),
        (waiting("ErrImagePull", "no such image"), "its image cannot be pulled (no such image)"),
        (waiting("ErrImageNeverPull"), "its image is not on the node, and imagePullPolicy is Never"),
        (waiting("CrashLoopBackOff", "back-off 10s"), "its container keeps crashing (back-off 10s)"),
        (waiting("ContainerCreating"), "is being started"),
        (pod("Pending"), "has not been scheduled yet"),
        (pod(), "has not been scheduled yet"),
        (pod("Pending", conditions=[{**UNPLACED, "status": "True"}]), "but the kubelet has not started it yet"),
    ],
)
def test_what_is_wrong_with_a_pod(seen: dict[str, Any] | None, words: str) -> None:
    assert words in pod_trouble(seen)
    assert bool(words) is bool(pod_trouble(seen))


@pytest.mark.parametrize(
    ("seen", "again"),
    [
        (None, True),
        (pod("Failed"), True),
        (pod("Succeeded"), True),
        (pod("Running"), False),
        (pod("Pending"), False),
        ({"metadata": {"name": "a", "deletionTimestamp": "now"}, "status": {"phase": "Running"}}, True),
    ],
)
def test_a_pod_that_is_over_is_made_again(seen: dict[str, Any] | None, *, again: bool) -> None:
    assert pod_must_be_made_again(seen) is again


def parent(status: str, reason: str = "NoMatchingParent") -> dict[str, Any]:
    condition = {"type": "Accepted", "status": status, "reason": reason, "message": "no listener"}
    return {"parentRef": {"name": "gateway"}, "conditions": [condition]}


@pytest.mark.parametrize(
    ("parents", "words"),
    [
        ([parent("True")], ""),
        (
            [parent("False")],
            "the Gateway gateway does not serve the HTTPRoute cw (Accepted: NoMatchingParent: no",
        ),
        ([], "no Gateway has accepted the HTTPRoute cw"),
    ],
)
def test_what_gateways_say_of_a_route(parents: list[dict[str, Any]], words: str) -> None:
    assert http_route_trouble({"metadata": {"name": "cw"}, "status": {"parents": parents}}).startswith(words)
    assert bool(words) is bool(http_route_trouble({"metadata": {"name": "cw"}, "status": {"parents": parents}}))


async def test_an_ingress_class_that_is_not_there_is_named(objects: FakeObjects, owner: Owner) -> None:
    objects.missing.add("nginx")
    objects.put("Ingress", "cw", spec={"ingressClassName": "nginx"})
    assert "there is no IngressClass nginx" in await route_trouble(objects, owner, ["cw"], IngressRoute("nginx"))
    objects.put("Ingress", "cw", spec={"ingressClassName": "other"})
    assert await route_trouble(objects, owner, ["cw"], IngressRoute("other")) == ""
    del objects.held["Ingress", "cw"]
    assert "cw of the solver is gone" in await route_trouble(objects, owner, ["cw"], IngressRoute("other"))


def sighting(status: int | None, *, redirected: bool = False) -> HttpSighting:
    return HttpSighting(file(), complete=False, seen="", status=status, redirected=redirected)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "has no address: check that this controller is running, and that the domain points to it"),
        ({"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}, {"hostname": "lb.test"}]}}, "at 192.0.2.7, lb.test: check"),
    ],
)
async def test_the_controller_that_should_have_answered_is_named(
    objects: FakeObjects, owner: Owner, status: dict[str, Any], words: str
) -> None:
    objects.put("Ingress", "cw", spec={"ingressClassName": "inner"}, status=status)
    objects.put("IngressClass", "inner", spec={"controller": "example.test/inner"})
    told = await controller_trouble(objects, owner, "cw", IngressRoute("inner"), [sighting(404)])
    assert "the Ingress cw is of the class inner, which is for the controller example.test/inner, and its" in told
    assert words in told


@pytest.mark.parametrize(
    "seen",
    [sighting(502), sighting(504), sighting(404, redirected=True)],
)
async def test_a_controller_that_seems_to_have_the_route_is_not_doubted(
    objects: FakeObjects, owner: Owner, seen: HttpSighting
) -> None:
    objects.put("Ingress", "cw", spec={"ingressClassName": "inner"})
    assert await controller_trouble(objects, owner, "cw", IngressRoute("inner"), [seen]) == ""
    assert objects.calls == []


async def test_of_a_class_that_may_not_be_read_the_name_is_told(objects: FakeObjects, owner: Owner) -> None:
    objects.put("Ingress", "cw", spec={"ingressClassName": "inner"})
    told = await controller_trouble(objects, owner, "cw", IngressRoute("inner"), [sighting(None)])
    assert told.startswith("the Ingress cw is of the class inner, and its status")
    objects.put("Ingress", "cw", spec={})
    assert await controller_trouble(objects, owner, "cw", IngressRoute(), [sighting(404)]) == ""


async def test_an_ingress_without_any_class_is_told(objects: FakeObjects, owner: Owner) -> None:
    objects.put("Ingress", "cw", spec={})
    assert "the cluster has no default" in await route_trouble(objects, owner, ["cw"], IngressRoute())
    objects.put("Ingress", "cw", spec={"ingressClassName": "default"})
    assert await route_trouble(objects, owner, ["cw"], IngressRoute()) == ""


async def test_an_edited_ingress_that_is_gone_is_told(objects: FakeObjects, owner: Owner) -> None:
    assert "Ingress shop-front, which the issuer names, no longer exists" in await route_trouble(
        objects, owner, ["shop-front"], IngressRoute(edit="shop-front")
    )


async def test_a_gateway_that_is_not_there_is_named(objects: FakeObjects, owner: Owner) -> None:
    route = GatewayRoute(({"name": "gateway", "namespace": "infra"},))
    assert "HTTPRoute is gone" in await route_trouble(objects, owner, ["cw"], route)
    objects.put("HTTPRoute", "cw", status={"parents": [parent("True")]})
    assert await route_trouble(objects, owner, ["cw"], route) == ""
    objects.missing.add("gateway")
    assert "the Gateway infra/gateway in the issuer's parentRefs does not exist" in await route_trouble(
        objects, owner, ["cw"], route
    )
