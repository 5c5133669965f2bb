"""What holds for every object, whatever the values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from chart import documented_values
from chart.matrix import MATRIX, case, touched

if TYPE_CHECKING:
    from chart import Helm

CLUSTER_SCOPED: Final = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "ClusterIssuer"}
FOREIGN: Final = {"ConfigMap", "Secret"}


@pytest.fixture(params=MATRIX)
def objects(request: pytest.FixtureRequest, helm: Helm) -> list[dict[str, Any]]:
    return helm.objects(case(request.param), namespace="certwright")


@pytest.mark.parametrize("name", MATRIX)
def test_helm_finds_nothing_to_complain_about(helm: Helm, name: str) -> None:
    assert "0 chart(s) failed" in helm.lint(case(name))


def test_each_value_is_set_by_some_case() -> None:
    tried = {path for name in MATRIX for path in touched(case(name))}
    assert {value.name for value in documented_values() if value.path not in tried} == set()


def test_no_object_is_there_twice(objects: list[dict[str, Any]]) -> None:
    seen = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
    assert len(seen) == len(set(seen))


def test_objects_say_where_they_are(objects: list[dict[str, Any]]) -> None:
    for one in objects:
        assert ("namespace" in one["metadata"]) is (one["kind"] not in CLUSTER_SCOPED), one["kind"]


def test_objects_have_the_recommended_labels(objects: list[dict[str, Any]]) -> None:
    for one in objects:
        if one["kind"] in FOREIGN:
            continue
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "certwright"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/part-of"] == "certwright"
        assert labels["app.kubernetes.io/version"] == "0.1.0"
        assert labels["helm.sh/chart"].startswith("certwright-")
        assert labels["app.kubernetes.io/name"] in {"certwright", "certs"}


def test_selectors_find_the_pods(objects: list[dict[str, Any]]) -> None:
    deployment = next(one for one in objects if one["kind"] == "Deployment")
    pod_labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for one in objects:
        spec = one.get("spec", {})
        match one["kind"]:
            case "Deployment" | "PodDisruptionBudget" | "PodMonitor":
                selector = spec["selector"]["matchLabels"]
            case "NetworkPolicy":
                selector = spec["podSelector"]["matchLabels"]
            case "Service":
                selector = spec["selector"]
            case _:
                continue
        assert selector
        assert selector.items() <= pod_labels, one["kind"]


def test_a_service_monitor_finds_the_service(helm: Helm) -> None:
    objects = {one["kind"]: one for one in helm.objects(case("service-monitor"))}
    monitor, service = objects["ServiceMonitor"]["spec"], objects["Service"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["namespaceSelector"]["matchNames"] == [service["metadata"]["namespace"]]
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_common_labels_are_on_every_object_of_the_chart(helm: Helm) -> None:
    for one in helm.objects(case("extra-objects")):
        if one["kind"] not in FOREIGN:
            assert one["metadata"]["labels"]["team"] == "platform"


def test_extra_objects_are_templates(helm: Helm) -> None:
    objects = {one["kind"]: one for one in helm.objects(case("extra-objects"), release="mine", namespace="there")}
    assert objects["ConfigMap"]["metadata"] == {"name": "mine-certwright-extra", "namespace": "there"}
    assert objects["ConfigMap"]["data"] == {"version": "0.1.0"}
    assert objects["Secret"]["stringData"] == {"replicas": "1"}


@pytest.mark.parametrize(
    ("release", "namespace", "name", "cluster_name"),
    [
        ("certwright", "certwright", "certwright", "certwright"),
        ("certwright", "tls", "certwright", "tls-certwright"),
        ("main", "tls", "main-certwright", "tls-main-certwright"),
        ("r" * 53, "n" * 63, f"{'r' * 50}", f"{'n' * 63}-{'r' * 50}"),
    ],
)
def test_two_releases_never_share_a_name(
    helm: Helm, release: str, namespace: str, name: str, cluster_name: str
) -> None:
    objects = helm.objects(release=release, namespace=namespace)
    assert next(one for one in objects if one["kind"] == "Deployment")["metadata"]["name"] == name
    names = {one["metadata"]["name"] for one in objects if one["kind"] == "ClusterRole"}
    assert names == {cluster_name, f"{cluster_name}-view", f"{cluster_name}-edit"}
