"""The only pod of a release ends in the middle of an order, in every way that a cluster has: the order goes on."""

from __future__ import annotations

import itertools
import secrets
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from scenarios.installed import VALUES, Release
from scenarios.replicas import Replicas, container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Workspace
    from harness.cluster import Cluster, Object
    from scenarios.one_order import WatchedCA
    from testbed import TestBed

EVICTED: Final = 201
SPARE: Final = 256 << 10
# Certificates a look: what the container has of files on its disk goes before the kernel ends it.
LOAD: Final = 20


@pytest.fixture(scope="module")
def replicas(node_bed: TestBed, cluster: Cluster, team: str) -> Iterator[Replicas]:
    """A single replica, as the chart has it, which serves one namespace."""
    home = f"ends-{secrets.token_hex(4)}"
    release = Release(node_bed, namespace=home, values={**VALUES, "namespaces": [team]})
    release.install()
    yield Replicas(release, cluster)
    release.uninstall()
    cluster.delete("Namespace", None, home)


@pytest.fixture(scope="module")
def workspace(replicas: Replicas, watched: WatchedCA, team: str) -> Workspace:
    replicas.wait(1)
    return watched.workspace(team)


def test_an_evicted_pod_is_replaced(
    replicas: Replicas, watched: WatchedCA, workspace: Workspace, show: Callable[[str], None]
) -> None:
    (pod,) = replicas.wait(1)
    order = watched.begin(workspace, "evicted")
    began = time.monotonic()
    assert replicas.evict(pod) == EVICTED
    (successor,) = replicas.wait(1)
    show(f"eviction of the only pod: another one leads {time.monotonic() - began:.1f} s later")
    assert successor["metadata"]["uid"] != pod["metadata"]["uid"]
    order.assert_issued()


def test_a_drained_node_gives_it_back_when_it_takes_pods_again(
    node_bed: TestBed, cluster: Cluster, replicas: Replicas, watched: WatchedCA, workspace: Workspace
) -> None:
    (pod,) = replicas.wait(1)
    order = watched.begin(workspace, "drained")
    with drained(node_bed):
        cluster.wait_gone("Pod", replicas.release.namespace, pod["metadata"]["name"])
        assert order.url == workspace.under_way("drained")["status"]["order"]["url"]
        # The lease is released, so the next replica leads at once.
        assert not replicas.lease().get("holderIdentity")
    replicas.wait(1)
    order.assert_issued()


def test_a_pod_that_ran_out_of_memory_starts_again(
    node_bed: TestBed, cluster: Cluster, replicas: Replicas, watched: WatchedCA, workspace: Workspace
) -> None:
    (pod,) = replicas.wait(1)
    order = watched.begin(workspace, "hungry")
    (process,) = node_bed.node.processes_of(container(pod)["containerID"])
    limit_memory(process)
    number = itertools.count()

    def after_more_work() -> Object | None:
        for _ in range(LOAD):
            name = f"load-{next(number)}"
            workspace.apply(name, f"{name}.example.test", issuerRef={"name": "none"})
        return cluster.get("Pod", replicas.release.namespace, pod["metadata"]["name"])

    cluster.wait_for(
        "the kernel does not end it",
        after_more_work,
        lambda found: container(found)["lastState"].get("terminated", {}).get("reason") == "OOMKilled",
    )
    (back,) = replicas.wait(1)
    assert back["metadata"]["uid"] == pod["metadata"]["uid"]
    order.assert_issued()


@contextmanager
def drained(bed: TestBed) -> Iterator[None]:
    """Take all pods from the node, and let it have them again afterwards."""
    options = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s")
    try:
        bed.kubectl("drain", bed.node.name, *options)
        yield
    finally:
        bed.kubectl("uncordon", bed.node.name)


def limit_memory(process: int) -> None:
    """Leave a process's container hardly more memory than it has now; a new one gets what its pod says."""
    for line in Path(f"/proc/{process}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            group = Path("/sys/fs/cgroup/memory") / path.lstrip("/")
            usage, limit = group / "memory.usage_in_bytes", group / "memory.limit_in_bytes"
            break
        if not controllers and Path("/sys/fs/cgroup/cgroup.controllers").exists():
            group = Path("/sys/fs/cgroup") / path.lstrip("/")
            usage, limit = group / "memory.current", group / "memory.max"
            break
    else:
        raise LookupError("the container has no cgroup that limits its memory")
    limit.write_text(str(int(usage.read_text()) + SPARE))
