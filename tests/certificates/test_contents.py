"""What a certificate says besides its names: asked for once, and what the CA leaves out makes no further order."""

from __future__ import annotations

from typing import Any

import pytest

from certwright.certificates.need import issuance_need
from certwright.certificates.plan import plan
from certwright.certificates.secret import CONTENTS_ANNOTATION, SecretFacts, adopted_secret
from certwright.certificates.steps.resting import Refuse
from certwright.issuers.registry import IssuerView
from certwright.resources import ALT_NAMES_ANNOTATION, COMMON_NAME_ANNOTATION, IP_SANS_ANNOTATION
from tests.fakes.operator import NOW, Build

LE = "https://acme-v02.api.letsencrypt.org/directory"
CHANGES: list[dict[str, Any]] = [
    {"commonName": "a.example.test"},
    {"usages": ["client auth"]},
    {"subject": {"organizations": ["Example"]}},
    {"literalSubject": "O=Example"},
    {"uris": ["spiffe://example/a"]},
    {"emailAddresses": ["a@b.example"]},
]


@pytest.mark.parametrize("spec", CHANGES)
def test_a_ca_that_ignores_what_is_asked_for_is_not_asked_again(build: Build, spec: dict[str, Any]) -> None:
    certificate = build.certificate(**spec)
    secret = SecretFacts.of(build.secret(certificate))  # its certificate has nothing but a name
    assert issuance_need(build.observation(certificate, secret=secret), NOW) is None


@pytest.mark.parametrize("spec", CHANGES)
def test_asking_for_something_else_replaces_the_certificate(build: Build, spec: dict[str, Any]) -> None:
    for before, after in (({}, spec), (spec, {})):
        secret = SecretFacts.of(build.secret(build.certificate(**before)))
        need = issuance_need(build.observation(build.certificate(**after), secret=secret), NOW)
        assert need is not None
        assert need.reason == "ContentsChanged"


@pytest.mark.parametrize("spec", CHANGES)
def test_a_certificate_from_before_the_annotation_stays(build: Build, spec: dict[str, Any]) -> None:
    secret = build.secret()
    del secret["metadata"]["annotations"][CONTENTS_ANNOTATION]
    facts = SecretFacts.of(secret)
    assert issuance_need(build.observation(build.certificate(**spec), secret=facts), NOW) is None


def test_what_is_adopted_is_taken_as_it_is_until_the_spec_asks_for_something_else(build: Build) -> None:
    certificate = build.certificate(usages=["client auth"])
    strange = build.strange_secret()
    strange["metadata"].setdefault("resourceVersion", "1")
    assert issuance_need(build.observation(certificate, secret=SecretFacts.of(strange)), NOW) is None
    adopted = SecretFacts.of(adopted_secret(certificate, strange))
    assert issuance_need(build.observation(certificate, secret=adopted), NOW) is None
    need = issuance_need(build.observation(build.certificate(usages=["server auth"]), secret=adopted), NOW)
    assert need is not None
    assert need.reason == "ContentsChanged"


def test_the_annotations_of_the_secret_say_what_it_is_for(build: Build) -> None:
    certificate = build.certificate(
        "B.example.test", "a.example.test.", ipAddresses=["2001:DB8::1", "192.0.2.1"], commonName="a.example.test"
    )
    annotations = build.secret(certificate)["metadata"]["annotations"]
    assert annotations[ALT_NAMES_ANNOTATION] == "a.example.test,b.example.test"
    assert annotations[IP_SANS_ANNOTATION] == "192.0.2.1,2001:db8::1"
    assert annotations[COMMON_NAME_ANNOTATION] == "a.example.test"
    assert IP_SANS_ANNOTATION not in build.secret()["metadata"]["annotations"]


@pytest.mark.parametrize("spec", [{"uris": ["spiffe://example/a"]}, {"emailAddresses": ["a@b.example"]}])
def test_what_no_public_ca_grants_is_not_ordered_from_one(build: Build, spec: dict[str, Any]) -> None:
    certificate = build.certificate(**spec)
    view = IssuerView("ready")
    at_public = build.observation(certificate, issuer_view=view, request=build.request(certificate, server=LE))
    step = plan(at_public, NOW)
    assert isinstance(step, Refuse)
    assert (step.reason, next(iter(spec)) in step.message) == ("ContentsNotSupported", True)
    at_private = build.observation(certificate, issuer_view=view, request=build.request(certificate))
    assert not isinstance(plan(at_private, NOW), Refuse)
