from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.resources import ClusterIssuer, Issuer
from chart.matrix import case

if TYPE_CHECKING:
    from chart import Helm

SERVED: Final = ("certwright.io/v1/Issuer", "certwright.io/v1/ClusterIssuer")
OWNERSHIP: Final = {"meta.helm.sh/release-name": "certwright", "meta.helm.sh/release-namespace": "certwright"}


def issuers(helm: Helm, values: dict[str, Any], served: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    objects = helm.objects(values, api_versions=served)
    return [one for one in objects if one["kind"] in {"Issuer", "ClusterIssuer"}]


def test_an_issuer_is_what_was_asked_for(helm: Helm) -> None:
    values = case("issuers")
    found = issuers(helm, values, SERVED)
    asked = [("Issuer", one) for one in values["issuers"]] + [
        ("ClusterIssuer", one) for one in values["clusterIssuers"]
    ]
    assert {(one["kind"], one["metadata"]["name"]) for one in found} == {(kind, one["name"]) for kind, one in asked}
    for kind, one in asked:
        made = next(it for it in found if (it["kind"], it["metadata"]["name"]) == (kind, one["name"]))
        assert made["spec"] == one["spec"]
        assert made["metadata"].get("namespace") == one.get("namespace")
        assert made["metadata"].get("annotations", {}) == one.get("annotations", {})
        assert one.get("labels", {}).items() <= made["metadata"]["labels"].items()
        (Issuer if kind == "Issuer" else ClusterIssuer).parse(made)


def test_beside_crds_that_are_not_there_yet_issuers_are_hooks_that_helm_takes_over_later(helm: Helm) -> None:
    found = issuers(helm, case("issuers"))
    assert len(found) == 3
    for one in found:
        annotations = one["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "post-install"
        assert annotations.items() >= OWNERSHIP.items()
        assert one["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


@pytest.mark.parametrize(("served", "install"), [(SERVED, True), ((), False)])
def test_beside_crds_that_are_there_issuers_are_ordinary_objects(
    helm: Helm, served: tuple[str, ...], *, install: bool
) -> None:
    for one in issuers(helm, {**case("issuers"), "crds": {"install": install}}, served):
        assert not {"helm.sh/hook", *OWNERSHIP} & set(one["metadata"].get("annotations", {}))
