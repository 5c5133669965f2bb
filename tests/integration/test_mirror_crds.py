"""CRDs of cert-manager that are missing, come later, go, serve another version, or are converted by what is broken.

An API server of its own, without a CA: that an object is looked at shows in what is made for it.
"""

from __future__ import annotations

import base64
import copy
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.cert_manager.crds import cert_manager_definitions
from harness import Cluster, OperatorProcess, issuer
from harness.cert_manager import their_certificate
from testbed.bed import TestBed
from testbed.options import BedOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.cluster import Object

NAMES: Final = tuple(one["metadata"]["name"] for one in cert_manager_definitions())
HOME: Final = "certwright"
REMOVAL_SECONDS: Final = 400.0

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def empty_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestBed]:
    options = BedOptions(challtestsrv=False, ingress=False)
    with TestBed(options, folder=tmp_path_factory.mktemp("mirror-crds")) as started:
        started.kubectl("create", "namespace", HOME)
        started.apply_crds()
        yield started


@pytest.fixture(scope="module")
def empty_cluster(empty_bed: TestBed) -> Iterator[Cluster]:
    with Cluster(empty_bed) as connected:
        yield connected


@pytest.fixture
def operator(empty_bed: TestBed, empty_cluster: Cluster, tmp_path: Any) -> Iterator[OperatorProcess]:
    """The operator, which is ready without any CRD of cert-manager."""
    remove(empty_cluster)
    with OperatorProcess(
        empty_bed.kubeconfig,
        tmp_path / "log",
        operator_namespace=HOME,
        arguments=("--serve-cert-manager-objects", "--cert-manager-metrics"),
    ) as running:
        yield running


@pytest.fixture
def place(empty_cluster: Cluster) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    empty_cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    empty_cluster.delete("Namespace", None, name)


def definitions(*versions: str, served: str = "v1", stored: str = "v1") -> list[Object]:
    """Return CRDs with these versions, of which one is stored."""
    found = copy.deepcopy(list(cert_manager_definitions()))
    for one in found:
        [version] = one["spec"]["versions"]
        one["spec"]["versions"] = [
            {**version, "name": name, "served": name in served.split(), "storage": name == stored} for name in versions
        ]
    return found


def apply(bed: TestBed, cluster: Cluster, found: list[Object]) -> None:
    for one in found:
        cluster.apply(one)
    bed.kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in NAMES))


def remove(cluster: Cluster) -> None:
    """Delete the CRDs. The API server deletes their objects first, and takes its time after a failure."""
    for name in NAMES:
        cluster.delete("CustomResourceDefinition", None, name)
    for name in NAMES:
        cluster.wait_gone("CustomResourceDefinition", None, name, seconds=REMOVAL_SECONDS)


def converted_by(url: str, ca: bytes) -> Object:
    config = {"url": url, "caBundle": base64.b64encode(ca).decode()}
    return {"strategy": "Webhook", "webhook": {"clientConfig": config, "conversionReviewVersions": ["v1"]}}


def wait_served(cluster: Cluster, namespace: str, name: str) -> None:
    cluster.wait_for(f"{name} is not served", lambda: cluster.get("Certificate", namespace, name), bool)


def test_they_are_served_once_their_crds_are_there_and_go_with_them(
    empty_bed: TestBed, empty_cluster: Cluster, operator: OperatorProcess, place: str
) -> None:
    cluster = empty_cluster
    assert operator.why_not_ready() is None
    for round_ in ("first", "again"):
        apply(empty_bed, cluster, definitions("v1"))
        cluster.apply(their_certificate(place, round_, "a.example.test"))
        wait_served(cluster, place, round_)
        assert "certmanager_certificate_ready_status{" in operator.metrics()
        # Kubernetes removes what belonged to them, unless it forgets their kind before it has seen them go.
        remove(cluster)
        cluster.wait_for(
            "the metrics stay",
            lambda: {"status": {"stay": "certmanager_certificate_ready_status{" in operator.metrics()}},
            lambda seen: not seen["status"]["stay"],
        )
        assert operator.why_not_ready() is None
    assert "unexpected error" not in operator.tail()


def test_another_version_is_not_read_and_the_one_that_is_known_is_once_it_is_served(
    empty_bed: TestBed, empty_cluster: Cluster, operator: OperatorProcess, place: str
) -> None:
    cluster = empty_cluster
    apply(empty_bed, cluster, definitions("v1beta1", served="v1beta1", stored="v1beta1"))
    body = their_certificate(place, "old", "a.example.test")
    empty_bed.kubectl("apply", "-f", "-", stdin=json.dumps({**body, "apiVersion": "cert-manager.io/v1beta1"}))
    # What is ours is looked at meanwhile.
    wait_looked_at(empty_bed, cluster, place, "before")
    assert operator.why_not_ready() is None
    assert cluster.get("Certificate", place, "old") is None
    apply(empty_bed, cluster, definitions("v1", "v1beta1", served="v1 v1beta1", stored="v1beta1"))
    wait_served(cluster, place, "old")


def test_a_broken_conversion_is_told_and_holds_up_nothing_else(
    empty_bed: TestBed, empty_cluster: Cluster, operator: OperatorProcess, place: str
) -> None:
    cluster = empty_cluster
    apply(empty_bed, cluster, definitions("v1", "v1beta1", served="v1 v1beta1", stored="v1beta1"))
    cluster.apply(their_certificate(place, "web", "a.example.test"))
    wait_served(cluster, place, "web")
    dead = converted_by("https://127.0.0.1:1/convert", empty_bed.authority.pem)
    for one in definitions("v1", "v1beta1", served="v1 v1beta1", stored="v1beta1"):
        one["spec"]["conversion"] = dead
        cluster.apply(one)
    operator.stop()
    operator.start(wait=False)
    wait_looked_at(empty_bed, cluster, place, "beside")

    def said() -> Object:
        return {"status": {"why": operator.why_not_ready() or ""}}

    cluster.wait_for("it is not told", said, lambda seen: "certificates.cert-manager.io" in seen["status"]["why"])
    assert operator.healthy()
    for one in definitions("v1", "v1beta1", served="v1 v1beta1", stored="v1beta1"):
        cluster.apply({**one, "spec": {**one["spec"], "conversion": {"strategy": "None"}}})
    cluster.wait_for("it stays", said, lambda seen: not seen["status"]["why"])
    cluster.apply(their_certificate(place, "later", "b.example.test"))
    wait_served(cluster, place, "later")
    assert cluster.get("Certificate", place, "web") is not None
    assert "unexpected error" not in operator.tail()


def wait_looked_at(bed: TestBed, cluster: Cluster, namespace: str, name: str) -> None:
    """Wait until an Issuer of ours has been looked at."""
    cluster.apply(issuer(bed, namespace, name=name, server="https://127.0.0.1:1/directory"))
    cluster.wait_condition("Issuer", namespace, name, "Ready", "False")
