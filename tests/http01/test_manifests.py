from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.http01 import manifests, routes
from certwright.http01.program import ANSWERS_VARIABLE, parse_answers
from certwright.http01.settings import (
    GatewayRoute,
    IngressRoute,
    PodSettings,
    Settings,
    SharedSettings,
    object_name,
)
from tests.fakes.http01 import file

if TYPE_CHECKING:
    from certwright.http01.settings import Owner

FILES = [file("a.example.test", "t1"), file("b.example.test", "t2")]
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"team": "a", "app.kubernetes.io/name": "mine"}, "annotations": {"note": "x"}},
    "spec": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "serviceAccountName": "solver",
        "imagePullSecrets": [{"name": "registry"}],
        "securityContext": {"runAsUser": 1234},
        "resources": {"limits": {"memory": "32Mi"}},
    },
}


def test_a_pod_meets_the_restricted_level_and_has_bounds(owner: Owner) -> None:
    spec = manifests.pod(owner, "cw-web", FILES, PodSettings("image"))["spec"]
    [container] = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"].keys() == {"requests", "limits"}


def test_a_pod_names_no_user_so_that_a_namespace_may_give_it_one(owner: Owner) -> None:
    """OpenShift refuses users outside of the namespace's range; the image has a numeric one for everywhere else."""
    spec = manifests.pod(owner, "cw-web", FILES, PodSettings("image"))["spec"]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & spec["securityContext"].keys()


def test_a_pod_is_ready_once_it_answers(owner: Owner) -> None:
    [container] = manifests.pod(owner, "cw-web", FILES, PodSettings("image"))["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}


def test_resources_are_the_issuers_else_the_operators_else_the_default(owner: Owner) -> None:
    own, general = {"limits": {"memory": "1Gi"}}, {"requests": {"ephemeral-storage": "1Mi"}}

    def resources(settings: PodSettings) -> Any:
        return manifests.pod(owner, "cw-web", FILES, settings)["spec"]["containers"][0]["resources"]

    template = {"spec": {"resources": own}}
    assert resources(PodSettings("image", template=template, resources=general)) == own
    assert resources(PodSettings("image", resources=general)) == general
    assert resources(PodSettings("image")) == manifests.RESOURCES


def test_annotations_of_ours_win_over_those_of_a_template(owner: Owner) -> None:
    template = {"metadata": {"annotations": {"sidecar.istio.io/inject": "true"}}}
    pod = manifests.pod(owner, "cw-web", FILES, PodSettings("image", template=template))
    assert pod["metadata"]["annotations"] == manifests.POD_ANNOTATIONS


def test_a_pod_answers_what_it_was_made_for(owner: Owner) -> None:
    [container] = manifests.pod(owner, "cw-web", FILES, PodSettings("image"))["spec"]["containers"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    assert parse_answers(variables[ANSWERS_VARIABLE]) == {
        ("a.example.test", "t1"): "t1.thumbprint",
        ("b.example.test", "t2"): "t2.thumbprint",
    }


def test_a_template_adds_and_replaces_but_never_what_the_solver_is_found_by(owner: Owner) -> None:
    pod = manifests.pod(owner, "cw-web", FILES, PodSettings("image", template=TEMPLATE))
    assert pod["metadata"]["labels"] == {"team": "a", **owner.labels, manifests.NAME_LABEL: "cw-web"}
    assert pod["metadata"]["annotations"] == {**manifests.POD_ANNOTATIONS, "note": "x"}
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux", "disk": "ssd"}
    assert pod["spec"]["securityContext"] == {**manifests.POD_SECURITY, "runAsUser": 1234}
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"memory": "32Mi"}}
    for field in ("tolerations", "affinity", "priorityClassName", "serviceAccountName", "imagePullSecrets"):
        assert pod["spec"][field] == TEMPLATE["spec"][field]


def test_everything_is_owned_and_labelled(owner: Owner) -> None:
    made = [
        manifests.pod(owner, "n", FILES, PodSettings("image")),
        manifests.service(owner, "n", service_type="ClusterIP", of_pod=True),
        manifests.endpoint_slice(owner, "n", SharedSettings("192.0.2.1", 8089)),
        routes.ingress(owner, "n", FILES, IngressRoute()),
        *(route for _, route in routes.http_routes(owner, "n", FILES, GatewayRoute(({"name": "gateway"},)))),
    ]
    for manifest in made:
        assert manifest["metadata"]["ownerReferences"] == [owner.reference]
        assert owner.selector.items() <= manifest["metadata"]["labels"].items()


def test_a_service_finds_its_pod_and_no_other(owner: Owner) -> None:
    selector = manifests.service(owner, "cw-web", service_type="NodePort", of_pod=True)["spec"]["selector"]
    pod = manifests.pod(owner, "cw-web", FILES, PodSettings("image", template=TEMPLATE))
    other = manifests.pod(owner, "cw-web-2", FILES, PodSettings("image"))
    assert selector.items() <= pod["metadata"]["labels"].items()
    assert not selector.items() <= other["metadata"]["labels"].items()
    assert "selector" not in manifests.service(owner, "cw-web", service_type="ClusterIP", of_pod=False)["spec"]


@pytest.mark.parametrize(("address", "kind"), [("192.0.2.1", "IPv4"), ("2001:db8::1", "IPv6")])
def test_an_endpoint_slice_leads_to_the_operator(owner: Owner, address: str, kind: str) -> None:
    made = manifests.endpoint_slice(owner, "cw-web", SharedSettings(address, 8089))
    assert made["addressType"] == kind
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "cw-web"
    assert made["endpoints"][0]["addresses"] == [address]


SETTINGS = Settings(PodSettings("image"), IngressRoute())


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        (SETTINGS, True),
        (Settings(PodSettings("image"), IngressRoute(), self_check="off"), True),
        (Settings(PodSettings("image:2"), IngressRoute()), False),
        (Settings(PodSettings("image"), IngressRoute(class_name="nginx")), False),
    ],
)
def test_the_name_changes_with_what_would_need_other_objects(owner: Owner, settings: Settings, *, same: bool) -> None:
    name = object_name(owner, FILES, SETTINGS)
    assert (object_name(owner, list(reversed(FILES)), settings) == name) is same
    assert object_name(owner, FILES[:1], settings) != name


def test_an_operator_at_another_address_keeps_the_name(owner: Owner) -> None:
    here, there = (Settings(SharedSettings(f"192.0.2.{n}", 8089), IngressRoute()) for n in (1, 2))
    assert object_name(owner, FILES, here) == object_name(owner, FILES, there)


@pytest.mark.parametrize("certificate", ["web", "1.long-name." + "x" * 200, "a" * 39 + ".b"])
def test_a_name_is_one_that_services_can_have(owner: Owner, certificate: str) -> None:
    from dataclasses import replace  # noqa: PLC0415 - for this test alone

    name = object_name(replace(owner, name=certificate), FILES, SETTINGS)
    assert len(name) <= 63
    assert name[0].isalpha()
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert "--" not in name
