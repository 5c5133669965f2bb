"""The image on the node: the operator as a restricted pod, from nothing to Ready."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from testbed.images import CERTWRIGHT, certwright_image
from testbed.progress import reporter
from testbed.web import fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.cluster import Cluster
    from testbed import TestBed

# A busy machine takes minutes to unpack an image.
pytestmark = pytest.mark.timeout(420)

HTTP_PORT = 8080
NAME = "operator"


def operator_pod(namespace: str) -> dict[str, Any]:
    probe = {"port": HTTP_PORT}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "serviceAccountName": NAME,
            "terminationGracePeriodSeconds": 40,
            "containers": [
                {
                    # Neither command nor user nor environment: the image knows them.
                    "name": NAME,
                    "image": CERTWRIGHT,
                    "imagePullPolicy": "Never",
                    "env": [{"name": "CERTWRIGHT_OPERATOR_NAMESPACE", "value": namespace}],
                    "readinessProbe": {"httpGet": {"path": "/readyz", **probe}, "periodSeconds": 1},
                    "livenessProbe": {"httpGet": {"path": "/healthz", **probe}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }
            ],
        },
    }


@pytest.fixture
def _account(node_bed: TestBed, namespace: str) -> Iterator[None]:
    """The pod's service account, which may do everything: least rights are the chart's subject."""
    node_bed.kubectl("create", "serviceaccount", NAME, f"--namespace={namespace}")
    subject = f"--serviceaccount={namespace}:{NAME}"
    node_bed.kubectl("create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin", subject)
    yield
    node_bed.kubectl("delete", "clusterrolebinding", namespace)


@pytest.mark.usefixtures("_account")
def test_the_operator_is_ready_as_a_restricted_pod(
    node_bed: TestBed, cluster: Cluster, namespace: str, show: Callable[[str], None]
) -> None:
    began = time.monotonic()
    node_bed.node.load_image(certwright_image(reporter()))
    show(f"image imported in {time.monotonic() - began:.1f} s")
    cluster.apply(operator_pod(namespace))
    pod = cluster.wait_condition("Pod", namespace, NAME, "Ready", "True")
    (status,) = pod["status"]["containerStatuses"]
    assert status["restartCount"] == 0
    began_at = datetime.fromisoformat(status["state"]["running"]["startedAt"])
    ready = next(found for found in pod["status"]["conditions"] if found["type"] == "Ready")
    ready_at = datetime.fromisoformat(ready["lastTransitionTime"])
    address = f"http://{pod['status']['podIP']}:{HTTP_PORT}"
    metrics = fetch(f"{address}/metrics").body.decode()
    resident = next(
        float(line.split()[1]) for line in metrics.splitlines() if line.startswith("process_resident_memory_bytes ")
    )
    show(f"Ready {(ready_at - began_at).total_seconds():.0f} s after the container's start, {resident / 1e6:.0f} MB")
    assert fetch(f"{address}/healthz").status == 200
    node_bed.kubectl("delete", "pod", NAME, f"--namespace={namespace}", "--timeout=80s")
