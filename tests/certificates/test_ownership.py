from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.certificates.ownership import OwnershipProblem, find_other_owner, ownership_problem
from certwright.certificates.secret.beside import pending_key_name
from certwright.certificates.secret.facts import SecretFacts
from certwright.resources import COMPONENT_LABEL

if TYPE_CHECKING:
    from certwright.resources import Certificate
    from tests.fakes.operator import Build


def problem_of(
    build: Build, certificate: Certificate, secret: SecretFacts | None, other_owner: str | None
) -> OwnershipProblem | None:
    return ownership_problem(build.observation(certificate, secret=secret, other_owner=other_owner))


def test_what_may_be_written(build: Build) -> None:
    certificate = build.certificate()
    ours = build.secret(build.certificate("old.example.test"))
    broken = {**ours, "data": {"tls.crt": "AAAA", "tls.key": "AAAA"}}
    empty = {**build.strange_secret(), "data": {"tls.crt": "", "tls.key": ""}}
    for secret in (ours, broken, empty, build.strange_secret()):
        assert problem_of(build, certificate, SecretFacts.of(secret), None) is None
    assert problem_of(build, certificate, None, None) is None


@pytest.mark.parametrize(
    ("names", "changes", "said"),
    [
        (["a.example.test"], {"type": "Opaque"}, "exists with type Opaque"),
        (["a.example.test"], {"type": None}, "exists with type Opaque"),
        (["a.example.test"], {"data": {"tls.crt": "AAAA", "tls.key": "AAAA"}}, "no PEM certificate"),
        (["a.example.test"], {"data": {"password": "AAAA"}}, "its tls.crt is missing"),
        (["b.example.test"], {}, "for b.example.test and not for a.example.test"),
        (["a.example.test", "b.example.test"], {}, "for a.example.test, b.example.test and not for"),
        (["*.a.example.test"], {}, "for *.a.example.test and not for a.example.test"),
        (list("abcde"), {}, "for a, b, c and 2 more and not for"),
        ([], {}, "for no DNS name and not for"),
        (["b\r\nReady: \x1b[2Ktrue.test"], {}, "for b ready: [2ktrue.test and not for"),
    ],
)
def test_what_is_not_ours_is_left_untouched(build: Build, names: list[str], changes: dict[str, Any], said: str) -> None:
    problem = problem_of(build, build.certificate(), SecretFacts.of(build.strange_secret(names, **changes)), None)
    assert problem is not None
    assert problem.reason == "SecretNotOurs"
    assert said in problem.message
    assert "left untouched" in problem.message


@pytest.mark.parametrize(
    ("component", "said"),
    [("account-key", "the account key of an issuer"), ("pending-key", "the key of an open order")],
)
def test_nobody_is_told_to_delete_a_secret_in_which_certwright_keeps_a_key(
    build: Build, component: str, said: str
) -> None:
    secret = build.strange_secret(type="Opaque", data={"tls.key": "AAAA"})
    secret["metadata"] |= {"labels": {COMPONENT_LABEL: component}}
    problem = problem_of(build, build.certificate(), SecretFacts.of(secret), None)
    assert problem is not None
    assert said in problem.message
    assert "Choose another secretName" in problem.message
    assert "Delete" not in problem.message


def test_a_certificate_cannot_have_the_secret_that_another_ones_next_key_is_kept_in(build: Build) -> None:
    name = pending_key_name(build.certificate())
    problem = problem_of(build, build.certificate(secretName=name), None, None)
    assert problem is not None
    assert problem.reason == "SecretNotOurs"


@pytest.mark.parametrize(("uid", "wanted", "refused"), [("uid-app", True, True), ("uid-app", False, False)])
def test_a_secret_that_another_object_controls_is_not_ordered_for_in_vain(
    build: Build, uid: str, *, wanted: bool, refused: bool
) -> None:
    secret = build.strange_secret()
    secret["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "first", "uid": "uid-first"},
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "uid": uid, "controller": True},
    ]
    problem = problem_of(build, build.certificate(secretOwnerReference=wanted), SecretFacts.of(secret), None)
    assert (problem is not None) == refused
    if problem is not None:
        assert "controlled by Deployment app" in problem.message


def test_its_own_owner_reference_keeps_no_certificate_from_its_secret(build: Build) -> None:
    certificate = build.certificate(secretOwnerReference=True)
    secret = build.secret(certificate)
    assert secret["metadata"]["ownerReferences"][0]["controller"] is True
    assert problem_of(build, certificate, SecretFacts.of(secret), None) is None


def test_a_type_that_is_not_tls_cannot_be_changed_even_in_a_secret_of_ours(build: Build) -> None:
    problem = problem_of(build, build.certificate(), SecretFacts.of({**build.secret(), "type": "Opaque"}), None)
    assert problem is not None
    assert problem.reason == "SecretNotOurs"


def test_another_owner_with_the_better_claim(build: Build) -> None:
    problem = problem_of(build, build.certificate(), build.facts(), "older")
    assert problem is not None
    assert problem.reason == "SecretClaimed"
    assert "belongs to Certificate older" in problem.message


def claimant(build: Build, name: str, created: str | None = None) -> Certificate:
    return build.certificate(metadata={"name": name, "uid": name, "creationTimestamp": created})


def test_who_wrote_the_secret_comes_first_then_the_older_then_the_name(build: Build) -> None:
    young = claimant(build, "a", "2026-02-01T00:00:00Z")
    old = claimant(build, "b", "2026-01-01T00:00:00Z")
    twin = claimant(build, "c", "2026-01-01T00:00:00Z")
    for secret, first in (
        (None, old),
        (build.facts(young), young),
        (build.facts(twin), twin),
        (build.facts(claimant(build, "gone")), old),
    ):
        for certificate in (young, old, twin):
            expected = None if certificate is first else first.metadata.name
            assert find_other_owner(certificate, [young, old, twin], secret) == expected


def test_one_that_is_not_in_the_store_yet_takes_part(build: Build) -> None:
    assert find_other_owner(claimant(build, "a"), [], None) is None
    assert find_other_owner(claimant(build, "b"), [claimant(build, "a")], None) == "a"


@given(ages=st.dictionaries(st.sampled_from("abcde"), st.integers(1, 3), min_size=1), owner=st.sampled_from("abcdef"))
def test_exactly_one_has_no_find_other_owner(build: Build, ages: dict[str, int], owner: str) -> None:
    claimants = [claimant(build, name, f"2026-01-0{age}T00:00:00Z") for name, age in ages.items()]
    secret = build.facts(claimant(build, owner))
    others = [find_other_owner(certificate, claimants, secret) for certificate in claimants]
    assert others.count(None) == 1
    first = claimants[others.index(None)].metadata.name
    assert {name for name in others if name} <= {first}
