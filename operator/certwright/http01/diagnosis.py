"""Finds out why a file is not served, by reading the presenter's own objects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from certwright.http01.policies import GATEWAY_TIMEOUTS
from certwright.http01.settings import GatewayRoute, IngressRoute, TlsRoute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from certwright.http01.objects import Objects
    from certwright.http01.self_check import HttpSighting
    from certwright.http01.settings import Owner

MAX_WORDS: Final = 300
MAX_ADDRESSES: Final = 3
AGAIN: Final = "; the operator creates it again"
"""The end of what is said of an object that is gone; whoever reads it does that."""
OVER: Final = frozenset({"Failed", "Succeeded"})
WAITING_REASONS: Final = {
    "ErrImagePull": "its image cannot be pulled",
    "ImagePullBackOff": "its image cannot be pulled",
    "ErrImageNeverPull": "its image is not on the node, and imagePullPolicy is Never",
    "InvalidImageName": "its image name is invalid",
    "CreateContainerConfigError": "its container cannot be created",
    "CreateContainerError": "its container cannot be created",
    "RunContainerError": "its container cannot be started",
    "CrashLoopBackOff": "its container keeps crashing",
}


def pod_trouble(pod: Mapping[str, Any] | None) -> str:
    """Say what is wrong with the solver pod; an empty text if it runs, or has only just been made."""
    if pod is None:
        return f"the solver pod no longer exists{AGAIN}"
    status: Mapping[str, Any] = pod.get("status") or {}
    name = pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp"):
        return f"the solver pod {name} is being removed{_why_it_ends(status)}{AGAIN}"
    if status.get("phase") in OVER:
        what = "has failed" if status["phase"] == "Failed" else "has ended"
        return f"the solver pod {name} {what}{_why_it_ends(status)}{AGAIN}"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"the solver pod {name} cannot be scheduled: {_words(condition.get('message'))}"
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason in WAITING_REASONS:
            said = _words(waiting.get("message") or reason)
            return f"the solver pod {name} does not start: {WAITING_REASONS[reason]} ({said})"
    if status.get("phase") in {None, "Pending"} and not status.get("containerStatuses"):
        scheduled = any(one.get("type") == "PodScheduled" for one in status.get("conditions") or ())
        what = "is scheduled, but the kubelet has not started it" if scheduled else "has not been scheduled"
        return f"the solver pod {name} {what} yet"
    if status.get("phase") == "Pending":
        return f"the solver pod {name} is being started"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") == "False":
            return f"the solver pod {name} is running, but not ready: {_words(condition.get('message'))}"
    return ""


def _why_it_ends(status: Mapping[str, Any]) -> str:
    """Why, as the kubelet, the eviction API, the scheduler or a controller wrote it down; they need not have."""
    if status.get("reason"):
        return f" ({_words(status['reason'], status.get('message'))})"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return f" ({_words(condition.get('reason'), condition.get('message'))})"
    return ""


def pod_must_be_made_again(pod: Mapping[str, Any] | None) -> bool:
    """Whether the pod is over (evicted, killed for memory, its node gone) and will not come back by itself."""
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return True
    return (pod.get("status") or {}).get("phase") in OVER


async def route_trouble(
    objects: Objects, owner: Owner, names: Sequence[str], route: IngressRoute | GatewayRoute
) -> str:
    """Say what is wrong with the way to the solver; an empty text if nothing is found."""
    if isinstance(route, GatewayRoute):
        routes = await asyncio.gather(*(objects.read("HTTPRoute", owner.namespace, name) for name in names))
        return next(filter(None, map(http_route_trouble, routes)), "") or await _gateway_missing(objects, owner, route)
    name = names[0]
    ingress = await objects.read("Ingress", owner.namespace, name)
    if ingress is None:
        if route.edit is not None:
            return f"the Ingress {name}, which the issuer names, no longer exists"
        return f"the Ingress {name} of the solver is gone{AGAIN}"
    wanted = _class_of(ingress)
    if wanted is None:
        if route.class_annotation is not None or route.edit is not None:
            return ""
        return (
            f"the Ingress {name} has no class, because the issuer names none and the cluster has no default: "
            "set the solver's ingressClassName"
        )
    if await objects.inspect("IngressClass", None, wanted) is None:
        return f"there is no IngressClass {wanted} in the cluster, so no controller serves the Ingress {name}"
    return ""


async def controller_trouble(
    objects: Objects, owner: Owner, name: str, route: IngressRoute | GatewayRoute, seen: Iterable[HttpSighting]
) -> str:
    """Say which controller should have answered, and where its own words are that it does, if another seems to have.

    Args:
        objects: The API server.
        owner: The Certificate.
        name: Of the Ingress.
        route: How requests get to the solver.
        seen: What was seen of the files that are missing.
    """
    if isinstance(route, GatewayRoute) or not any(_from_elsewhere(one) for one in seen):
        return ""
    ingress = await objects.read("Ingress", owner.namespace, name) or {}
    wanted = _class_of(ingress)
    if wanted is None:
        return ""
    found = await objects.inspect("IngressClass", None, wanted) or {}
    controller = (found.get("spec") or {}).get("controller")
    by = f"the class {wanted}" + (f", which is for the controller {controller}" if controller else "")
    if addresses := _addresses_in(ingress):
        return (
            f"the Ingress {name} is of {by}, and its status says that it is served at {addresses}: "
            "check that the domain points there"
        )
    return (
        f"the Ingress {name} is of {by}, and its status has no address: check that this controller is running, "
        "and that the domain points to it"
    )


def _class_of(ingress: Mapping[str, Any]) -> str | None:
    name: str | None = (ingress.get("spec") or {}).get("ingressClassName")
    return name


def _from_elsewhere(sighting: HttpSighting) -> bool:
    """Whether an answer looks as if it were not from a controller that has the route: it would say 502 or 503."""
    return not sighting.redirected and sighting.status not in GATEWAY_TIMEOUTS


def http_route_trouble(route: Mapping[str, Any] | None, *, kind: str = "HTTPRoute") -> str:
    """Say why Gateways do not serve an HTTPRoute, by what their controllers wrote into its status."""
    if route is None:
        return f"the solver's {kind} is gone{AGAIN}"
    name = route["metadata"]["name"]
    parents: Iterable[Mapping[str, Any]] = (route.get("status") or {}).get("parents") or ()
    for parent in parents:
        for condition in parent.get("conditions") or ():
            if condition.get("status") == "False":
                gateway = (parent.get("parentRef") or {}).get("name")
                said = _words(f"{condition.get('type')}: {condition.get('reason')}", condition.get("message"))
                return f"the Gateway {gateway} does not serve the {kind} {name} ({said})"
    if not parents:
        return f"no Gateway has accepted the {kind} {name}: check the issuer's parentRefs"
    return ""


async def tls_route_trouble(objects: Objects, owner: Owner, names: Sequence[str], route: object) -> str:
    """Say what is wrong with the TLSRoutes to the solver of tls-alpn-01; an empty text if nothing is found."""
    if not isinstance(route, TlsRoute):
        return ""
    found = await asyncio.gather(*(objects.read("TLSRoute", owner.namespace, name) for name in names))
    said = next(filter(None, (http_route_trouble(one, kind="TLSRoute") for one in found)), "")
    return said or await _gateway_missing(objects, owner, route)


def load_balancer_trouble(service: Mapping[str, Any]) -> str:
    """Say where the load balancer of a Service is, or that there is none; an empty text for another type of Service."""
    if (service.get("spec") or {}).get("type") != "LoadBalancer":
        return ""
    name = service["metadata"]["name"]
    if addresses := _addresses_in(service):
        return f"the load balancer of the Service {name} is at {addresses}: check that the domain points there"
    return (
        f"the Service {name} has no load balancer yet: check that the cluster provides them, and the solver's "
        "loadBalancerClass"
    )


def has_load_balancer(service: Mapping[str, Any]) -> bool:
    """Whether a Service of type LoadBalancer has one."""
    return bool(_addresses_in(service))


def _addresses_in(published: Mapping[str, Any]) -> str:
    """Return where the status of an Ingress or a Service says that it is served; an empty text for nowhere."""
    listed = ((published.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return _words(", ".join([str(one.get("ip") or one.get("hostname") or "") for one in listed][:MAX_ADDRESSES]))


async def _gateway_missing(objects: Objects, owner: Owner, route: GatewayRoute | TlsRoute) -> str:
    for parent in route.parent_refs:
        if parent.get("kind", "Gateway") != "Gateway":
            continue
        namespace = parent.get("namespace") or owner.namespace
        if await objects.inspect("Gateway", namespace, parent["name"]) is None:
            return f"the Gateway {namespace}/{parent['name']} in the issuer's parentRefs does not exist"
    return ""


def _words(*parts: object) -> str:
    return ": ".join(str(part).strip() for part in parts if part)[:MAX_WORDS]
