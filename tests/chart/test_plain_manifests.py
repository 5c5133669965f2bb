"""deploy/certwright.yaml: the chart for people without Helm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from chart.derived import MANIFESTS, PAGE

if TYPE_CHECKING:
    from chart import Helm


def without_helm(one: dict[str, Any]) -> dict[str, Any]:
    for metadata in (one["metadata"], one.get("spec", {}).get("template", {}).get("metadata", {})):
        for key in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            metadata.get("labels", {}).pop(key, None)
        metadata.get("annotations", {}).pop("helm.sh/resource-policy", None)
        if metadata.get("annotations") == {}:
            del metadata["annotations"]
    return one


def test_it_is_the_chart_with_its_defaults_and_a_namespace(defaults: list[dict[str, Any]]) -> None:
    text = MANIFESTS.read_text(encoding="utf-8")
    found = list(yaml.safe_load_all(text))
    assert found[0]["kind"] == "Namespace"
    assert found[0]["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert found[1:] == [without_helm(one) for one in defaults]
    assert "helm.sh" not in text
    assert "Helm" not in text.partition("apiVersion")[2]


def test_it_has_no_hooks(helm: Helm) -> None:
    assert "helm.sh/hook" not in helm.template()


def test_the_commands_of_the_page_remove_all_but_what_was_issued_and_its_namespace() -> None:
    found = [one for one in yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8")) if one is not None]
    removed = re.findall(r"delete ([a-z,]+) --selector (\S+)=(\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(removed) == 2
    kinds = {kind for names, _, _ in removed for kind in names.split(",")}
    left = {
        one["kind"]
        for one in found
        if one["kind"].lower() not in kinds
        or any(one["metadata"]["labels"].get(label) != value for _, label, value in removed)
    }
    assert left == {"Namespace", "CustomResourceDefinition"}
