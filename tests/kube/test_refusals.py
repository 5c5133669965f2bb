"""The words are those of Kubernetes 1.34, OpenShift 4, ingress-nginx 1.12 and Kyverno 1.13."""

from __future__ import annotations

import datetime as dt

import pytest

from certwright.failures import classify
from certwright.kube.errors import Forbidden, Invalid, KubeError, Unavailable
from certwright.kube.refusals import advice

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'pods "cw-web" is forbidden: exceeded quota: no-pods, requested: pods=1, used: pods=0, limited: pods=0',
            "use responder: shared",
        ),
        (
            'tlsroutes.gateway.networking.k8s.io "a" is forbidden: User "x" cannot patch resource "tlsroutes" in API',
            "tlsAlpn01.enabled",
        ),
        (
            'secrets "a" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=5, limited: secrets=5',
            "Raise that quota",
        ),
        (
            'pods "cw-web" is forbidden: failed quota: all: must specify limits.ephemeral-storage for: solver',
            "http01.solver.resources",
        ),
        (
            'pods "cw-web" is forbidden: minimum cpu usage per Container is 10m, but request is 5m',
            "http01.solver.resources",
        ),
        (
            'pods "cw-web" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 50.0',
            "http01.solver.resources",
        ),
        (
            'pods "cw-web" is forbidden: violates PodSecurity "restricted:latest": unrestricted capabilities',
            "securityContext",
        ),
        (
            'pods "cw-web" is forbidden: unable to validate against any security context constraint: [provider x]',
            "securityContext",
        ),
        (
            'admission webhook "nginx" denied the request: path /.well-known cannot be used with pathType Exact',
            "ImplementationSpecific",
        ),
        (
            "ValidatingAdmissionPolicy 'labels' with binding 'labels' denied request: every object needs a team",
            "objectLabels",
        ),
        ('admission webhook "validate.kyverno.svc-fail" denied the request: label team is required', "objectLabels"),
    ],
)
def test_a_refusal_comes_with_the_setting_that_answers_it(message: str, words: str) -> None:
    error = Forbidden("create Pod shop/cw-web", status=403, reason="Forbidden", message=message)
    failure = classify(error, NOW)
    assert failure.reason == "APIServerRefused"
    assert message in failure.message, "it names the quota or policy"
    assert words in failure.message


@pytest.mark.parametrize(
    "error",
    [
        Forbidden("list pods", status=403, message='pods is forbidden: User "x" cannot list resource "pods"'),
        Invalid("create Pod", status=422, message="quantities must match the regular expression"),
        Unavailable("create Pod", status=500, message="exceeded quota: x"),
        KubeError("create Pod", message="exceeded quota: x"),
    ],
)
def test_for_anything_else_nothing_is_advised(error: KubeError) -> None:
    assert advice(error) == ""
