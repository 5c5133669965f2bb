"""The measurements, each against a running operator."""

from __future__ import annotations

import re
import secrets
import statistics
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from bench.figure import Figure
from harness import certificate, issuer, tsig_secret

if TYPE_CHECKING:
    from harness import Cluster, OperatorProcess
    from testbed.bed import TestBed

SETTLE_SECONDS: Final = 5.0
MANY_SECONDS: Final = 300.0
ACME_REQUESTS: Final = re.compile(
    r'^certwright_acme_request_seconds_count\{action="([^"]+)",.*\} ([0-9.e+]+)$', re.MULTILINE
)
POLL: Final = "renewalInfo"
"""The action of a poll for renewal information, which belongs to no issuance."""
CPU_SECONDS: Final = re.compile(r"^process_cpu_seconds_total ([0-9.e+]+)$", re.MULTILINE)


def _actions(asked: Counter[str]) -> str:
    """The requests in words; one that the CA refused for its nonce counts again."""
    return ", ".join(f"{action} {number}" if number > 1 else action for action, number in sorted(asked.items()))


class OperatorBenchmark:
    """Measures one operator on one bed.

    Args:
        bed: A bed with the API server's audit log on.
        cluster: The same, for applying.
        operator: The operator, running.
        user: The name it has at the API server.
    """

    def __init__(self, bed: TestBed, cluster: Cluster, operator: OperatorProcess, *, user: str) -> None:
        self._bed = bed
        self._cluster = cluster
        self._operator = operator
        self._user = user

    def idle_memory(self) -> list[Figure]:
        """Memory of the operator before there is any work."""
        time.sleep(SETTLE_SECONDS)
        return [
            Figure("Memory, idle", round(self._operator.resident_megabytes(), 1), "MB", "VmRSS, 5 s after it was ready")
        ]

    def one_certificate(self, runs: int) -> list[Figure]:
        """From the answer to the apply to a Ready condition, one after the other."""
        namespace = self._namespace()
        seconds = []
        for number in range(runs):
            name = f"single-{number}"
            began = time.perf_counter()
            self._cluster.apply(certificate(namespace, name, [f"{name}.{namespace}.example.test"]))
            self._cluster.wait_ready("Certificate", namespace, name)
            seconds.append(time.perf_counter() - began)
        return [
            Figure(
                f"One certificate, from apply to Ready, median of {runs}",
                round(statistics.median(seconds), 2),
                "s",
                "the client's clock",
            ),
            Figure(f"The slowest of {runs}", round(max(seconds), 2), "s", "the client's clock"),
        ]

    def requests_of_one(self) -> list[Figure]:
        """Requests to the API server, by its audit log, and to the CA, by the operator's metrics."""
        namespace = self._namespace()
        time.sleep(SETTLE_SECONDS)
        audited, acme = self._audited(namespace), self._acme_requests()
        self._cluster.apply(certificate(namespace, "counted", [f"counted.{namespace}.example.test"]))
        self._cluster.wait_ready("Certificate", namespace, "counted")
        time.sleep(SETTLE_SECONDS)
        asked = self._acme_requests() - acme
        polls = asked.pop(POLL, 0)
        return [
            Figure(
                "API server requests for one DNS-01 issuance",
                self._audited(namespace) - audited,
                "",
                "audit log, of its namespace; watches and Lease left out",
            ),
            Figure("CA requests for one DNS-01 issuance", asked.total(), "", _actions(asked)),
            Figure("CA requests for renewal information meanwhile", polls, "", "of any certificate"),
        ]

    def many_certificates(self, count: int) -> list[Figure]:
        """From the first apply until the last of many is Ready."""
        namespace = self._namespace()
        audited, cpu = self._audited(namespace), self._cpu_seconds()
        names = [f"many-{number}" for number in range(count)]
        began = time.perf_counter()
        for name in names:
            self._cluster.apply(certificate(namespace, name, [f"{name}.{namespace}.example.test"]))
        applied = time.perf_counter() - began
        self._cluster.wait_all_ready("Certificate", namespace, names, seconds=MANY_SECONDS)
        seconds = time.perf_counter() - began
        used = self._cpu_seconds() - cpu
        time.sleep(SETTLE_SECONDS)
        return [
            Figure(
                f"{count} Certificates applied at once, all Ready",
                round(seconds, 1),
                "s",
                f"applying took {applied:.1f} s",
            ),
            Figure(
                f"API server requests per certificate, issuing {count}",
                (self._audited(namespace) - audited) / count,
                "",
                "audit log",
            ),
            Figure(
                f"CPU per certificate, issuing {count}",
                round(1000 * used / count, 1),
                "ms",
                "process_cpu_seconds_total",
            ),
            Figure(f"Memory, after {count}", round(self._operator.resident_megabytes(), 1), "MB", "VmRSS"),
        ]

    def _namespace(self) -> str:
        """A namespace with a ready issuer."""
        name = f"bench-{secrets.token_hex(3)}"
        self._cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self._cluster.apply(tsig_secret(self._bed, name))
        self._cluster.apply(issuer(self._bed, name))
        self._cluster.wait_ready("Issuer", name, "pebble")
        return name

    def _audited(self, namespace: str) -> int:
        """How many requests the operator has made for a namespace, besides lists and watches."""
        return sum(
            1
            for event in self._bed.apiserver.audit_events(self._user)
            if event["verb"] not in {"watch", "list"} and event.get("objectRef", {}).get("namespace") == namespace
        )

    def _acme_requests(self) -> Counter[str]:
        """How many requests CAs have answered, by their action."""
        counts: Counter[str] = Counter()
        for action, count in ACME_REQUESTS.findall(self._operator.metrics()):
            counts[action] += int(float(count))
        return counts

    def _cpu_seconds(self) -> float:
        found = CPU_SECONDS.search(self._operator.metrics())
        return float(found[1]) if found else 0.0
