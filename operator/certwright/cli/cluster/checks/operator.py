"""The operator: its Lease, and its pods."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.cluster.checks.result import Level, Result
from certwright.cli.cluster.connection import CORE
from certwright.cli.cluster.human import relative
from certwright.cli.cluster.views import list_at, text_at, time_at
from certwright.kube.claims import NAMESPACES_ANNOTATION, OPERATOR_LABEL, Scope
from certwright.kube.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.cli.cluster.connection import Session

LEASES: Final = "/apis/coordination.k8s.io/v1"
POD_LABELS: Final = "app.kubernetes.io/name=certwright"
DEFAULT_PLACE: Final = "certwright"
"""The namespace, the Lease and the service account of an installation with the chart's defaults."""
SERVES_CERT_MANAGER: Final = ("CERTWRIGHT_SERVE_CERT_MANAGER_OBJECTS", "true")
"""The variable of its pods for objects of cert-manager."""
MAX_RELEASES: Final = 50
RENEWED_WITHIN: Final = dt.timedelta(seconds=20)
SECOND_LOOK: Final = 6.0
"""Seconds: each leader renews its Lease in less."""


@dataclass(frozen=True)
class Operator:
    """A release of the operator.

    Attributes:
        namespace: Where it runs.
        service_account: Who it is.
        is_known: Whether its pods say so; else it is what the chart has by default.
        serves_cert_manager: Whether its pods say that they serve objects of cert-manager.
    """

    namespace: str
    service_account: str = DEFAULT_PLACE
    is_known: bool = False
    serves_cert_manager: bool = False


async def check_operator(connected: Session, namespace: str | None) -> tuple[list[Result], Operator]:
    """Tell whether the operator runs and leads.

    Args:
        connected: The API server.
        namespace: Where it runs; None to look for it.

    Returns:
        What was found, and the operator as far as it is known.
    """
    leases = await _leases(connected, namespace)
    if leases is None:
        place = namespace or DEFAULT_PLACE
        results = [Result("warn", "operator", f"you may not read Leases in {namespace or 'the cluster'}: not checked")]
    elif not leases:
        place = namespace or DEFAULT_PLACE
        results = [Result("fail", "operator", "no release has a Lease: the operator is not installed, or never ran")]
    else:
        mine = [one for one in leases if _scope(one).serves(connected.namespace)]
        place = text_at((mine or leases)[0], "metadata", "namespace")
        results = [await _check_lease(connected, one) for one in leases[:MAX_RELEASES]]
        if not mine:
            results.append(
                Result(
                    "fail",
                    "operator",
                    f"no release serves the namespace {connected.namespace}: see the value namespaces",
                )
            )
    pods, account, serves = await _pods(connected, place)
    operator = Operator(place, account or DEFAULT_PLACE, is_known=bool(account), serves_cert_manager=serves)
    return [*results, *pods], operator


async def _leases(connected: Session, namespace: str | None) -> list[dict[str, Any]] | None:
    try:
        found = await connected.list_all("leases", namespace, root=LEASES, labels=OPERATOR_LABEL, most=MAX_RELEASES)
    except Forbidden:
        if namespace is not None:
            return None
        return await _leases(connected, DEFAULT_PLACE)
    return found.items


def _scope(lease: Mapping[str, Any]) -> Scope:
    return Scope.parse(text_at(lease, "metadata", "annotations", NAMESPACES_ANNOTATION, limit=32768))


async def _check_lease(connected: Session, lease: Mapping[str, Any]) -> Result:
    namespace, name = text_at(lease, "metadata", "namespace"), text_at(lease, "metadata", "name")
    what, holder = f"operator in {namespace}", text_at(lease, "spec", "holderIdentity")
    if not holder:
        return Result("fail", what, f"Lease {name} has no holder: the operator is not running")
    now, renewed = dt.datetime.now(dt.UTC), time_at(lease, "spec", "renewTime")
    serves = f"serves {_scope(lease).shown.replace('*', 'all namespaces')}"
    if renewed is not None and abs(now - renewed) <= RENEWED_WITHIN:
        return Result("pass", what, f"{holder} leads, {serves}")
    # Its clock may differ from this one: whether the Lease is renewed shows at a second look.
    await asyncio.sleep(SECOND_LOOK)
    again = await connected.read("leases", namespace, name, root=LEASES)
    if again is not None and text_at(again, "spec", "renewTime") != text_at(lease, "spec", "renewTime"):
        return Result(
            "warn",
            what,
            f"{holder} leads, but its clock and this one differ: its Lease was renewed {relative(renewed, now)}",
        )
    return Result(
        "fail", what, f"Lease {name} of {holder} was last renewed {relative(renewed, now)}: the operator is not running"
    )


async def _pods(connected: Session, namespace: str) -> tuple[list[Result], str, bool]:
    try:
        found = await connected.list_all("pods", namespace, root=CORE, labels=POD_LABELS, most=MAX_RELEASES)
    except (Forbidden, NotFound):
        return [Result("warn", "pods", f"you may not list pods in {namespace}: not checked")], "", False
    if not found.items:
        return (
            [
                Result(
                    "warn", "pods", f"none with the label {POD_LABELS} in {namespace}: does the operator run elsewhere?"
                )
            ],
            "",
            False,
        )
    account = text_at(found.items[0], "spec", "serviceAccountName")
    return [_check_pods(found.items, namespace)], account, _serves_cert_manager(found.items[0])


def _serves_cert_manager(pod: Mapping[str, Any]) -> bool:
    variables = [one for container in list_at(pod, "spec", "containers") for one in list_at(container, "env")]
    return any((text_at(one, "name"), text_at(one, "value")) == SERVES_CERT_MANAGER for one in variables)


def _check_pods(pods: Sequence[Mapping[str, Any]], namespace: str) -> Result:
    unready = [one for one in pods if not _is_ready(one)]
    if not unready:
        images = sorted(
            {text_at(container, "image") for one in pods for container in list_at(one, "spec", "containers")}
        )
        return Result("pass", "pods", f"{len(pods)} ready in {namespace}, image {', '.join(images)}")
    first = unready[0]
    why = next(
        (
            text_at(one, "state", "waiting", "reason")
            for one in list_at(first, "status", "containerStatuses")
            if text_at(one, "state", "waiting", "reason")
        ),
        text_at(first, "status", "phase"),
    )
    level: Level = "fail" if len(unready) == len(pods) else "warn"
    return Result(
        level,
        "pods",
        f"{len(unready)} of {len(pods)} in {namespace} not ready: {text_at(first, 'metadata', 'name')} ({why})",
    )


def _is_ready(pod: Mapping[str, Any]) -> bool:
    return any(
        text_at(one, "type") == "Ready" and text_at(one, "status") == "True"
        for one in list_at(pod, "status", "conditions")
    )
