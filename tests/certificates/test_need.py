from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.need import Need, issuance_need
from certwright.certificates.secret.facts import SecretFacts
from certwright.pki import generate_private_key

if TYPE_CHECKING:
    from certwright.certificates.order_request import OrderRequest
    from certwright.resources import Certificate
    from tests.fakes.operator import Build

DAY = dt.timedelta(days=1)
MICROSECOND = dt.timedelta(microseconds=1)


def need_of(
    build: Build, now: dt.datetime, certificate: Certificate, secret: SecretFacts, request: OrderRequest | None
) -> Need | None:
    return issuance_need(build.observation(certificate, secret=secret, request=request), now)


def test_a_secret_that_is_as_asked_needs_nothing(build: Build, now: dt.datetime) -> None:
    certificate = build.certificate("b.example.test", "*.a.example.test", "a.example.test")
    assert need_of(build, now, certificate, build.facts(certificate), build.request(certificate)) is None
    assert need_of(build, now, certificate, build.facts(certificate), None) is None


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (("a.example.test", "b.example.test"), "lacks b.example.test"),
        (("b.example.test",), "lacks b.example.test and still has a.example.test"),
        (("*.a.example.test", "a.example.test"), "lacks *.a.example.test"),
        (tuple("abcde"), "lacks a, b, c and more and still has a.example.test"),
    ],
)
def test_names_that_differ(build: Build, now: dt.datetime, spec: tuple[str, ...], said: str) -> None:
    need = need_of(build, now, build.certificate(*spec), build.facts(), None)
    assert need is not None
    assert (need.reason, need.message) == ("NamesChanged", f"the certificate in Secret web-tls {said}")


def test_a_wildcard_is_not_its_apex(build: Build, now: dt.datetime) -> None:
    wildcard = build.facts(build.certificate("*.a.example.test"))
    need = need_of(build, now, build.certificate("a.example.test"), wildcard, None)
    assert need is not None
    assert need.reason == "NamesChanged"


def test_upper_case_in_the_certificate_is_the_same_name(build: Build, now: dt.datetime) -> None:
    assert need_of(build, now, build.certificate(), build.facts(names=("A.Example.TEST",)), None) is None


@pytest.mark.parametrize(
    ("data", "reason", "said"),
    [
        (None, "DoesNotExist", "Secret web-tls is empty"),
        ({"tls.crt": "", "tls.key": ""}, "DoesNotExist", "Secret web-tls is empty"),
        ({"tls.crt": "AAAA"}, "Unusable", "Secret web-tls cannot be used: its tls.key is missing"),
        ({"tls.crt": "AAAA", "tls.key": "!"}, "Unusable", "Secret web-tls cannot be used: its tls.key is missing"),
    ],
)
def test_a_secret_without_a_certificate(build: Build, now: dt.datetime, data: Any, reason: str, said: str) -> None:
    need = need_of(build, now, build.certificate(), SecretFacts.of({**build.secret(), "data": data}), None)
    assert need is not None
    assert (need.reason, need.message) == (reason, said)


@pytest.mark.parametrize(("private_key", "said"), [({"algorithm": "RSA"}, "not RSA"), ({"size": 384}, "not ECDSA 384")])
def test_another_key_is_asked_for(build: Build, now: dt.datetime, private_key: Any, said: str) -> None:
    need = need_of(build, now, build.certificate(privateKey=private_key), build.facts(), None)
    assert need is not None
    assert need.reason == "PrivateKeyChanged"
    assert said in need.message
    assert need.refusal is None
    never = build.certificate(privateKey={**private_key, "rotationPolicy": "Never"})
    need = need_of(build, now, never, build.facts(), None)
    assert need is not None
    assert need.refusal is not None
    assert need.refusal.reason == "PrivateKeyMismatch"


def test_a_key_of_the_right_kind_is_kept(build: Build, now: dt.datetime) -> None:
    certificate = build.certificate(privateKey={"algorithm": "Ed25519", "rotationPolicy": "Never"})
    facts = build.facts(certificate, key=generate_private_key("Ed25519"))
    assert need_of(build, now, certificate, facts, None) is None


def test_an_immutable_secret_is_refused_only_when_it_must_change(build: Build, now: dt.datetime) -> None:
    secret = {**build.secret(), "immutable": True}
    assert need_of(build, now, build.certificate(), SecretFacts.of(secret), None) is None
    need = need_of(build, now, build.certificate("b.example.test"), SecretFacts.of(secret), None)
    assert need is not None
    assert need.refusal is not None
    assert need.refusal.reason == "SecretImmutable"


def test_another_issuer_is_asked_for(build: Build, now: dt.datetime) -> None:
    for reference in ({"name": "other"}, {"name": "ca", "kind": "ClusterIssuer"}):
        need = need_of(build, now, build.certificate(issuerRef=reference), build.facts(), None)
        assert need is not None
        assert (need.reason, need.message) == ("IssuerChanged", "the certificate was issued by Issuer ca")


def test_the_issuer_is_at_another_ca_now(build: Build, now: dt.datetime) -> None:
    certificate = build.certificate()
    request = build.request(certificate, server="https://other.example.test/directory")
    need = need_of(build, now, certificate, build.facts(), request)
    assert need is not None
    assert need.reason == "IssuerChanged"


def test_where_a_strangers_certificate_is_from_does_not_matter(build: Build, now: dt.datetime) -> None:
    secret = build.secret()
    del secret["metadata"]["labels"]
    certificate = build.certificate(issuerRef={"name": "other"})
    request = build.request(certificate, server="https://other.example.test/directory")
    assert need_of(build, now, certificate, SecretFacts.of(secret), request) is None


def test_time(build: Build, now: dt.datetime) -> None:
    certificate, facts = build.certificate(), build.facts(not_before=now, life=90 * DAY)

    def reason_at(instant: dt.datetime) -> str | None:
        need = need_of(build, instant, certificate, facts, None)
        return None if need is None else need.reason

    assert reason_at(now + 57 * DAY - MICROSECOND) is None
    assert reason_at(now + 60 * DAY) == "Renewal"
    assert reason_at(now + 90 * DAY - MICROSECOND) == "Renewal"
    assert reason_at(now + 90 * DAY) == "Expired"
