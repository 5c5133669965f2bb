from __future__ import annotations

from typing import Any

import pytest

from certwright.failures import IssuanceError
from certwright.issuers.template_policy import TemplatePolicy
from certwright.resources import AcmeIssuerSpec


def issuer(**ingress: Any) -> AcmeIssuerSpec:
    return AcmeIssuerSpec.model_validate(
        {
            "server": "https://ca.example.test/directory",
            "privateKeySecretRef": {"name": "account"},
            "solvers": [{"http01": {"ingress": ingress}}],
        }
    )


def pod(**metadata: Any) -> AcmeIssuerSpec:
    return issuer(podTemplate={"metadata": metadata})


def tls(**metadata: Any) -> AcmeIssuerSpec:
    body = issuer().to_json()
    body["solvers"] = [{"tlsAlpn01": {"service": {}, "podTemplate": {"metadata": metadata}}}]
    return AcmeIssuerSpec.model_validate(body)


def template(**annotations: str) -> AcmeIssuerSpec:
    return issuer(ingressTemplate={"metadata": {"annotations": annotations}})


@pytest.mark.parametrize(
    ("spec", "key", "setting"),
    [
        (pod(annotations={"sidecar.istio.io/proxyImage": "evil"}), "sidecar.istio.io/proxyImage", "podAnnotations"),
        (pod(annotations={"config.linkerd.io/proxy-image": "x"}), "config.linkerd.io/proxy-image", "podAnnotations"),
        (
            pod(annotations={"vault.hashicorp.com/agent-image": "x"}),
            "vault.hashicorp.com/agent-image",
            "podAnnotations",
        ),
        (pod(labels={"azure.workload.identity/use": "true"}), "azure.workload.identity/use", "podLabels"),
        (
            template(**{"nginx.ingress.kubernetes.io/configuration-snippet": "return 200;"}),
            "nginx.ingress.kubernetes.io/configuration-snippet",
            "ingressAnnotations",
        ),
        (template(**{"nginx.org/server-snippets": "x"}), "nginx.org/server-snippets", "ingressAnnotations"),
        (
            template(**{"nginx.ingress.kubernetes.io/auth-tls-secret": "other/secret"}),
            "nginx.ingress.kubernetes.io/auth-tls-secret",
            "ingressAnnotations",
        ),
    ],
)
def test_what_injectors_and_controllers_act_on_is_refused_and_the_setting_is_named(
    spec: AcmeIssuerSpec, key: str, setting: str
) -> None:
    with pytest.raises(IssuanceError) as caught:
        TemplatePolicy().check(spec)
    assert caught.value.reason == "TemplateRefused"
    assert "spec.acme.solvers[0].http01.ingress." in caught.value.message
    assert f"has {key}, which this operator does not allow" in caught.value.message
    assert f"chart value http01.templates.{setting}" in caught.value.message
    assert "evil" not in caught.value.message


def test_the_template_of_a_tls_solver_is_refused_where_it_stands() -> None:
    with pytest.raises(IssuanceError) as caught:
        TemplatePolicy().check(tls(labels={"azure.workload.identity/use": "true"}))
    assert "spec.acme.solvers[0].tlsAlpn01.podTemplate.metadata.labels has azure" in caught.value.message


@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_what_the_operator_sets_itself_cannot_be_set_otherwise(where: str) -> None:
    with pytest.raises(IssuanceError, match=r"sets sidecar.istio.io/inject, which can only be 'false'"):
        TemplatePolicy(("*/*",), ("*/*",)).check(pod(**{where: {"sidecar.istio.io/inject": "true"}}))
    TemplatePolicy().check(pod(**{where: {"sidecar.istio.io/inject": "false"}}))


@pytest.mark.parametrize(
    "spec",
    [
        issuer(),
        pod(labels={"team": "web", "app.kubernetes.io/component": "solver"}, annotations={"note": "x"}),
        pod(annotations={"prometheus.io/scrape": "false"}),
        template(**{"nginx.ingress.kubernetes.io/ssl-redirect": "false"}),
        template(**{"traefik.ingress.kubernetes.io/router.entrypoints": "web"}),
    ],
)
def test_what_does_no_harm_is_allowed(spec: AcmeIssuerSpec) -> None:
    TemplatePolicy().check(spec)


def test_whoever_runs_the_operator_allows_more_or_nothing() -> None:
    spec = template(**{"nginx.ingress.kubernetes.io/configuration-snippet": "x", "note": "y"})
    TemplatePolicy(ingress_annotations=("*", "nginx.ingress.kubernetes.io/*")).check(spec)
    with pytest.raises(IssuanceError, match="has note"):
        TemplatePolicy(ingress_annotations=()).check(spec)
