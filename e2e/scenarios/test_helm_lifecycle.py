"""Install, upgrade, uninstall on a cluster that has never heard of us, with running pods and issued certificates.

`tests/integration/test_chart_release.py` has what needs no pod.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import pytest

from chart import Helm
from chart.earlier import COLUMN, FIELD, VERSION, earlier_chart
from harness import Workspace, tsig_secret
from harness.cluster import refusal
from scenarios.installed import VALUES, Release
from scenarios.one_order import ISSUER, WatchedCA
from scenarios.pods import web_pod
from scenarios.replicas import Replicas, container
from testbed.errors import CommandFailed
from testbed.progress import reporter
from testbed.web import fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.cluster import Cluster, Object
    from testbed import TestBed

CRDS: Final = ("certificates.certwright.io", "clusterissuers.certwright.io", "issuers.certwright.io")
USER: Final = 65532
LEASE_SECONDS: Final = 9.0
UNPRIVILEGED: Final = {"CapEff": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}


@pytest.fixture(scope="module")
def bare_cluster(node_bed: TestBed, cluster: Cluster) -> Iterator[Cluster]:
    """A cluster without our CRDs; the bed's own are there again afterwards."""
    remove_crds(node_bed)
    yield cluster
    remove_crds(node_bed)
    node_bed.apply_crds()


@pytest.fixture(scope="module")
def watched(node_bed: TestBed, bare_cluster: Cluster) -> Iterator[WatchedCA]:
    with WatchedCA.start(node_bed, bare_cluster) as started:
        yield started


@pytest.fixture
def release(node_bed: TestBed, bare_cluster: Cluster, watched: WatchedCA, namespace: str) -> Iterator[Release]:
    """A release that is not installed yet: the image's tag and an issuer are all that is set."""
    home = f"{namespace}-home"
    bare_cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
    bare_cluster.apply(tsig_secret(node_bed, home))
    issuers = [{"name": ISSUER, "spec": watched.issuer(None)["spec"]}]
    yield Release(node_bed, namespace=home, values={"image": VALUES["image"], "clusterIssuers": issuers})
    with suppress(CommandFailed):
        Release(node_bed, namespace=home).uninstall()
    remove_crds(node_bed)
    bare_cluster.delete("Namespace", None, home)


@pytest.fixture
def workspace(node_bed: TestBed, bare_cluster: Cluster, namespace: str) -> Workspace:
    return Workspace(namespace, node_bed, bare_cluster)


def test_an_installation_is_rolled_out_unprivileged_and_issues(
    node_bed: TestBed, cluster: Cluster, release: Release, workspace: Workspace, show: Callable[[str], None]
) -> None:
    began = time.monotonic()
    notes = release.install()
    show(f"helm install --wait: {time.monotonic() - began:.1f} s")
    assert f"kubectl get cwciss {ISSUER}" in notes
    assert f"kubectl --namespace {release.namespace} rollout status deployment/certwright" in notes
    cluster.wait_ready("ClusterIssuer", None, ISSUER)
    began = time.monotonic()
    apply_certificate(workspace)
    workspace.ready("web")
    show(f"first certificate: {time.monotonic() - began:.1f} s from apply to Ready")

    service = cluster.get("Service", release.namespace, "certwright-metrics") or {}
    metrics = fetch(f"http://{service['spec']['clusterIP']}:8080/metrics").body.decode()
    assert f'certwright_certificate_ready{{name="web",namespace="{workspace.namespace}"}} 1.0' in metrics

    (pod,) = release.pods()
    assert container(pod)["user"]["linux"]["uid"] == USER
    (process,) = node_bed.node.processes_of(container(pod)["containerID"])
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines() if ":\t" in line
    )
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(USER)}
    assert UNPRIVILEGED.items() <= status.items()
    # Root can enter every container: not even root finds a writable folder.
    root = Path(f"/proc/{process}/root")
    for place in ("", "etc", "usr", "usr/bin"):
        assert (root / place).is_dir()
        with pytest.raises(OSError, match="Read-only file system"):
            (root / place / "probe").touch()
    # What the API server lets into this namespace is of the restricted profile.
    with pytest.raises(httpx.HTTPStatusError) as caught:
        cluster.apply(web_pod(release.namespace, "root", runAsNonRoot=False))
    assert 'violates PodSecurity "restricted:latest"' in refusal(caught.value)


def lasting(status: dict[str, Any]) -> dict[str, Any]:
    """Return a status without what the CA suggests some seconds after an issuance: when to renew."""
    changing = {"renewal", "renewalTime", "conditions"}
    kept = {name: value for name, value in status.items() if name not in changing}
    return {**kept, "conditions": {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}}


def test_an_upgrade_from_an_earlier_chart_keeps_everything(
    cluster: Cluster,
    release: Release,
    workspace: Workspace,
    watched: WatchedCA,
    *,
    tmp_path: Path,
    show: Callable[[str], None],
) -> None:
    replicas = Replicas(release, cluster)
    release.install(chart=earlier_chart(Helm.find(reporter()), tmp_path))
    assert release.pods()[0]["metadata"]["labels"]["helm.sh/chart"] == f"certwright-{VERSION}"
    assert COLUMN not in columns(cluster)
    assert FIELD not in fields(cluster)
    cluster.wait_ready("ClusterIssuer", None, ISSUER)
    issued = apply_certificate(workspace)
    before = kept(cluster, release, workspace)
    order = watched.begin(workspace, "under-way", issuer_kind="ClusterIssuer")
    with LeaseWatch(replicas) as lease:
        began = time.monotonic()
        release.install()
        show(f"helm upgrade --wait: {time.monotonic() - began:.1f} s")
        replicas.wait(1)
    show(f"upgrade: nobody led for {lease.gap:.1f} s")
    assert lease.gap < LEASE_SECONDS, "the lease was not handed over"
    order.assert_issued()
    assert kept(cluster, release, workspace) == before
    assert lasting(workspace.ready("web")["status"]) == lasting(issued["status"])
    assert COLUMN in columns(cluster)
    assert FIELD in fields(cluster)
    role = cluster.get("ClusterRole", None, f"{release.namespace}-certwright") or {}
    assert "networkpolicies" in {resource for rule in role["rules"] for resource in rule["resources"]}
    (pod,) = release.pods()
    assert pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "certwright"


def test_uninstalling_keeps_secrets_and_crds_and_installing_again_issues_nothing_anew(
    cluster: Cluster, release: Release, workspace: Workspace, watched: WatchedCA
) -> None:
    # On the first installation the issuers would be left behind, and so would tell nothing.
    release.install()
    release.install()
    cluster.wait_ready("ClusterIssuer", None, ISSUER)
    issued = apply_certificate(workspace)
    before = kept(cluster, release, workspace)
    order = watched.begin(workspace, "under-way", issuer_kind="ClusterIssuer")
    release.uninstall()
    assert release.pods() == []
    assert cluster.get("ClusterIssuer", None, ISSUER) is None
    assert all(cluster.get("CustomResourceDefinition", None, name) for name in CRDS)
    found = cluster.get("Certificate", workspace.namespace, "web") or {}
    assert lasting(found["status"]) == lasting(issued["status"])
    release.install()
    cluster.wait_ready("ClusterIssuer", None, ISSUER)
    Replicas(release, cluster).wait(1)
    after = kept(cluster, release, workspace)
    # These went with the release, and came back with it.
    gone = {("ClusterIssuer", ISSUER), ("Lease", "certwright")}
    assert {key: uid for key, uid in after.items() if key not in gone} == {
        key: uid for key, uid in before.items() if key not in gone
    }
    assert workspace.ready("web")["status"]["revision"] == 1
    order.assert_issued(registrations=1)


def test_uninstalling_takes_the_crds_if_it_is_told_to_and_what_comes_again_finds_its_secrets(
    node_bed: TestBed, cluster: Cluster, release: Release, workspace: Workspace, watched: WatchedCA
) -> None:
    values = {"crds": {"keep": False}}
    release.install(values)
    cluster.wait_ready("ClusterIssuer", None, ISSUER)
    apply_certificate(workspace)
    before = {key: uid for key, uid in kept(cluster, release, workspace).items() if key[0] == "Secret"}
    watched.begin(workspace, "under-way", issuer_kind="ClusterIssuer")
    # As docs/helm.md says: without the operator, nothing removes the finalizer of a Certificate with an order.
    node_bed.kubectl("delete", "certificates.certwright.io", "--all", "--all-namespaces", "--timeout=80s")
    assert workspace.challenge_values(f"_acme-challenge.under-way.{workspace.namespace}.example.test") == []
    watched.ca.reset()
    release.uninstall()
    for name in CRDS:
        cluster.wait_gone("CustomResourceDefinition", None, name)
    release.install(values)
    cluster.wait_ready("ClusterIssuer", None, ISSUER)
    found = apply_certificate(workspace)
    assert found["status"]["revision"] == 1
    assert {key: uid for key, uid in kept(cluster, release, workspace).items() if key[0] == "Secret"} == before
    assert watched.orders() == 0


class LeaseWatch:
    """Watches a Lease in a thread and measures how long it has no holder."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.gap = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        led = time.monotonic()
        while not self._done.wait(0.02):
            if self._replicas.lease().get("holderIdentity"):
                self.gap, led = max(self.gap, time.monotonic() - led), time.monotonic()


def apply_certificate(workspace: Workspace) -> Object:
    """Apply the Certificate `web` of the ClusterIssuer, and return it once it is Ready."""
    reference = {"name": ISSUER, "kind": "ClusterIssuer"}
    workspace.apply("web", f"web.{workspace.namespace}.example.test", issuerRef=reference)
    return workspace.ready("web")


def kept(cluster: Cluster, release: Release, workspace: Workspace) -> dict[tuple[str, str], Any]:
    """Return what must outlast releases: by kind and name the uid, of Secrets also the version."""
    places = {
        ("Certificate", "web"): workspace.namespace,
        ("Secret", "web-tls"): workspace.namespace,
        ("Secret", f"{ISSUER}-account"): release.namespace,
        ("ClusterIssuer", ISSUER): None,
        ("Lease", "certwright"): release.namespace,
    }
    found: dict[tuple[str, str], Any] = {}
    for (kind, name), namespace in places.items():
        metadata = (cluster.get(kind, namespace, name) or {})["metadata"]
        version = metadata["resourceVersion"] if kind == "Secret" else ""
        found[kind, name] = (metadata["uid"], version)
    found |= {
        ("CustomResourceDefinition", name): (cluster.get("CustomResourceDefinition", None, name) or {})["metadata"][
            "uid"
        ]
        for name in CRDS
    }
    uri = (cluster.get("ClusterIssuer", None, ISSUER) or {})["status"]["acme"]["uri"]
    return found | {("account", uri): ""}


def columns(cluster: Cluster) -> set[str]:
    """Return what `kubectl get cwcert` shows."""
    return {column["name"] for column in _version(cluster)["additionalPrinterColumns"]}


def fields(cluster: Cluster) -> set[str]:
    """Return the fields of a Certificate's spec."""
    return set(_version(cluster)["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])


def _version(cluster: Cluster) -> Object:
    found = cluster.get("CustomResourceDefinition", None, CRDS[0])
    assert found is not None
    version: Object = found["spec"]["versions"][0]
    return version


def remove_crds(bed: TestBed) -> None:
    """Remove our CRDs and with them all objects of theirs, those as well that wait for an operator that is gone."""
    bed.kubectl("delete", "crd", *CRDS, "--ignore-not-found", "--wait=false")
    listed = bed.kubectl("get", "certificates.certwright.io", "--all-namespaces", "--output=json", check=False)
    for found in json.loads(listed or '{"items": []}')["items"]:
        place = (found["metadata"]["name"], f"--namespace={found['metadata']['namespace']}")
        let_go = '{"metadata": {"finalizers": null}}'
        bed.kubectl("patch", "certificate.certwright.io", *place, "--type=merge", f"--patch={let_go}", check=False)
    bed.kubectl("wait", "--for=delete", *(f"crd/{name}" for name in CRDS), "--timeout=80s")
