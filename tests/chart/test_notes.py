"""NOTES.txt says what to do next, by the values that were given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from certwright.resources import ClusterIssuer, Issuer
from chart.matrix import MATRIX, case
from harness.documented import filled_in

if TYPE_CHECKING:
    from chart import Helm


def notes(helm: Helm, values: dict[str, Any], **options: Any) -> str:
    return helm.template(values, notes=True, **options).partition("\nNOTES:\n")[2]


@pytest.mark.parametrize("name", MATRIX)
def test_the_first_thing_is_to_wait_for_the_rollout(helm: Helm, name: str) -> None:
    objects = helm.objects(case(name))
    deployment = next(one["metadata"]["name"] for one in objects if one["kind"] == "Deployment")
    said = notes(helm, case(name))
    assert f"kubectl --namespace certwright rollout status deployment/{deployment}\n" in said
    assert "kubectl describe cwcert NAME" in said
    assert "docs/operating.md" in said
    assert "%!" not in said
    assert "<no value>" not in said


@pytest.mark.parametrize(
    ("values", "model"),
    [
        ({}, ClusterIssuer),
        ({"http01": {"enabled": False}}, ClusterIssuer),
        ({"namespaces": ["chart-a"]}, Issuer),
        ({"namespaces": ["chart-a"], "http01": {"enabled": False}}, Issuer),
    ],
)
def test_the_issuer_that_is_shown_is_one(
    helm: Helm, values: dict[str, Any], model: type[Issuer | ClusterIssuer]
) -> None:
    shown = re.search(r" +apiVersion:.*?(?=\n\n)", notes(helm, values), re.DOTALL)
    assert shown
    manifest = yaml.safe_load(filled_in(shown[0]))
    assert manifest["kind"] == model.__name__
    assert manifest["metadata"].get("namespace") == ("chart-a" if model is Issuer else None)
    solver = manifest["spec"]["acme"]["solvers"][0]
    assert list(solver) == (["dns01"] if values.get("http01") else ["http01"])
    model.parse(manifest)


def test_issuers_that_were_given_are_to_be_looked_at_in_place_of_an_example(helm: Helm) -> None:
    said = notes(helm, case("issuers"))
    assert "kubectl get cwciss letsencrypt-staging\n" in said
    assert "kubectl --namespace chart-a get cwiss internal\n" in said
    assert "apiVersion" not in said


def test_what_is_special_about_the_values_is_said(helm: Helm) -> None:
    assert "It serves the namespaces chart-a, chart-b" in notes(helm, case("namespaced"))
    assert "It serves all namespaces" in notes(helm, {})
    assert "get lease chosen" in notes(helm, case("high-availability"))
    assert "get lease" not in notes(helm, {})
    assert "helm uninstall` will remove the CRDs" in notes(helm, case("single"))
    assert "The CRDs are not part of this release" in notes(helm, case("rights-elsewhere"))
