"""The pods of a release: which of them leads, and how to end them."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.cluster import SECONDS, conditions
from scenarios.installed import LABELS
from testbed.web import fetch

if TYPE_CHECKING:
    from harness.cluster import Cluster, Object
    from scenarios.installed import Release

METRICS_PORT: Final = 8080
LOOK_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Replicas:
    """The operator's pods.

    Attributes:
        release: They belong to.
        cluster: Where they run.
    """

    release: Release
    cluster: Cluster

    def pods(self) -> list[Object]:
        """Return the operator's pods that are not about to end."""
        wanted = (LABELS | {"app.kubernetes.io/instance": self.release.name}).items()
        found = self.cluster.find_all("Pod", self.release.namespace)
        ours = [pod for pod in found if wanted <= pod["metadata"].get("labels", {}).items()]
        return [pod for pod in ours if "deletionTimestamp" not in pod["metadata"]]

    def wait(self, number: int) -> list[Object]:
        """Wait until there are this many pods, all of them Ready, and one of them leads; return that one first."""

        def look() -> Object:
            pods = self.pods()
            ready = [pod for pod in pods if is_ready(pod)]
            leaders = [pod for pod in ready if leads(pod)]
            return {"status": {"pods": len(pods), "ready": len(ready), "leaders": len(leaders)}, "found": ready}

        wanted = {"pods": number, "ready": number, "leaders": 1}
        found = self.cluster.wait_for(f"not {wanted}", look, lambda seen: bool(seen["status"] == wanted))["found"]
        return sorted(found, key=leads, reverse=True)

    def lease(self) -> dict[str, Any]:
        """Return the Lease's spec."""
        found = self.cluster.get("Lease", self.release.namespace, self.release.name)
        assert found is not None
        spec: dict[str, Any] = found.get("spec", {})
        return spec

    def seconds_to_lead(self, pod: Object, began: float) -> float:
        """Wait until a pod leads; return how many seconds have passed since `began`."""
        while not leads(pod):
            assert time.monotonic() - began < SECONDS, f"{pod['metadata']['name']} does not lead: {self.lease()}"
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def seconds_until_another_leads(self, pod: Object, began: float) -> float:
        """Wait until another pod than this one leads, which may be its replacement.

        Returns:
            How many seconds have passed since `began`.
        """
        while not any(leads(one) for one in self.pods() if one["metadata"]["uid"] != pod["metadata"]["uid"]):
            assert time.monotonic() - began < SECONDS, f"only {pod['metadata']['name']} leads: {self.lease()}"
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def wait_for_budget(self) -> None:
        """Wait until the budget lets a pod go: its controller counts pods a moment after they are Ready."""
        self.cluster.wait_for(
            "the budget lets no pod go",
            lambda: self.cluster.get("PodDisruptionBudget", self.release.namespace, self.release.name),
            lambda found: bool(found.get("status", {}).get("disruptionsAllowed", 0) > 0),
        )

    def evict(self, pod: Object) -> int:
        """Ask for the eviction of a pod, and return the status of the answer."""
        return self.cluster.evict(self.release.namespace, pod["metadata"]["name"])


def is_ready(pod: Object) -> bool:
    """Tell whether a pod is Ready."""
    return conditions(pod).get("Ready", {}).get("status") == "True"


def leads(pod: Object) -> bool:
    """Tell whether a pod reports that it leads; one that does not answer does not lead."""
    try:
        answer = fetch(f"http://{pod['status']['podIP']}:{METRICS_PORT}/metrics", timeout=LOOK_SECONDS)
    except (KeyError, OSError, http.client.HTTPException):  # without an address it has only just been made
        return False
    return "\ncertwright_leader 1.0\n" in answer.body.decode()


def container(pod: Object) -> Object:
    """Return the status of a pod's only container."""
    (status,) = pod["status"]["containerStatuses"]
    found: Object = status
    return found
