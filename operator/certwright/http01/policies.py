"""Which NetworkPolicies may keep the ingress controller from the solver pod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.http01.program import PORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.http01.objects import Objects
    from certwright.http01.settings import Owner

GATEWAY_TIMEOUTS: Final = frozenset({502, 503, 504})
"""What a controller says that has the route and does not reach what is behind it."""


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
        f"its port {PORT}; allow it"
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
