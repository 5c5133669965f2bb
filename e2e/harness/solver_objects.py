"""The objects that the operator creates for HTTP-01: pods, Services, routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.cluster import Cluster, Object

LABEL: Final = "certwright.io/http01-solver"
KINDS: Final = ("Pod", "Service", "EndpointSlice", "Ingress")


def solver_objects(cluster: Cluster, namespace: str, kinds: Iterable[str] = KINDS) -> list[Object]:
    """Return all objects of solvers, except those that Kubernetes derives from a Service with its labels."""
    found = [one | {"kind": kind} for kind in kinds for one in cluster.find_all(kind, namespace)]
    return [
        one
        for one in found
        if (labels := one["metadata"].get("labels", {})).get(LABEL)
        and labels.get("endpointslice.kubernetes.io/managed-by") != "endpointslice-controller.k8s.io"
    ]


def wait_nothing_left(cluster: Cluster, namespace: str, kinds: Iterable[str] = KINDS) -> None:
    """Wait until no object of a solver is left.

    Raises:
        NotAsExpected: Something stayed; it is named.
    """

    def look() -> Object:
        left = solver_objects(cluster, namespace, kinds)
        return {"status": {"left": [f"{one['kind']} {one['metadata']['name']}" for one in left]}}

    cluster.wait_for("objects of solvers are left", look, lambda seen: seen["status"]["left"] == [])
