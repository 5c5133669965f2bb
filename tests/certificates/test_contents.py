"""What a certificate says besides its names: asked for once, and what the CA leaves out makes no further order."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from certwright import acme
from certwright.certificates.key_maker import KeyMaker
from certwright.certificates.need import issuance_need
from certwright.certificates.order_request import contents_of
from certwright.certificates.plan import plan
from certwright.certificates.secret.annotations import CONTENT_DIGEST_ANNOTATION, CONTENTS_ANNOTATION
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.manifest import adopted_secret
from certwright.certificates.steps.finalize import Finalize
from certwright.certificates.steps.resting import Refuse
from certwright.failures import IssuanceError
from certwright.issuers.registry import IssuerView, ReadyIssuer
from certwright.pki import build_csr, generate_private_key
from certwright.resources import ALT_NAMES_ANNOTATION, COMMON_NAME_ANNOTATION, IP_SANS_ANNOTATION, subject
from certwright.runtime.key import Key
from tests.fakes.operator import KEY, NOW, Build, Issuing

from .bench import Bench

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.tools import Tools
    from certwright.pki import KeyAlgorithm, PrivateKey
    from tests.fakes.operator import FakeKubeApi

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


@pytest.mark.parametrize("spec", CHANGES)
def test_what_another_tool_put_in_its_place_is_judged_by_itself(build: Build, spec: dict[str, Any]) -> None:
    secret, other = build.secret(), build.secret(build.certificate(**spec))
    secret["data"] = other["data"]
    secret["metadata"]["annotations"][CONTENT_DIGEST_ANNOTATION] = "of-ours"
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


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    return Bench(build, kube_api, now)


async def test_what_the_ca_left_out_is_told_once_and_ordered_once(bench: Bench) -> None:
    bench.write("a.example.test", subject={"organizations": ["Example"], "countries": ["DE"]})
    await bench.run()
    assert bench.condition().status == "True"
    assert bench.events.count("ContentsIgnored") == 1
    assert "subject C=DE, O=Example" in bench.messages["ContentsIgnored"]
    await bench.run(for_seconds=10 * 24 * 3600)
    assert (len(bench.ca.orders), bench.events.count("ContentsIgnored")) == (1, 1)


async def test_another_spelling_of_the_names_orders_nothing(bench: Bench) -> None:
    bench.write("a.example.test", "b.example.test")
    await bench.run()
    bench.write("B.Example.test.", "A.example.TEST", "a.example.test", metadata={"generation": 2})
    await bench.run()
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 1)


async def test_a_large_key_is_made_while_others_are_served_and_the_order_waits_for_it(bench: Bench) -> None:
    go_on = threading.Event()

    def slow(algorithm: KeyAlgorithm, size: int | None) -> PrivateKey:
        go_on.wait(60)
        return generate_private_key(algorithm, size)

    object.__setattr__(bench.reconciler._tools, "keys", KeyMaker(slow, patience=0.01))
    bench.write("a.example.test", privateKey={"algorithm": "RSA", "size": 4096})
    await bench.run(for_seconds=120)
    assert bench.condition("Issuing").reason == "GeneratingKey"
    assert "RSA key of 4096 bits" in (bench.condition("Issuing").message or "")
    assert len(bench.ca.orders) == 1
    go_on.set()
    async with asyncio.timeout(60):
        while bench.condition().status != "True":
            await bench.run(for_seconds=10)
    assert len(bench.ca.orders) == 1
    assert bench.secret_names == {"web-tls"}, "the pending key is gone"


async def test_a_csr_that_is_refused_for_its_uris_is_told_as_such(build: Build, now: dt.datetime) -> None:
    async def finalize(order: acme.Order, csr: bytes) -> acme.Order:
        names = x509.load_der_x509_csr(csr).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://example/a"]
        problem = acme.Problem(type="urn:ietf:params:acme:error:badCSR", detail="no URIs here")
        raise acme.BadCsr(problem, action="finalize", url=order.finalize_url, status=400)

    client: Any = type("Client", (), {"finalize": staticmethod(finalize)})
    issuer = ReadyIssuer(
        Key("Issuer", "team", "ca"), "uid-ca", 1, build.issuer(), client, "https://ca.example.test/account/1", "team"
    )
    key = acme.AccountKey.generate()._private_key
    certificate = build.certificate(uris=["spiffe://example/a"])
    observation = build.observation(certificate, issuer=issuer, open_order=build.open_order("ready", key=key))
    tools = cast("Tools", type("Tools", (), {"kube_api": None, "clock": staticmethod(lambda: now)}))
    with pytest.raises(IssuanceError, match=r"no URIs here.*uris, which ACME cannot validate") as caught:
        async for _ in Finalize().run(observation, tools):
            pass
    assert (caught.value.reason, caught.value.costly) == ("ContentsNotSupported", True)


@given(
    st.from_regex(re.compile(subject.MAILBOX.pattern, re.ASCII), fullmatch=True),
    st.from_regex(re.compile(subject.URI.pattern, re.ASCII), fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64).filter(str.strip),
)
def test_whatever_the_spec_may_say_can_be_in_a_request(mailbox: str, uri: str, text: str) -> None:
    build = Build(Issuing())
    certificate = build.certificate(
        emailAddresses=[mailbox], uris=[uri], subject={"organizations": [text], "serialNumber": "1 a'(),/:=?"}
    )
    assert build_csr(KEY, dns_names=["a.example.test"], contents=contents_of(certificate))
