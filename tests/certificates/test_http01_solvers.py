"""http-01 solvers made from what an issuer says and what the operator was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.failures import IssuanceError, classify
from certwright.http01.errors import SolverError
from certwright.http01.presenter import Http01Presenter
from certwright.http01.settings import GatewayRoute, IngressRoute, PodSettings, SharedSettings
from certwright.issuers.presenters import Http01Options, PresenterFactory
from certwright.issuers.registry import ReadyIssuer
from certwright.resources import Http01
from certwright.runtime.key import Key

if TYPE_CHECKING:
    import datetime as dt

    from certwright.http01.settings import Settings
    from tests.fakes.operator import Build

FULL = Http01Options(image="certwright:1", responder_address="192.0.2.1", responder_port=9000, check_port=8080)
TEMPLATE = {"metadata": {"labels": {"team": "a"}}, "spec": {"nodeSelector": {"disk": "ssd"}}}


async def made(build: Build, options: Http01Options, override: dict[str, Any] | None = None, **http01: Any) -> Settings:
    spec = build.issuer(solvers=[{"http01": http01}])
    issuer = ReadyIssuer(Key("Issuer", "team", "ca"), "u", 1, spec, cast("Any", None), "account", "team")
    factory = PresenterFactory(*[cast("Any", None)] * 3, http01=options)
    certificate = build.certificate(http01=override) if override is not None else build.certificate()
    solver = await factory.make(issuer, spec.solvers[0], certificate)
    assert isinstance(solver, Http01Presenter)
    given = spec.solvers[0].http01
    assert given is not None
    assert solver.patience == given.self_check_timeout
    assert solver._owner.reference["uid"] == "uid-web"
    return solver._settings


async def test_a_pod_by_default(build: Build) -> None:
    settings = await made(build, FULL, ingress={})
    assert settings.responder == PodSettings("certwright:1", "IfNotPresent", {})
    assert settings.route == IngressRoute()
    assert (settings.self_check, settings.check_port, settings.service_type) == ("required", 8080, "ClusterIP")


async def test_all_that_an_ingress_may_say(build: Build) -> None:
    metadata = {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    settings = await made(
        build,
        FULL,
        ingress={
            "ingressClassName": "nginx",
            "serviceType": "NodePort",
            "podTemplate": TEMPLATE,
            "ingressTemplate": {"metadata": metadata},
        },
        selfCheck="advisory",
        nameservers=["192.0.2.53"],
    )
    assert settings.route == IngressRoute(class_name="nginx", labels={"a": "b"}, annotations={"c": "d"})
    assert isinstance(settings.responder, PodSettings)
    assert settings.responder.template["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert settings.responder.template["metadata"]["labels"] == {"team": "a"}
    assert (settings.service_type, settings.self_check, settings.nameservers) == (
        "NodePort",
        "advisory",
        ("192.0.2.53",),
    )


@pytest.mark.parametrize(
    ("ingress", "route"),
    [
        ({"class": "gce"}, IngressRoute(class_annotation="gce")),
        ({"name": "front"}, IngressRoute(edit="front")),
    ],
)
async def test_other_ways_to_say_which_ingress(build: Build, ingress: dict[str, Any], route: IngressRoute) -> None:
    assert (await made(build, FULL, ingress=ingress)).route == route


async def test_a_gateway_and_the_shared_responder(build: Build) -> None:
    gateway = {"parentRefs": [{"name": "gateway", "namespace": "infra", "sectionName": "web"}], "labels": {"a": "b"}}
    settings = await made(build, FULL, gatewayHTTPRoute=gateway, responder="shared")
    assert settings.responder == SharedSettings("192.0.2.1", 9000)
    assert settings.route == GatewayRoute(
        (
            {
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": "gateway",
                "namespace": "infra",
                "sectionName": "web",
            },
        ),
        {"a": "b"},
    )


@pytest.mark.parametrize(
    ("responder", "reason", "words"),
    [
        ("pod", "SolverImageUnknown", "start it with --solver-image"),
        ("shared", "ResponderUnavailable", "start it with --responder-address"),
    ],
)
async def test_what_the_operator_was_not_told_is_asked_for_before_any_order(
    build: Build, responder: str, reason: str, words: str
) -> None:
    with pytest.raises(IssuanceError, match=words) as caught:
        await made(build, Http01Options(), ingress={}, responder=responder)
    assert (caught.value.reason, caught.value.costly) == (reason, False)


@pytest.mark.parametrize(
    ("override", "http01", "route"),
    [
        (
            {"ingress": {"ingressClassName": "internal"}},
            {"ingress": {"class": "gce", "pathType": "Exact"}},
            IngressRoute(class_name="internal", path_type="Exact"),
        ),
        ({"ingress": {"name": "front"}}, {"ingress": {}}, IngressRoute(edit="front")),
        (
            {"ingress": {"name": "front"}},
            {"gatewayHTTPRoute": {"parentRefs": [{"name": "gw"}]}},
            GatewayRoute(({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"},)),
        ),
        (
            {"gatewayHTTPRoute": {"parentRefs": [{"name": "gw"}, {"name": "mine", "namespace": "infra"}]}},
            {"gatewayHTTPRoute": {"parentRefs": [{"name": "gw"}]}},
            GatewayRoute(
                (
                    {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"},
                    {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "mine", "namespace": "infra"},
                )
            ),
        ),
    ],
)
async def test_a_certificate_leads_to_its_own_domains(
    build: Build, override: dict[str, Any], http01: dict[str, Any], route: IngressRoute | GatewayRoute
) -> None:
    assert (await made(build, FULL, override, **http01)).route == route


async def test_a_route_without_any_gateway_is_refused_before_any_order(build: Build) -> None:
    with pytest.raises(IssuanceError, match="no Gateway would serve the route") as caught:
        await made(build, FULL, gatewayHTTPRoute={})
    assert (caught.value.reason, caught.value.costly) == ("ParentRefsMissing", False)


def test_a_solver_error_is_transient(now: dt.datetime) -> None:
    failure = classify(SolverError("IngressNotFound", "The Ingress a/b does not exist."), now)
    assert (failure.reason, failure.kind, failure.message) == (
        "IngressNotFound",
        "transient",
        "The Ingress a/b does not exist.",
    )


def test_a_template_without_a_route_is_none() -> None:
    assert Http01.model_validate({"ingress": {}}).pod_template is None
