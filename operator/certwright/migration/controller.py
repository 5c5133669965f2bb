"""Stops cert-manager's controller (or, in mixed clusters, only its ACME part), and restores it."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.api import CONTROLLER_LEASE
from certwright.cert_manager.controller_flags import containers_of, controller_container
from certwright.cert_manager.spec import mapping
from certwright.kube.lease import LeaseRecord, Sighting
from certwright.migration.cluster import DEPLOYMENTS, LEASES
from certwright.migration.marks import ARGUMENTS, REPLICAS
from certwright.migration.progress import mark_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from certwright.migration.cluster import Cluster
    from certwright.migration.inventory import Inventory
    from certwright.migration.progress import Progress

    Edit = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]

CONTROLLERS: Final = "--controllers"
OF_ACME: Final = ("certificaterequests-issuer-acme", "orders", "challenges")
"""Those of its controllers that obtain certificates by ACME."""
SHIMS: Final = ("ingress-shim", "gateway-shim")
"""Those that make Certificates for annotated Ingresses and Gateways."""
LISTENER_SETS: Final = "--enable-gateway-api-listenerset"
"""The same for ListenerSets, which has no name that ``--controllers`` takes; the controller exits at unknown names."""
SHORTEST_LEASE: Final = 15.0
LONGEST_LEASE: Final = 3600.0
"""Seconds for which its Lease is honoured without a renewal, whatever it says of itself; it renews every 15."""


async def stop_controller(
    cluster: Cluster, inventory: Inventory, progress: Progress, *, keep: bool, keep_shims: bool = False
) -> str:
    """Keep cert-manager's controller from ACME; its webhook stays, as its objects cannot be changed without.

    Args:
        cluster: Where.
        inventory: Knows its Deployment.
        progress: Is told.
        keep: Whether it runs on, without its ACME controllers: for issuers that stay there.
        keep_shims: Whether it then goes on to make Certificates for annotated objects.

    Returns:
        What is in the way; empty if it is stopped.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    if inventory.controller is not None:
        if keep:
            off = (*OF_ACME, *(() if keep_shims else SHIMS))
            await _edit(cluster, inventory.controller, partial(_without, off=off))
            progress.tell(f"cert-manager's controller runs on without {', '.join(off)}")
            return await _wait_rolled_out(cluster, inventory.controller, progress)
        await _edit(cluster, inventory.controller, _scaled_down)
        progress.tell("cert-manager's controller is scaled to 0; its webhook keeps running")
    return await _wait_for_lease(cluster, inventory.flags.leader_election_namespace, progress)


async def restore_controller(cluster: Cluster, inventory: Inventory, progress: Progress) -> None:
    """Put cert-manager's controller back as it was. Raises `KubeError`."""
    if inventory.controller is None:
        return
    if any(mark_of(inventory.controller, mark) is not None for mark in (REPLICAS, ARGUMENTS)):
        await _edit(cluster, inventory.controller, _as_before)
        progress.tell("cert-manager's controller is as it was")


async def wait_running(cluster: Cluster, inventory: Inventory, progress: Progress) -> bool:
    """Wait until somebody renews the Lease of cert-manager's controller; tell whether that was in time.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    first: LeaseRecord | None = None
    async for _ in progress.looks():
        lease = await cluster.read(LEASES, inventory.flags.leader_election_namespace, CONTROLLER_LEASE)
        found = LeaseRecord.of(mapping(mapping(lease).get("spec")))
        if found.holder and first is not None and found != first:
            return True
        # One that was killed may have left it held.
        first = first or found
    return False


async def _edit(cluster: Cluster, deployment: Mapping[str, Any], edit: Edit) -> None:
    await cluster.edit(DEPLOYMENTS, deployment["metadata"]["namespace"], deployment["metadata"]["name"], edit)


def _scaled_down(deployment: Mapping[str, Any]) -> dict[str, Any] | None:
    replicas = mapping(deployment.get("spec")).get("replicas", 1)
    if replicas == 0:
        return None
    return {"metadata": {"annotations": {REPLICAS: str(replicas)}}, "spec": {"replicas": 0}}


def without_controllers(arguments: Sequence[str], off: Collection[str]) -> list[str]:
    """Return the arguments of cert-manager's controller with some of its controllers off, and all else as it was."""
    kept: list[str] = []
    named: list[str] = []
    remaining = list(arguments)
    while remaining:
        one = remaining.pop(0)
        name, has_value, value = one.partition("=")
        if name == CONTROLLERS:
            # As in its own program, a flag that is given again adds to its list.
            named += (value if has_value else remaining.pop(0) if remaining else "").split(",")
        elif name == LISTENER_SETS and not set(SHIMS).isdisjoint(off):
            kept.append(f"{LISTENER_SETS}=false")
        else:
            kept.append(one)
    named = [one.strip() for one in named if one.strip() and one.strip() not in off] or ["*"]
    lists = list(dict.fromkeys([*named, *(f"-{one}" for one in off)]))
    return [*kept, f"{CONTROLLERS}={','.join(lists)}"]


def _without(deployment: Mapping[str, Any], off: Collection[str]) -> dict[str, Any] | None:
    arguments = [str(one) for one in mapping(controller_container(deployment)).get("args") or ()]
    wanted = without_controllers(arguments, off)
    if wanted == arguments:
        return None
    # What it was before is known since the first time, however often this is repeated.
    before = mark_of(deployment, ARGUMENTS) or json.dumps(arguments)
    return {
        "metadata": {"annotations": {ARGUMENTS: before}},
        "spec": {"template": _template(deployment, wanted)},
    }


def _as_before(deployment: Mapping[str, Any]) -> dict[str, Any] | None:
    replicas, arguments = mark_of(deployment, REPLICAS), mark_of(deployment, ARGUMENTS)
    spec: dict[str, Any] = {}
    if replicas is not None and replicas.isdecimal():
        spec["replicas"] = int(replicas)
    if arguments is not None:
        spec["template"] = _template(deployment, json.loads(arguments))
    if not spec:
        return None
    return {"metadata": {"annotations": {REPLICAS: None, ARGUMENTS: None}}, "spec": spec}


def _template(deployment: Mapping[str, Any], arguments: list[str]) -> dict[str, Any]:
    """Return its pod with other arguments; all containers, as a merge patch replaces lists."""
    controller = controller_container(deployment)
    changed = [{**one, "args": arguments} if one is controller else one for one in containers_of(deployment)]
    return {"spec": {"containers": changed}}


async def _wait_for_lease(cluster: Cluster, namespace: str, progress: Progress) -> str:
    """Wait until nobody holds its Lease: it is given up, or was not renewed for as long as it lasts."""
    loop = asyncio.get_running_loop()
    seen = Sighting(LeaseRecord(), loop.time())
    async for _ in progress.looks():
        lease = await cluster.read(LEASES, namespace, CONTROLLER_LEASE)
        seen = seen.then(LeaseRecord.of(mapping(mapping(lease).get("spec"))), loop.time())
        if not seen.record.holder or loop.time() > seen.over_at(least=SHORTEST_LEASE, most=LONGEST_LEASE):
            return ""
    return (
        f"somebody still holds the Lease {namespace}/{CONTROLLER_LEASE}: another cert-manager runs, or something has "
        "scaled its Deployment up again (a GitOps tool?)"
    )


async def _wait_rolled_out(cluster: Cluster, deployment: Mapping[str, Any], progress: Progress) -> str:
    metadata = deployment["metadata"]
    async for _ in progress.looks():
        found = await cluster.counterpart(DEPLOYMENTS, deployment) or {}
        status, spec = mapping(found.get("status")), mapping(found.get("spec"))
        wanted = spec.get("replicas", 1)
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
        if status.get("observedGeneration") == found.get("metadata", {}).get("generation") and counts == [wanted] * 3:
            return ""
    return f"the Deployment {metadata['namespace']}/{metadata['name']} has not come up with its new arguments"
