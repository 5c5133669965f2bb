"""Two replicas on the node: whatever becomes of the leader, the other goes on with its order."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from harness.cluster import SECONDS
from scenarios.installed import VALUES, Release
from scenarios.replicas import Replicas, container
from testbed.network import KUBERNETES_SERVICE
from testbed.process import ProcessIdentity, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Workspace
    from harness.cluster import Cluster, Object
    from scenarios.one_order import WatchedCA
    from testbed import TestBed

LEASE_SECONDS: Final = 9.0
EXIT_LEADERSHIP_LOST: Final = 75
LOST: Final = "takes no further action: the lease is lost: it could not be renewed within 6 s"
EVICTED: Final = 201
KEPT: Final = 429


@pytest.fixture(scope="module")
def replicas(node_bed: TestBed, cluster: Cluster, team: str) -> Iterator[Replicas]:
    """Two replicas, which serve one namespace."""
    home = f"handover-{secrets.token_hex(4)}"
    release = Release(node_bed, namespace=home, values={**VALUES, "namespaces": [team], "replicas": 2})
    release.install()
    yield Replicas(release, cluster)
    release.uninstall()
    cluster.delete("Namespace", None, home)


@pytest.fixture(scope="module")
def workspace(replicas: Replicas, watched: WatchedCA, team: str) -> Workspace:
    replicas.wait(2)
    return watched.workspace(team)


def test_both_are_ready_and_a_leader_killed_in_an_order_is_followed_by_the_other(
    node_bed: TestBed, replicas: Replicas, watched: WatchedCA, workspace: Workspace, show: Callable[[str], None]
) -> None:
    leader, follower = replicas.wait(2)
    assert replicas.lease()["holderIdentity"] == leader["metadata"]["name"]
    order = watched.begin(workspace, "killed")
    (process,) = node_bed.node.processes_of(container(leader)["containerID"])
    began = time.monotonic()
    os.kill(process, signal.SIGKILL)
    led = replicas.seconds_to_lead(follower, began)
    order.assert_issued()
    show(f"kill -9 of the leader: the other led {led:.1f} s later, Ready {time.monotonic() - began:.1f} s later")
    back, _ = sorted(replicas.wait(2), key=lambda pod: pod["metadata"]["uid"] != leader["metadata"]["uid"])
    assert back["metadata"]["uid"] == leader["metadata"]["uid"]
    assert container(back)["restartCount"] == container(leader)["restartCount"] + 1


def test_a_leader_that_is_deleted_by_force_is_followed_by_another(
    node_bed: TestBed, replicas: Replicas, watched: WatchedCA, workspace: Workspace, show: Callable[[str], None]
) -> None:
    leader, _ = replicas.wait(2)
    order = watched.begin(workspace, "deleted")
    began = time.monotonic()
    name, home = leader["metadata"]["name"], replicas.release.namespace
    node_bed.kubectl("delete", "pod", name, f"--namespace={home}", "--force", "--grace-period=0", "--wait=false")
    # Its successor is there within a second, and may be the first to see that the lease was given back.
    led = replicas.seconds_until_another_leads(leader, began)
    order.assert_issued()
    show(f"forced deletion of the leader: another led {led:.1f} s later, Ready {time.monotonic() - began:.1f} s later")


def test_a_leader_that_is_cut_off_from_the_api_server_stops_before_its_lease_ends(
    node_bed: TestBed,
    cluster: Cluster,
    replicas: Replicas,
    watched: WatchedCA,
    workspace: Workspace,
    *,
    show: Callable[[str], None],
) -> None:
    leader, follower = replicas.wait(2)
    order = watched.begin(workspace, "cut-off")
    (process,) = node_bed.node.processes_of(container(leader)["containerID"])
    with cut_off(node_bed, leader["status"]["podIP"]):
        began = time.monotonic()
        # One that was under way may have come through; the end is never earlier than this.
        ends = dt.datetime.fromisoformat(replicas.lease()["renewTime"]) + dt.timedelta(seconds=LEASE_SECONDS)
        assert wait_until(lambda: ProcessIdentity.of(process) is None, timeout=SECONDS)
        led = replicas.seconds_to_lead(follower, began)
        cluster.wait_for(
            f"it did not end with status {EXIT_LEADERSHIP_LOST}",
            lambda: cluster.get("Pod", replicas.release.namespace, leader["metadata"]["name"]),
            lambda pod: EXIT_LEADERSHIP_LOST in exit_codes(pod),
        )
        order.assert_issued()
    assert dt.datetime.fromisoformat(replicas.lease()["acquireTime"]) >= ends, "the other waited for the lease's end"
    [said] = [line for line in container_log(node_bed, leader).splitlines() if LOST in line]
    left = (ends - dt.datetime.fromisoformat(said.partition(" ")[0])).total_seconds()
    show(f"leader cut off: its work ended {left:.1f} s before its lease, the other led {led:.1f} s after the cut")
    assert left > 0
    replicas.wait(2)


def test_restarting_the_rollout_loses_nothing(
    node_bed: TestBed, replicas: Replicas, watched: WatchedCA, workspace: Workspace, show: Callable[[str], None]
) -> None:
    before = {pod["metadata"]["uid"] for pod in replicas.wait(2)}
    order = watched.begin(workspace, "restarted")
    deployment = (f"deployment/{replicas.release.name}", f"--namespace={replicas.release.namespace}")
    began = time.monotonic()
    node_bed.kubectl("rollout", "restart", *deployment)
    node_bed.kubectl("rollout", "status", *deployment, "--timeout=240s")
    rolled = time.monotonic() - began
    leader, follower = replicas.wait(2)
    assert before.isdisjoint({leader["metadata"]["uid"], follower["metadata"]["uid"]})
    order.assert_issued()
    show(f"rollout restart of two replicas: {rolled:.1f} s, Ready {time.monotonic() - began:.1f} s after its beginning")


def test_the_budget_lets_one_pod_go_at_a_time(
    replicas: Replicas, watched: WatchedCA, workspace: Workspace, show: Callable[[str], None]
) -> None:
    leader, follower = replicas.wait(2)
    replicas.wait_for_budget()
    order = watched.begin(workspace, "evicted")
    began = time.monotonic()
    assert replicas.evict(leader) == EVICTED
    assert replicas.evict(follower) == KEPT
    led = replicas.seconds_until_another_leads(leader, began)
    order.assert_issued()
    show(f"eviction of the leader: another led {led:.1f} s later")
    replicas.wait(2)


def exit_codes(pod: Object) -> list[int]:
    """Return how a pod's container ended last."""
    states = (container(pod)["state"], container(pod)["lastState"])
    return [state["terminated"]["exitCode"] for state in states if "terminated" in state]


def container_log(bed: TestBed, pod: Object) -> str:
    """Return what the container said that a pod had when it was looked at, whatever became of it."""
    metadata = pod["metadata"]
    folder = bed.node.pod_logs / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
    return (folder / "certwright" / f"{container(pod)['restartCount']}.log").read_text()


@contextmanager
def cut_off(bed: TestBed, address: str) -> Iterator[None]:
    """Drop all that a pod sends to the API server, and nothing else; the kubelet and the CA are reached as before."""
    table = f"cut-off-{secrets.token_hex(3)}"
    # Before kube-proxy's rules turn the Service's address into that of the API server.
    rules = f"""
        table ip {table} {{
            chain from-pod {{
                type filter hook prerouting priority raw
                ip saddr {address} ip daddr {KUBERNETES_SERVICE} drop
                ip saddr {address} ip daddr {bed.node.address} tcp dport {bed.apiserver.ports["main"]} drop
            }}
        }}"""
    subprocess.run([bed.programs["nft"], "-f", "-"], input=rules, text=True, check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run([bed.programs["nft"], "delete", "table", "ip", table], check=True, timeout=10)
