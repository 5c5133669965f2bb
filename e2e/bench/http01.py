"""What HTTP-01 costs on a node: seconds, requests, memory."""

from __future__ import annotations

import os
import secrets
import statistics
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.figure import Figure
from harness import certificate
from scenarios.space import INGRESS, Space
from testbed.parts.apiserver import ADMIN, user_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness import Cluster
    from scenarios.installed import Release
    from testbed import TestBed

SETTLE_SECONDS: Final = 6.0
MANY_SECONDS: Final = 300.0
KUBELET: Final = "kubelet"
SOLVER: Final = ("certwright", "solver")
POD: Final = "solver pod"
COLUMNS: Final = {"pod": POD, "shared": "shared responder"}
LATE: Final = {"ingress": {"ingressClassName": "of-nobody"}}


class Http01Bench:
    """Measures the operator that the chart installed.

    Args:
        bed: A bed with a node and the API server's audit log.
        cluster: The same, for applying.
        release: The operator, Ready.
    """

    def __init__(self, bed: TestBed, cluster: Cluster, release: Release) -> None:
        self._bed = bed
        self._cluster = cluster
        self._release = release

    def idle_memory(self) -> list[Figure]:
        """Memory of the operator's pod before there is any work."""
        time.sleep(SETTLE_SECONDS)
        return [Figure("Memory of the operator, idle", self._resident(), "MB", "process_resident_memory_bytes", POD)]

    def one_certificate(self, runs: int, responder: str) -> list[Figure]:
        """From the apply to a Ready condition, one after the other."""
        space = self._space(responder)
        seconds = []
        for number in range(runs):
            # Traefik applies a change at once and the next one two seconds later: let it settle before each run.
            time.sleep(SETTLE_SECONDS)
            name = f"single-{number}"
            began = time.perf_counter()
            space.apply(name, space.host(name))
            space.ready(name)
            seconds.append(time.perf_counter() - began)
        how, column = f"the client's clock, {SETTLE_SECONDS:g} s apart", COLUMNS[responder]
        what = f"One certificate, from apply to Ready, median of {runs}"
        return [
            Figure(what, round(statistics.median(seconds), 2), "s", how, column),
            Figure(f"The slowest of {runs}", round(max(seconds), 2), "s", how, column),
        ]

    def requests_of_one(self, responder: str) -> list[Figure]:
        """Requests to the API server, by its audit log: of the operator, the kubelet and all others."""
        space = self._space(responder)
        time.sleep(SETTLE_SECONDS)
        before = len(self._bed.apiserver.audit_events())
        space.apply("counted", space.host("counted"))
        space.ready("counted")
        space.nothing_left()
        time.sleep(SETTLE_SECONDS)
        events = self._bed.apiserver.audit_events()[before:]
        counted = [event for event in events if _counts(event, space.namespace)]
        ours = [event for event in counted if user_of(event) == self._release.service_account]
        kubelet = [event for event in counted if _who(event) == KUBELET]
        whole = ", ".join(f"{who} {number}" for who, number in Counter(map(_who, counted)).most_common())
        what, column = "API server requests for one certificate", COLUMNS[responder]
        return [
            Figure(f"{what}: the operator's", len(ours), "", _kinds(ours), column),
            Figure("including the kubelet's", len(ours) + len(kubelet), "", _kinds(kubelet), column),
            Figure("including all others", len(counted), "", whole, column),
        ]

    def solver_pod(self) -> list[Figure]:
        """A solver pod that has answered, kept by a route that no controller serves."""
        space = self._space("pod", LATE)
        space.apply("held", space.host("held"))
        pod = space.solver_pod()
        [pid] = _solver_processes()
        [log] = self._bed.node.pod_logs.glob(f"{space.namespace}_{pod['metadata']['name']}_*/solver/0.log")
        deadline = time.monotonic() + SETTLE_SECONDS
        while not (lines := log.read_text().splitlines()) and time.monotonic() < deadline:
            time.sleep(0.05)
        listening = datetime.fromisoformat(lines[0].partition(" ")[0]).timestamp()
        start_up, resident = listening - _started(pid), _status(pid, "VmRSS") * 1024 / 1e6
        space.cluster.delete("Certificate", space.namespace, "held")
        space.nothing_left()
        return [
            Figure("Memory of a solver pod", round(resident, 1), "MB", "VmRSS of its one process", POD),
            Figure("Start of a solver pod's process until it listens", round(start_up, 2), "s", "its log", POD),
        ]

    def many_certificates(self, count: int, responder: str) -> list[Figure]:
        """From the first apply until the last of many is Ready."""
        space = self._space(responder)
        cpu = self._release.metric("process_cpu_seconds_total")
        names = [f"many-{number}" for number in range(count)]
        began = time.perf_counter()
        for name in names:
            self._cluster.apply(certificate(space.namespace, name, [space.host(name)], issuer_name="http"))
        self._cluster.wait_all_ready("Certificate", space.namespace, names, seconds=MANY_SECONDS)
        seconds = time.perf_counter() - began
        used = self._release.metric("process_cpu_seconds_total") - cpu
        space.nothing_left()
        time.sleep(SETTLE_SECONDS)
        column = COLUMNS[responder]
        return [
            Figure(
                f"{count} Certificates applied at once, all Ready",
                round(seconds, 1),
                "s",
                "from the first apply",
                column,
            ),
            Figure(f"CPU of the operator for {count}", round(used, 2), "s", "process_cpu_seconds_total", column),
            Figure(f"Memory of the operator, after {count}", self._resident(), "MB", "the same", column),
        ]

    def _space(self, responder: str, route: dict[str, Any] | None = None) -> Space:
        """A namespace of the restricted level with a ready issuer."""
        name = f"bench-{secrets.token_hex(3)}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self._cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        space = Space(self._bed, self._cluster, self._release, name)
        space.http01(route=route or INGRESS, responder=responder)
        return space

    def _resident(self) -> float:
        return round(self._release.metric("process_resident_memory_bytes") / 1e6, 1)


def _counts(event: dict[str, Any], namespace: str) -> bool:
    """Whether a request is counted: it is about an object in the namespace or a Service's address, and no watch.

    Of the benchmark's own only what it applies counts: that is the user's request. Leases, the node's status and what
    the API server does by the clock are about other things.
    """
    reference = event.get("objectRef", {})
    if event["verb"] == "watch":
        return False
    if reference.get("namespace") != namespace and reference.get("resource") != "ipaddresses":
        return False
    return bool(user_of(event) != ADMIN or event["verb"] == "patch")


def _who(event: dict[str, Any]) -> str:
    """The sender of a request, abbreviated."""
    user = user_of(event)
    if user == ADMIN:
        return "user"
    return KUBELET if user.startswith("system:node:") else user.removeprefix("system:").rpartition(":")[2]


def _kinds(events: Iterable[dict[str, Any]]) -> str:
    """The requests in words, those of one kind together."""
    counted: Counter[str] = Counter()
    for event in events:
        reference = event["objectRef"]
        part = f"/{reference['subresource']}" if "subresource" in reference else ""
        counted[f"{event['verb']} {reference['resource']}{part}"] += 1
    return ", ".join(f"{what} {number}" if number > 1 else what for what, number in counted.items())


def _solver_processes() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_text().split("\0")
            except OSError:
                continue
            if any(word.endswith(SOLVER[0]) for word in words[:3]) and SOLVER[1] in words:
                found.append(int(entry.name))
    return found


def _status(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])


def _started(pid: int) -> float:
    """When a process was started, as Unix time (proc(5): field 22 of stat, in ticks since boot)."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
