"""Why a file is not served: what the solver's own objects say. Pure, but for reading them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from certwright.solvers.http01.program import PORT
from certwright.solvers.http01.settings import GatewayRoute, IngressRoute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from certwright.solvers.http01.objects import Objects
    from certwright.solvers.http01.settings import Owner

MAX_WORDS: Final = 300
OVER: Final = frozenset({"Failed", "Succeeded"})
GATEWAY_TIMEOUTS: Final = frozenset({502, 503, 504})
WAITING_REASONS: Final = {
    "ErrImagePull": "its image cannot be pulled",
    "ImagePullBackOff": "its image cannot be pulled",
    "ErrImageNeverPull": "its image is not on the node, and imagePullPolicy is Never",
    "InvalidImageName": "its image has no valid name",
    "CreateContainerConfigError": "its container cannot be made",
    "CreateContainerError": "its container cannot be made",
    "RunContainerError": "its container cannot be started",
    "CrashLoopBackOff": "its container ends again and again",
}


def pod_trouble(pod: Mapping[str, Any] | None) -> str:
    """Say what is wrong with the solver pod; an empty text if it runs, or has only just been made."""
    if pod is None:
        return "the solver pod is gone; it is made again"
    status: Mapping[str, Any] = pod.get("status") or {}
    name = pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp"):
        return f"the solver pod {name} is being removed{_why_it_ends(status)}; it is made again"
    if status.get("phase") in OVER:
        what = "has failed" if status["phase"] == "Failed" else "has ended"
        return f"the solver pod {name} {what}{_why_it_ends(status)}; it is made again"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"the solver pod {name} cannot be placed on a node: {_words(condition.get('message'))}"
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason in WAITING_REASONS:
            said = _words(waiting.get("message") or reason)
            return f"the solver pod {name} does not start: {WAITING_REASONS[reason]} ({said})"
    if status.get("phase") in {None, "Pending"} and not status.get("containerStatuses"):
        scheduled = any(one.get("type") == "PodScheduled" for one in status.get("conditions") or ())
        what = "has a node, whose kubelet has not started it" if scheduled else "has not been given a node"
        return f"the solver pod {name} {what} yet"
    if status.get("phase") == "Pending":
        return f"the solver pod {name} is being started"
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
    wanted = route.class_name
    if wanted is not None and await objects.is_missing("IngressClass", None, wanted):
        return f"there is no IngressClass {wanted} in the cluster, so no controller serves the Ingress {names[0]}"
    if route.edit is not None and await objects.read("Ingress", owner.namespace, route.edit) is None:
        return f"the Ingress {route.edit}, which the issuer names, is gone"
    if wanted is None and route.class_annotation is None and route.edit is None:
        made = await objects.read("Ingress", owner.namespace, names[0])
        if made is not None and not (made.get("spec") or {}).get("ingressClassName"):
            return (
                f"the Ingress {names[0]} has no class, as the issuer names none and the cluster has no default: "
                "give the solver an ingressClassName"
            )
    return ""


def http_route_trouble(route: Mapping[str, Any] | None) -> str:
    """Say why Gateways do not serve an HTTPRoute, by what their controllers wrote into its status."""
    if route is None:
        return "the solver's HTTPRoute is gone; it is made again"
    name = route["metadata"]["name"]
    parents: Iterable[Mapping[str, Any]] = (route.get("status") or {}).get("parents") or ()
    for parent in parents:
        for condition in parent.get("conditions") or ():
            if condition.get("status") == "False":
                gateway = (parent.get("parentRef") or {}).get("name")
                said = _words(f"{condition.get('type')}: {condition.get('reason')}", condition.get("message"))
                return f"the Gateway {gateway} does not serve the HTTPRoute {name} ({said})"
    if not parents:
        return f"no Gateway has taken up the HTTPRoute {name}: see whether the issuer's parentRefs are right"
    return ""


async def _gateway_missing(objects: Objects, owner: Owner, route: GatewayRoute) -> str:
    for parent in route.parent_refs:
        if parent.get("kind", "Gateway") != "Gateway":
            continue
        namespace = parent.get("namespace") or owner.namespace
        if await objects.is_missing("Gateway", namespace, parent["name"]):
            return f"there is no Gateway {namespace}/{parent['name']}, which the issuer's parentRefs name"
    return ""


async def policy_trouble(
    objects: Objects, owner: Owner, labels: Mapping[str, str], statuses: Iterable[int | None]
) -> str:
    """Name the NetworkPolicies that may keep requests from the solver pod, if what was seen looks like it."""
    if not any(status is None or status in GATEWAY_TIMEOUTS for status in statuses):
        return ""
    blocking = [
        policy["metadata"]["name"]
        for policy in await objects.network_policies(owner.namespace)
        if restricts(policy, labels)
    ]
    if not blocking:
        return ""
    return (
        f"the NetworkPolicy {', '.join(blocking[:3])} selects the solver pod and may keep the ingress controller from "
        f"its port {PORT}: allow it"
    )


def restricts(policy: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a NetworkPolicy selects a pod with these labels and does not let everybody in to the solver's port."""
    spec: Mapping[str, Any] = policy.get("spec") or {}
    if "Ingress" not in (spec.get("policyTypes") or ["Ingress"]):
        return False
    if not _selects(spec.get("podSelector") or {}, labels):
        return False
    return not any(not rule.get("from") and _allows_port(rule.get("ports") or ()) for rule in spec.get("ingress") or ())


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(expression, labels) for expression in selector.get("matchExpressions") or ())


def _meets(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression.get("operator"):
        case "In":
            return value in (expression.get("values") or ())
        case "NotIn":
            return value not in (expression.get("values") or ())
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return True


def _allows_port(ports: Iterable[Mapping[str, Any]]) -> bool:
    listed = list(ports)
    return not listed or any(
        port.get("port") in {None, PORT, "http"} or _within(port.get("port"), port.get("endPort")) for port in listed
    )


def _within(first: object, last: object) -> bool:
    return isinstance(first, int) and isinstance(last, int) and first <= PORT <= last


def _words(*parts: object) -> str:
    return ": ".join(str(part).strip() for part in parts if part)[:MAX_WORDS]
