"""From cert-manager to Certwright and back, with cert-manager's own controllers and a CA that counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Self

import pytest

from certwright.migration.assessment import assess
from certwright.migration.inventory import of_manifests
from harness import OperatorProcess, Tenant, certificate, issuer, tsig_secret
from harness.mistakes import wait_event
from testbed.definitions import CERT_MANAGER
from testbed.parts.cert_manager import RESOURCES
from tests.fakes.cert_manager import OBJECTS, STAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from certwright.migration.assessment import Assessed
    from harness import Cluster
    from testbed.bed import TestBed
    from testbed.parts.cert_manager import CertManager
    from testbed.proxy import RecordingProxy

pytestmark = pytest.mark.usefixtures("without_operator")

NEW_ORDER: Final = ("POST", "/order-plz")
API: Final = "cert-manager.io/v1"
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
    """Starts and ends cert-manager's controllers as the replicas of its Deployment say: the bed has no node for it."""

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
            wanted = bool(found and found["spec"]["replicas"])
            if wanted and not self._controller.running:
                self._controller.start()
            elif not wanted and self._controller.running:
                self._controller.stop()


@pytest.fixture(scope="module")
def cert_manager(bed: TestBed, cluster: Cluster) -> Iterator[CertManager]:
    """cert-manager's controllers with their CRDs, in a namespace of their own."""
    bed.apply_crds(CERT_MANAGER.find())
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RESOURCES}})
    cluster.apply(tsig_secret(bed, RESOURCES, name="cm-tsig"))
    cluster.apply(DEPLOYMENT)
    controller = bed.start_cert_manager()
    with Kubelet(cluster, controller):
        yield controller
    bed.end_cert_manager()


@pytest.fixture(scope="module")
def guarded(
    bed: TestBed, operator_namespace: str, cert_manager: CertManager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """The operator with its guard, beside cert-manager's controllers."""
    assert cert_manager.name
    log = tmp_path_factory.mktemp("guarded") / "log"
    with OperatorProcess(
        bed.kubeconfig, log, operator_namespace=operator_namespace, arguments=("--cert-manager-guard",)
    ) as running:
        yield running


@pytest.fixture
def tenant(bed: TestBed, cluster: Cluster, namespace: str, guarded: OperatorProcess) -> Tenant:
    return Tenant(namespace, bed, cluster, guarded)


@pytest.fixture
def theirs(bed: TestBed) -> Callable[..., Any]:
    """Returns an object of cert-manager as it is; empty if there is none."""

    def get(namespace: str, name: str, kind: str = "certificates") -> dict[str, Any]:
        said = bed.kubectl("get", f"{kind}.cert-manager.io", name, "--namespace", namespace, "-o", "json", check=False)
        return json.loads(said) if said else {}

    return get


@pytest.fixture
def migrate(bed: TestBed) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `certwright migrate` and returns what it said."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", "from certwright.cli.main import main; main()", "migrate", *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "KUBECONFIG": str(bed.kubeconfig)},
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )

    return run


def their_issuer(bed: TestBed, kind: str, name: str, namespace: str | None, server: str) -> dict[str, Any]:
    ours = issuer(bed, namespace, name=name, server=server, tsig="cm-tsig")["spec"]["acme"]
    # Otherwise it sleeps for the TTL of each record, a minute.
    solver = {"dns01": {"rfc2136": ours["solvers"][0]["dns01"]["rfc2136"]}, "waitInsteadOfSelfCheck": "1s"}
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": {"acme": {**ours, "solvers": [solver]}}}


def their_certificate(namespace: str, name: str, *names: str, **spec: Any) -> dict[str, Any]:
    made = certificate(namespace, name, names, **spec)
    return {**made, "apiVersion": API}


def test_fifty_objects_are_cert_managers_own_and_what_moves_is_ours(
    cert_manager: CertManager, tenant: Tenant, tmp_path: Path
) -> None:
    assert cert_manager.name
    bed = tenant.bed
    objects = [
        {**one, "metadata": {**one["metadata"], "namespace": tenant.namespace}}
        if one["kind"] != "ClusterIssuer"
        else one
        for one, _ in OBJECTS
    ]
    file = tmp_path / "theirs.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    # Their API server's schema takes every fixture, and ours takes what we make of it.
    assert bed.kubectl("create", "--dry-run=server", "-f", str(file)).count("created") == len(objects)
    ours = [one.translation.manifest for one in _assessed(objects) if one.moves]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": ours}))
    assert bed.kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(file)).count("created") == len(ours)
    assert len(ours) == sum(verdict != STAYS for _, verdict in OBJECTS)


def _assessed(objects: list[dict[str, Any]]) -> list[Assessed]:
    found = assess(of_manifests(objects))
    return [*found.issuers, *found.certificates]


def scale(bed: TestBed, replicas: int) -> None:
    bed.kubectl("scale", "deployment/cert-manager", "-n", RESOURCES, f"--replicas={replicas}")


def wait_theirs(bed: TestBed, space: str) -> None:
    kind = "certificates.cert-manager.io"
    bed.kubectl("wait", "--for=condition=Ready", kind, "--all", "-n", space, f"--timeout={SECONDS}s")


def test_ours_holds_still_while_cert_manager_looks_after_the_secret_and_goes_on_when_its_controller_ends(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    host = f"web.{space}.{bed.bind.zones[0]}"
    for name in ("cm-tsig", "tsig"):
        cluster.apply(tsig_secret(bed, space, name=name))
    cluster.apply(issuer(bed, space, name="ours", server=counted_ca.directory_url))
    objects = [
        their_issuer(bed, "Issuer", "le", space, counted_ca.directory_url),
        their_certificate(space, "theirs", host, issuerRef={"name": "le"}, secretName="shared-tls"),
    ]
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    wait_theirs(bed, space)
    before, orders = cluster.secret_data(space, "shared-tls"), counted_ca.counts()[NEW_ORDER]

    cluster.apply(certificate(space, "ours", [host], issuerRef={"name": "ours"}, secretName="shared-tls"))
    message = tenant.not_ready("ours", "ClaimedByCertManager")["message"]
    assert message.startswith("cert-manager's Certificate theirs names Secret shared-tls too")
    wait_event(cluster, space, "ours", "ClaimedByCertManager")
    # Another Secret is none of its business.
    cluster.apply(certificate(space, "own", [f"own.{host}"], issuerRef={"name": "ours"}))
    tenant.ready("own")
    assert cluster.secret_data(space, "shared-tls") == before
    assert counted_ca.counts()[NEW_ORDER] == orders + 1

    scale(bed, 0)
    try:
        tenant.ready("ours")  # adopted, with what is there
        assert cluster.secret_data(space, "shared-tls") == before
    finally:
        scale(bed, 1)
    tenant.not_ready("ours", "ClaimedByCertManager")
    bed.kubectl("delete", "certificates.cert-manager.io", "theirs", "-n", space)
    tenant.ready("ours")
    assert cluster.secret_data(space, "shared-tls") == before
    assert counted_ca.counts()[NEW_ORDER] == orders + 1


def test_there_and_back_and_there_for_good_without_an_order(
    tenant: Tenant,
    cert_manager: CertManager,
    counted_ca: RecordingProxy,
    theirs: Callable[..., dict[str, Any]],
    migrate: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    zone = bed.bind.zones[0]
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    shared = {"name": f"le-{space}", "kind": "ClusterIssuer"}
    objects = [
        their_issuer(bed, "ClusterIssuer", shared["name"], None, counted_ca.directory_url),
        their_issuer(bed, "Issuer", "le", space, counted_ca.directory_url),
        their_certificate(space, "web", f"web.{space}.{zone}", f"www.{space}.{zone}", issuerRef=shared),
        their_certificate(
            space, "api", f"api.{space}.{zone}", issuerRef={"name": "le"}, privateKey={"algorithm": "ECDSA"}
        ),
    ]
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    bed.kubectl(
        "wait", "--for=condition=Ready", "certificates.cert-manager.io", "--all", "-n", space, f"--timeout={SECONDS}s"
    )
    before = {name: cluster.secret_data(space, f"{name}-tls") for name in ("web", "api")}
    orders = counted_ca.counts()[NEW_ORDER]
    uri = theirs("", shared["name"], "clusterissuers")["status"]["acme"]["uri"]

    verdicts = {one["name"]: one["verdict"] for one in json.loads(migrate("-o", "json").stdout)["objects"]}
    assert {"web": "moves", "api": "moves", "le": "moves", shared["name"]: "moves"}.items() <= verdicts.items()

    done = migrate("--apply", "--yes", "--timeout", "90s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 Certificates are Certwright's now" in done.stdout
    assert not cert_manager.running
    for name, data in before.items():
        tenant.ready(name)
        assert cluster.secret_data(space, f"{name}-tls") == data
    found = cluster.get("ClusterIssuer", None, shared["name"])
    assert found is not None
    assert found["status"]["acme"]["uri"] == uri
    assert counted_ca.counts()[NEW_ORDER] == orders

    back = migrate("--back", "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    assert "2 Certificates are cert-manager's again" in back.stdout
    cluster.wait_for(
        "its controllers do not run again", lambda: {"runs": cert_manager.running}, lambda found: found["runs"]
    )
    # It looks at everything when it starts, and writes the status of what it has judged.
    bed.kubectl("annotate", "certificates.cert-manager.io", "--all", "-n", space, "seen=again")
    bed.kubectl("wait", "--for=condition=Ready", "certificates.cert-manager.io", "--all", "-n", space)
    assert {name: theirs(space, name)["status"]["revision"] for name in before} == {"web": 1, "api": 1}
    assert counted_ca.counts()[NEW_ORDER] == orders

    assert migrate("--apply", "--yes", "--timeout", "90s").returncode == 0
    ended = migrate("--finish", "--yes")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "uninstall it as you installed it" in ended.stdout
    cluster.wait_for(
        "cert-manager's Certificate stays", lambda: {"left": theirs(space, "web")}, lambda at: not at["left"]
    )
    for name, data in before.items():
        assert tenant.ready(name)["spec"]["privateKey"]["rotationPolicy"] == "Always"
        assert cluster.secret_data(space, f"{name}-tls") == data
    assert counted_ca.counts()[NEW_ORDER] == orders
    cluster.delete("ClusterIssuer", None, shared["name"])
