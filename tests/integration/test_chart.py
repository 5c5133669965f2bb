"""Every object of the chart, for a dozen and more sets of values, in the eyes of a real API server."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from chart.derived import MANIFESTS
from chart.matrix import MATRIX, case
from harness.openapi import LOCATION, write_schemas
from testbed.definitions import MONITORING
from testbed.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from chart import Helm
    from testbed.bed import TestBed

NAMESPACES: Final = ("certwright", "chart-a", "chart-b", "monitoring")
POD_SECURITY: Final = "pod-security.kubernetes.io/enforce"
SERVED: Final = ("certwright.io/v1/Issuer", "certwright.io/v1/ClusterIssuer")

pytestmark = pytest.mark.usefixtures("without_operator")


@pytest.fixture(scope="module")
def cluster_for_charts(bed: TestBed) -> Iterator[TestBed]:
    """Our CRDs, those of the Prometheus operator, and the namespaces that the cases name."""
    bed.apply_crds()
    for name in NAMESPACES:
        bed.kubectl("create", "namespace", name, check=False)
        bed.kubectl("label", "namespace", name, "--overwrite", f"{POD_SECURITY}=restricted")
    with bed.crds(*MONITORING.of("servicemonitors", "podmonitors")):
        yield bed
    bed.kubectl("label", "namespace", *NAMESPACES, f"{POD_SECURITY}-")


@pytest.fixture(scope="module")
def schemas(cluster_for_charts: TestBed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    ours = ("certificate", "issuer", "clusterissuer")
    custom = [folder / "certwright.io" / "v1" / f"{kind}.json" for kind in ours]
    custom += [folder / "monitoring.coreos.com" / "v1" / f"{kind}.json" for kind in ("servicemonitor", "podmonitor")]
    deadline = time.monotonic() + 180
    while write_schemas(cluster_for_charts, folder) < 50 or not all(path.exists() for path in custom):
        assert time.monotonic() < deadline, "the API server does not publish the schemas of the CRDs"
        time.sleep(0.5)
    return folder


def conform(kubeconform: Path, schemas: Path, manifests: str) -> dict[str, Any]:
    answer = subprocess.run(  # noqa: S603 - the test bed's own program
        [kubeconform, "-strict", "-summary", "-output=json", f"-schema-location={schemas}/{LOCATION}"],
        input=manifests,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def dry_run(bed: TestBed, manifests: str) -> Sequence[str]:
    how = ("--server-side", "--dry-run=server", "--force-conflicts", "--validate=strict")
    return bed.kubectl("apply", *how, "-f", "-", stdin=manifests).splitlines()


@pytest.mark.parametrize("name", MATRIX)
def test_the_manifests_conform_to_the_api_servers_schemas(
    helm: Helm, kubeconform: Path, schemas: Path, name: str
) -> None:
    wanted = len(helm.objects(case(name)))
    found = conform(kubeconform, schemas, helm.template(case(name)))
    assert found["resources"] == []
    assert found["summary"] == {"valid": wanted, "invalid": 0, "errors": 0, "skipped": 0}


@pytest.mark.parametrize(
    ("kind", "path", "content"),
    [
        ("Deployment", ("spec", "template", "spec"), {"terminationGracePeriod": 3}),
        ("Deployment", ("spec",), {"replicas": "two"}),
        ("CustomResourceDefinition", ("spec",), {"scope": 7}),
        ("ServiceMonitor", ("spec", "endpoints", 0), {"intervall": "3s"}),
        ("Issuer", ("spec", "acme"), {"servr": "https://ca.example"}),
    ],
)
def test_a_mistake_would_be_found(
    helm: Helm, kubeconform: Path, schemas: Path, kind: str, *, path: tuple[Any, ...], content: dict[str, Any]
) -> None:
    values = {**case("service-monitor"), **case("issuers")}
    one = next(one for one in helm.objects(values) if one["kind"] == kind)
    place = one
    for key in path:
        place = place[key]
    place |= content
    found = conform(kubeconform, schemas, yaml.safe_dump(one))
    assert found["summary"]["invalid"] == 1, found


@pytest.mark.parametrize("name", MATRIX)
def test_the_api_server_takes_every_object(cluster_for_charts: TestBed, helm: Helm, name: str) -> None:
    manifests = helm.template(case(name), api_versions=SERVED)
    assert len(dry_run(cluster_for_charts, manifests)) == len(helm.objects(case(name)))


@pytest.mark.parametrize("name", MATRIX)
def test_the_pod_satisfies_pod_security_restricted(cluster_for_charts: TestBed, helm: Helm, name: str) -> None:
    template: dict[str, Any] = next(one for one in helm.objects(case(name)) if one["kind"] == "Deployment")["spec"][
        "template"
    ]
    # The account is not there in a dry run; whose the pod is does not matter to its security.
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "certwright", "namespace": "certwright"},
        "spec": {**template["spec"], "serviceAccountName": "default"},
    }
    created = cluster_for_charts.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
    assert created == "pod/certwright created (server dry run)\n"
    pod["spec"]["containers"][0]["securityContext"] = {}
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        cluster_for_charts.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_the_plain_manifests_conform_and_are_taken(
    cluster_for_charts: TestBed, kubeconform: Path, schemas: Path
) -> None:
    text = MANIFESTS.read_text(encoding="utf-8")
    found = conform(kubeconform, schemas, text)
    assert found["resources"] == []
    assert found["summary"]["valid"] == len(dry_run(cluster_for_charts, text)) > 10
