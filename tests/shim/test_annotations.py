from __future__ import annotations

import json
from typing import Any

import pytest

from certwright.shim.annotations import (
    FIELDS,
    MAX_VALUE,
    ONLY_OURS,
    OTHERS,
    TLS_ACME,
    Defaults,
    asks,
    is_annotated,
    read_annotations,
    their_name,
)

BOTH = Defaults(cert_manager=True, issuer="letsencrypt")
ISSUER = {"certwright.io/issuer": "le"}

GOOD: dict[str, tuple[str, Any]] = {
    "common-name": (" www.example.com ", "www.example.com"),
    "ip-sans": ("192.0.2.1, 2001:db8::1", ["192.0.2.1", "2001:db8::1"]),
    "email-sans": ("a@example.test,b@example.test", ["a@example.test", "b@example.test"]),
    "uri-sans": ("spiffe://example.test/a", ["spiffe://example.test/a"]),
    "subject-organizations": ('Example Inc, "Example, GmbH"', ["Example Inc", "Example, GmbH"]),
    "subject-organizationalunits": ("Shop,Web", ["Shop", "Web"]),
    "subject-countries": ("DE", ["DE"]),
    "subject-provinces": ("Hessen", ["Hessen"]),
    "subject-localities": ("Kassel", ["Kassel"]),
    "subject-postalcodes": ("34117", ["34117"]),
    "subject-streetaddresses": ('"Untere Königsstr. 1, Hof"', ["Untere Königsstr. 1, Hof"]),
    "subject-serialnumber": ("1,2", "1,2"),
    "duration": ("2160h0m0s", "2160h"),
    "renew-before": ("360h", "360h"),
    "renew-before-percentage": ("25", 25),
    "usages": ("digital signature, server auth", ["digital signature", "server auth"]),
    "issue-temporary-certificate": ("true", True),
    "revision-history-limit": ("3", 3),
    "private-key-algorithm": ("RSA", "RSA"),
    "private-key-encoding": ("PKCS1", "PKCS1"),
    "private-key-size": ("4096", 4096),
    "private-key-rotation-policy": ("Never", "Never"),
    "secret-template": ('{"labels": {"a": "b"}, "annotations": {}}', {"labels": {"a": "b"}, "annotations": {}}),
}
"""A value of each annotation that is a field, and what becomes of it."""


def at(spec: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        spec = spec[part]
    return spec


def test_every_annotation_that_is_a_field_has_a_row_here() -> None:
    assert GOOD.keys() == FIELDS.keys()


@pytest.mark.parametrize("suffix", GOOD)
def test_an_annotation_becomes_the_field_of_its_meaning(suffix: str) -> None:
    value, expected = GOOD[suffix]
    wishes = read_annotations({**ISSUER, f"certwright.io/{suffix}": value}, Defaults())
    assert at(wishes.spec, FIELDS[suffix].path) == expected
    assert wishes.names == {FIELDS[suffix].path: f"certwright.io/{suffix}"}
    assert not wishes.refusals


@pytest.mark.parametrize("suffix", GOOD)
def test_an_annotation_of_cert_manager_means_the_same_only_where_it_counts(suffix: str) -> None:
    annotations = {"cert-manager.io/issuer": "le", their_name(suffix): GOOD[suffix][0]}
    assert read_annotations(annotations, Defaults()).issuer is None
    wishes = read_annotations(annotations, BOTH)
    assert (wishes.issuer, wishes.by) == ({"kind": "Issuer", "name": "le"}, "cert-manager.io/issuer")
    assert bool(wishes.spec) is (suffix not in ONLY_OURS)


@pytest.mark.parametrize("suffix", GOOD)
def test_an_empty_annotation_asks_for_nothing(suffix: str) -> None:
    assert read_annotations({**ISSUER, f"certwright.io/{suffix}": " "}, Defaults()).spec == {}


@pytest.mark.parametrize(
    ("annotations", "issuer", "by"),
    [
        ({}, None, ""),
        ({"certwright.io/duration": "1h"}, None, ""),
        ({"certwright.io/issuer": "a"}, ("Issuer", "a"), "certwright.io/issuer"),
        ({"certwright.io/cluster-issuer": " a "}, ("ClusterIssuer", "a"), "certwright.io/cluster-issuer"),
        (
            {"certwright.io/issuer": "a", "certwright.io/issuer-kind": "ClusterIssuer"},
            ("ClusterIssuer", "a"),
            "certwright.io/issuer",
        ),
        (
            {"certwright.io/issuer": "a", "certwright.io/issuer-group": "certwright.io"},
            ("Issuer", "a"),
            "certwright.io/issuer",
        ),
        (
            {"cert-manager.io/issuer": "a", "cert-manager.io/issuer-group": "cert-manager.io"},
            ("Issuer", "a"),
            "cert-manager.io/issuer",
        ),
        # An issuer of ours is not contradicted by one of theirs.
        (
            {
                "certwright.io/cluster-issuer": "a",
                "cert-manager.io/issuer": "b",
                "cert-manager.io/issuer-kind": "Issuer",
            },
            ("ClusterIssuer", "a"),
            "certwright.io/cluster-issuer",
        ),
        ({TLS_ACME: "true"}, ("ClusterIssuer", "letsencrypt"), TLS_ACME),
        ({TLS_ACME: "1"}, ("ClusterIssuer", "letsencrypt"), TLS_ACME),
        ({TLS_ACME: "false"}, None, ""),
        ({TLS_ACME: "true", "certwright.io/issuer": "a"}, ("Issuer", "a"), "certwright.io/issuer"),
    ],
)
def test_the_issuer_is_the_one_that_is_named(
    annotations: dict[str, str], issuer: tuple[str, str] | None, by: str
) -> None:
    wishes = read_annotations(annotations, BOTH)
    expected = None if issuer is None else dict(zip(("kind", "name"), issuer, strict=True))
    assert (wishes.issuer, wishes.by, wishes.refusals) == (expected, by, ())


def test_without_a_default_issuer_tls_acme_asks_for_nothing() -> None:
    assert not asks({TLS_ACME: "true"}, Defaults(cert_manager=True))
    assert read_annotations({TLS_ACME: "true"}, Defaults(cert_manager=True)).issuer is None


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        (
            {"certwright.io/issuer": "a", "certwright.io/cluster-issuer": "b"},
            "certwright.io/issuer 'a' contradicts certwright.io/cluster-issuer: remove one of them",
        ),
        ({"certwright.io/issuer": " "}, "certwright.io/issuer is empty: name the issuer"),
        (
            {**ISSUER, "certwright.io/issuer-kind": "Vault"},
            "certwright.io/issuer-kind 'Vault' is neither Issuer nor ClusterIssuer",
        ),
        (
            {**ISSUER, "certwright.io/issuer-group": "awspca.cert-manager.io"},
            "certwright.io/issuer-group 'awspca.cert-manager.io' is not certwright.io: Certwright has no other issuers",
        ),
        (
            {"certwright.io/cluster-issuer": "a", "certwright.io/issuer-kind": "Issuer"},
            "certwright.io/issuer-kind 'Issuer' does not go with certwright.io/cluster-issuer: use",
        ),
        ({TLS_ACME: "yes"}, "kubernetes.io/tls-acme 'yes' is neither true nor false"),
        ({**ISSUER, "certwright.io/private-key-size": "big"}, "certwright.io/private-key-size 'big' is not a number"),
        (
            {**ISSUER, "certwright.io/subject-organizations": '"open'},
            "certwright.io/subject-organizations '\"open' is not one line of CSV",
        ),
        ({**ISSUER, "certwright.io/secret-template": "labels: {}"}, "'labels: {}' is not JSON"),
        ({**ISSUER, "certwright.io/secret-template": '{"data": {}}'}, "is not a JSON object of"),
        ({**ISSUER, "certwright.io/secret-template": '{"labels": {"a": 1}}'}, "has a value that is no text"),
        ({**ISSUER, "certwright.io/secret-template": "[" * 20_000}, "is not JSON"),
        ({**ISSUER, "certwright.io/http01-edit-in-place": "yes"}, "'yes' is neither true nor false"),
        ({**ISSUER, "certwright.io/names-from-routes": "maybe"}, "'maybe' is neither true nor false"),
        (
            {
                **ISSUER,
                "certwright.io/http01-ingress-class": "a",
                "certwright.io/http01-ingress-ingressclassname": "b",
            },
            "certwright.io/http01-ingress-class 'a' contradicts certwright.io/http01-ingress-ingressclassname",
        ),
        ({**ISSUER, "certwright.io/alt-names": "a," * 300}, "has more than 256 entries"),
        ({**ISSUER, "certwright.io/common-name": "x" * (MAX_VALUE + 1)}, f"is longer than {MAX_VALUE} characters"),
        ({"certwright.io/issuer": "x" * (MAX_VALUE + 1)}, f"is longer than {MAX_VALUE} characters"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name_and_value(annotations: dict[str, str], words: str) -> None:
    [refusal] = read_annotations(annotations, BOTH).refusals
    assert words in str(refusal)
    assert len(str(refusal)) < 500


def test_what_a_refusal_shows_is_one_line_of_printable_characters() -> None:
    value = "a\u202eb\n" + "x" * 5000
    [refusal] = read_annotations({**ISSUER, "certwright.io/private-key-size": value}, Defaults()).refusals
    assert str(refusal).isprintable()
    assert len(str(refusal)) < 200


def test_the_other_annotations_are_read() -> None:
    annotations = {
        **ISSUER,
        "certwright.io/alt-names": "a.test, b.test,",
        "certwright.io/ignore-tls-listeners": "one,two",
        "certwright.io/http01-edit-in-place": "true",
        "certwright.io/http01-ingress-class": "nginx",
        "certwright.io/http01-parentreffallback": "true",
        "certwright.io/names-from-routes": "true",
    }
    wishes = read_annotations(annotations, Defaults())
    assert wishes.alt_names == ("a.test", "b.test")
    assert wishes.ignored_listeners == {"one", "two"}
    assert wishes.edit_in_place
    assert wishes.ingress == {"class": "nginx"}
    assert wishes.parent_fallback
    assert wishes.names_from_routes
    assert not wishes.refusals


def test_annotations_of_acme_have_their_own_group_at_cert_manager() -> None:
    assert their_name("http01-edit-in-place") == "acme.cert-manager.io/http01-edit-in-place"
    assert their_name("alt-names") == "cert-manager.io/alt-names"
    wishes = read_annotations(
        {"cert-manager.io/issuer": "a", "acme.cert-manager.io/http01-edit-in-place": "true"}, BOTH
    )
    assert wishes.edit_in_place


def test_of_both_groups_ours_counts() -> None:
    annotations = {
        "cert-manager.io/cluster-issuer": "a",
        "cert-manager.io/duration": "2160h",
        "certwright.io/duration": "100h",
    }
    wishes = read_annotations(annotations, BOTH)
    assert (wishes.spec, wishes.names) == ({"duration": "100h"}, {("duration",): "certwright.io/duration"})


@pytest.mark.parametrize("annotations", [None, [], {"certwright.io/issuer": 7}, {"a": "b"}, {}])
def test_an_object_of_any_form_is_looked_at_without_harm(annotations: Any) -> None:
    assert is_annotated(BOTH, {"metadata": {"annotations": annotations}}) is (
        isinstance(annotations, dict) and "certwright.io/issuer" in annotations
    )
    if isinstance(annotations, dict):
        assert read_annotations(annotations, BOTH).issuer is None


def test_every_suffix_has_one_meaning() -> None:
    assert not set(FIELDS) & set(OTHERS)
    assert json.dumps(sorted({*FIELDS, *OTHERS}))
