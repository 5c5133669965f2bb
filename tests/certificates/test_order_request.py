from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import Identifier
from certwright.certificates.order_request import OrderRequest, digest, names_of, requested_identifiers

if TYPE_CHECKING:
    from tests.fakes.operator import Build

ACCOUNT = "https://ca.example.test/account/1"


def test_names_are_sorted_and_lower_case(build: Build) -> None:
    certificate = build.certificate("b.example.test", "*.a.example.test", "a.example.test")
    assert names_of(requested_identifiers(certificate)) == ("*.a.example.test", "a.example.test", "b.example.test")


def test_addresses_and_the_common_name_are_requested_as_well(build: Build) -> None:
    certificate = build.certificate("a.example.test", ipAddresses=["2001:DB8::1", "192.0.2.1"], commonName="192.0.2.2")
    assert requested_identifiers(certificate) == (
        Identifier.dns("a.example.test"),
        Identifier.ip("192.0.2.1"),
        Identifier.ip("192.0.2.2"),
        Identifier.ip("2001:db8::1"),
    )
    certificate = build.certificate("a.example.test", commonName="B.example.test")
    assert names_of(requested_identifiers(certificate)) == ("a.example.test", "b.example.test")
    certificate = build.certificate("a.example.test", literalSubject="CN=c.example.test,O=x")
    assert names_of(requested_identifiers(certificate)) == ("a.example.test", "c.example.test")


def test_another_spelling_is_the_same_order(build: Build) -> None:
    one = build.certificate("a.example.test", ipAddresses=["2001:db8::1"], usages=["server auth", "client auth"])
    other = build.certificate(
        "A.example.test.", "a.example.test", ipAddresses=["2001:DB8:0::1"], usages=["client auth", "server auth"]
    )
    assert build.request(one).fingerprint == build.request(other).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"identifiers": (Identifier.dns("b.example.test"),)},
        {"server": "https://other.example.test/directory"},
        {"account_url": f"{ACCOUNT}2"},
        {"profile": "shortlived"},
        {"duration_seconds": 3600},
        {"key": ("RSA", 2048)},
        {"common_name": "a.example.test"},
        {"contents": {"usages": ["client auth"]}},
    ],
)
def test_whatever_makes_it_another_order_changes_the_fingerprint(changes: dict[str, Any]) -> None:
    same: dict[str, Any] = {
        "identifiers": (Identifier.dns("a.example.test"),),
        "server": "https://ca.example.test",
        "account_url": ACCOUNT,
    }
    assert OrderRequest(**same).fingerprint == OrderRequest(**same).fingerprint
    assert OrderRequest(**same).fingerprint != OrderRequest(**{**same, **changes}).fingerprint


def test_what_is_no_part_of_an_order_does_not(build: Build) -> None:
    plain = build.request(build.certificate()).fingerprint
    others = (
        build.certificate(secretTemplate={"labels": {"a": "b"}}, secretName="other", renewBefore="24h"),
        build.certificate(metadata={"generation": 9, "uid": "other"}),
        build.certificate(duration="24h", privateKey={"rotationPolicy": "Never", "encoding": "PKCS1"}),
    )
    assert {build.request(certificate).fingerprint for certificate in others} == {plain}
    assert build.request(build.certificate(), email="ops@example.test").fingerprint == plain


def test_a_duration_is_asked_for_only_where_the_issuer_allows_it(build: Build) -> None:
    certificate = build.certificate(duration="24h")
    assert build.request(certificate, enableDurationFeature=True).duration_seconds == 86400
    assert build.request(certificate).duration_seconds is None
    assert build.request(build.certificate(), enableDurationFeature=True).duration_seconds is None


@given(st.dictionaries(st.text(), st.integers()))
def test_a_digest_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))
    assert len(digest(value)) == 16
