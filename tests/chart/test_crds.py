from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from chart.helm import CHART
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from chart import Helm

SOURCES: Final = sorted((PROJECT / "crds").glob("*.yaml"))


def test_the_copies_in_the_chart_are_copies() -> None:
    copies = {path.name: path.read_bytes() for path in (CHART / "files" / "crds").iterdir()}
    assert len(copies) == 3
    assert copies == {path.name: path.read_bytes() for path in SOURCES}


@pytest.mark.parametrize("keep", [True, False])
def test_the_chart_adds_labels_and_the_annotation_and_changes_nothing(helm: Helm, *, keep: bool) -> None:
    objects = helm.objects({"crds": {"keep": keep}})
    rendered = {one["metadata"]["name"]: one for one in objects if one["kind"] == "CustomResourceDefinition"}
    assert len(rendered) == len(SOURCES)
    for path in SOURCES:
        source: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = rendered[source["metadata"]["name"]]
        assert found["spec"] == source["spec"]
        labels = found["metadata"].pop("labels")
        assert source["metadata"].pop("labels").items() <= labels.items()
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        annotations = {"helm.sh/resource-policy": "keep"} if keep else {}
        assert found["metadata"].pop("annotations", {}) == annotations
        assert found["metadata"] == source["metadata"]


def test_crds_can_be_left_out(helm: Helm) -> None:
    objects = helm.objects({"crds": {"install": False}})
    assert not [one for one in objects if one["kind"] == "CustomResourceDefinition"]
