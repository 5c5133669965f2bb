"""The way over from cert-manager on a bed: its controllers as its Deployment says, its objects, the program itself."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from harness.cert_manager import rfc2136, their_issuer
from harness.manifests import tsig_secret
from testbed.definitions import CERT_MANAGER
from testbed.parts.cert_manager import LEASE, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.cluster import Cluster
    from testbed.bed import TestBed
    from testbed.parts.cert_manager import CertManager

UNATTENDED: Final = ("--yes", "--timeout=90s", "--operator-namespace=certwright")
SECONDS: Final = 120
DEPLOYMENT: Final = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "cert-manager", "namespace": RESOURCES},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "cert-manager"}},
        "template": {
            "metadata": {"labels": {"app": "cert-manager"}},
            "spec": {
                "containers": [
                    {
                        "name": "cert-manager-controller",
                        "image": "localhost/cert-manager:none",
                        "args": [f"--cluster-resource-namespace={RESOURCES}"],
                    }
                ]
            },
        },
    },
}


class Kubelet:
    """Runs cert-manager's controllers as its Deployment says: the bed has no node for it.

    Its pods are real objects that no scheduler takes; they are said to be ready, so that a roll-out comes to its end.
    """

    def __init__(self, cluster: Cluster, controller: CertManager) -> None:
        self._cluster = cluster
        self._controller = controller
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.2):
            found = self._cluster.get("Deployment", RESOURCES, "cert-manager")
            if found is None:
                continue
            arguments = tuple(found["spec"]["template"]["spec"]["containers"][0]["args"][1:])
            if self._controller.running and (not found["spec"]["replicas"] or arguments != self._controller.arguments):
                self._controller.stop()
            if found["spec"]["replicas"] and not self._controller.running:
                self._controller.arguments = arguments
                self._controller.start()
            self._make_ready()

    def _make_ready(self) -> None:
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        for pod in self._cluster.find_all("Pod", RESOURCES):
            if pod["status"].get("phase") == "Pending":
                with suppress(httpx.HTTPStatusError):  # it may be gone by now
                    self._cluster.patch_status("Pod", RESOURCES, pod["metadata"]["name"], ready)


@contextmanager
def running_cert_manager(bed: TestBed, cluster: Cluster) -> Iterator[CertManager]:
    """Run cert-manager's controllers with their CRDs and their Deployment, in a namespace of their own."""
    bed.apply_crds(CERT_MANAGER.find())
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RESOURCES}})
    cluster.apply(tsig_secret(bed, RESOURCES, name="cm-tsig"))
    cluster.apply(DEPLOYMENT)
    controller = bed.start_cert_manager()
    with Kubelet(cluster, controller):
        yield controller
    bed.end_cert_manager()


def their_object(bed: TestBed, namespace: str, name: str, kind: str = "certificates") -> dict[str, Any]:
    """Return an object of cert-manager as it is; empty if there is none."""
    said = bed.kubectl("get", f"{kind}.cert-manager.io", name, "--namespace", namespace, "-o", "json", check=False)
    return json.loads(said) if said else {}


def waiting_issuer(bed: TestBed, name: str, namespace: str | None, server: str) -> dict[str, Any]:
    """Return an issuer of cert-manager whose controller waits a second: by default, for the TTL of each record."""
    solver = {"dns01": {"rfc2136": rfc2136(bed, "cm-tsig")}, "waitInsteadOfSelfCheck": "1s"}
    return their_issuer(bed, namespace, name, server=server, solvers=[solver])


def remove_shared(cluster: Cluster, issuer: str, operator_namespace: str) -> None:
    """Remove a ClusterIssuer that has moved, and what was copied for it: the next migration would find it there."""
    cluster.delete("ClusterIssuer", None, issuer)
    for secret in ("cm-tsig", f"{issuer}-account"):
        cluster.delete("Secret", operator_namespace, secret)


def scale(bed: TestBed, replicas: int) -> None:
    """Scale cert-manager's controller."""
    bed.kubectl("scale", "deployment/cert-manager", "-n", RESOURCES, f"--replicas={replicas}")


def wait_running(cluster: Cluster, controller: CertManager) -> None:
    """Wait until its controllers run, and hold their Lease: they do nothing before, and others would act for them."""
    cluster.wait_for("its controllers do not run", lambda: {"runs": controller.running}, lambda found: found["runs"])
    cluster.wait_for("its controllers hold no Lease", lambda: cluster.get("Lease", *LEASE), _is_held)


def _is_held(lease: dict[str, Any]) -> bool:
    """Whether it was renewed a few seconds ago, so not by a process that was ended before."""
    spec = lease["spec"]
    if not spec.get("holderIdentity"):
        return False
    return dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(spec["renewTime"]) < dt.timedelta(seconds=15)


def wait_theirs(bed: TestBed, space: str) -> None:
    """Wait until all Certificates of cert-manager in a namespace are Ready."""
    kind = "certificates.cert-manager.io"
    bed.kubectl("wait", "--for=condition=Ready", kind, "--all", "-n", space, f"--timeout={SECONDS}s")


_DRIVER: Final = """
import functools, json, os, signal, sys
from certwright.cli.cluster import migrate
from certwright.cli.main import main
from certwright.kube.client import KubeClient
from certwright.migration import alone, back
from certwright.migration.progress import Progress

migrate.Progress = functools.partial(Progress, interval=0.2)
alone.LOOK_SECONDS, alone.DURATION = 0.1, 1
send = KubeClient.request

def kill_after_others_than(known):
    async def request(self, method, path, **more):
        answer = await send(self, method, path, **more)
        write = f"{method} {path}"
        if method != "GET" and "/leases" not in path and write not in known:
            print("WROTE", write, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    KubeClient.request = request

for line in sys.stdin:
    words, known, output = json.loads(line)
    child = os.fork()
    if not child:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        if known is not None:
            kill_after_others_than(known)
        sys.argv[1:] = ["migrate", *words]
        main()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs the program with short pauses, each time in a process of its own that need not import everything again.

With a list of writes, it is killed right after the first other one.
"""

Ended = tuple[int, str]
"""How the program has ended, and what it said."""


class Migration:
    """Runs `certwright migrate`.

    Args:
        bed: Where.
        folder: For what it says.
        kubeconfig: How it reaches the API server; None for the bed's own.
    """

    def __init__(self, bed: TestBed, folder: Path, *, kubeconfig: Path | None = None) -> None:
        self._output = folder / "output"
        self._driver = subprocess.Popen(
            [sys.executable, "-c", _DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KUBECONFIG": str(kubeconfig or bed.kubeconfig)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.communicate()

    def __call__(self, *words: str, known: list[str] | None = None) -> Ended:
        """Run it with these words after `migrate`; with a list of writes it is killed after the first other one."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        print(json.dumps([words, known, str(self._output)]), file=self._driver.stdin, flush=True)
        code = int(self._driver.stdout.readline())
        return code, self._output.read_text()
