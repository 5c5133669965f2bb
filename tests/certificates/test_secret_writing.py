"""What is taken out of a Secret after a write, because server-side apply leaves it where others wrote it too."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.secret.annotations import TEMPLATE_ANNOTATION
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.manifest import template_keys, tls_secret
from certwright.certificates.secret_writing import leftovers
from certwright.pki import private_key_to_pem
from tests.fakes.operator import KEY, SERVER

if TYPE_CHECKING:
    from tests.fakes.operator import Body, Build

TEMPLATE = {"labels": {"team": "a", "tier": "b"}, "annotations": {"example.test/reload": "yes"}}


def manifest(build: Build, *, root: bool = True, **spec: Any) -> Body:
    certificate = build.certificate(**spec)
    chain = build.ca.chain(certificate.spec.dns_names, with_root=root)
    return tls_secret(certificate, chain, private_key_to_pem(KEY), server=SERVER)


def kept_by_others(before: Body, after: Body) -> Body:
    """What the API server has after the second write, if another field manager owns all of the first."""
    merged = copy.deepcopy(before)
    merged["data"] |= after["data"]
    for field in ("labels", "annotations"):
        merged["metadata"][field] |= after["metadata"][field]
    merged["metadata"] |= {"uid": "uid-secret", "resourceVersion": "8"}
    return merged


def template_of(secret: Body) -> str | None:
    secret = {**secret, "metadata": {"uid": "u", "resourceVersion": "1", **secret["metadata"]}}
    return SecretFacts.of(secret).template


def test_what_a_template_has_no_more_goes_and_what_others_wrote_stays(build: Build) -> None:
    before = manifest(build, secretTemplate=TEMPLATE)
    after = manifest(build, secretTemplate={"labels": {"tier": "b"}})
    found = kept_by_others(before, after)
    found["metadata"]["labels"]["other"] = "kept"
    change = leftovers(found, after, "uid-web", template_of(before))
    assert change == {"metadata": {"labels": {"team": None}, "annotations": {"example.test/reload": None}}}


def test_an_owner_reference_that_is_not_wanted_any_more_goes(build: Build) -> None:
    before, after = manifest(build, secretOwnerReference=True), manifest(build)
    found = kept_by_others(before, after)
    other = {"kind": "Other", "name": "x", "uid": "uid-x"}
    found["metadata"]["ownerReferences"].append(other)
    assert leftovers(found, after, "uid-web", None) == {"metadata": {"ownerReferences": [other]}}


def test_the_root_of_an_earlier_chain_goes(build: Build) -> None:
    before, after = manifest(build), manifest(build, root=False)
    assert leftovers(kept_by_others(before, after), after, "uid-web", None) == {"data": {"ca.crt": None}}


def test_a_secret_that_is_as_it_was_applied_needs_no_second_write(build: Build) -> None:
    applied = manifest(build, secretTemplate=TEMPLATE, secretOwnerReference=True)
    found = kept_by_others(applied, applied)
    found["data"]["keystore.p12"] = "b3RoZXJz"
    assert leftovers(found, applied, "uid-web", template_of(applied)) == {}


def test_a_template_that_is_gone_is_recorded_no_more(build: Build) -> None:
    before, after = manifest(build, secretTemplate=TEMPLATE), manifest(build)
    assert TEMPLATE_ANNOTATION not in after["metadata"]["annotations"]
    change = leftovers(kept_by_others(before, after), after, "uid-web", template_of(before))
    assert change["metadata"]["labels"] == {"team": None, "tier": None}


@pytest.mark.parametrize("text", [None, "", "[]", "[" * 2000, "{", "7", '{"labels": "team", "annotations": [1, null]}'])
def test_a_record_that_someone_changed_names_nothing(text: str | None) -> None:
    assert template_keys(text) == {"labels": (), "annotations": ()}


def test_a_record_never_names_what_is_ours() -> None:
    text = '{"labels": ["certwright.io/managed", "team"], "annotations": ["certwright.io/revision"]}'
    assert template_keys(text) == {"labels": ("team",), "annotations": ()}
