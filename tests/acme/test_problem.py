from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import Identifier, Problem
from certwright.acme.problem import is_problem, parse_problem

# RFC 8555 section 6.7.1
COMPOUND: dict[str, Any] = {
    "type": "urn:ietf:params:acme:error:malformed",
    "detail": "Some of the identifiers requested were rejected",
    "subproblems": [
        {
            "type": "urn:ietf:params:acme:error:malformed",
            "detail": 'Invalid underscore in DNS name "_example.org"',
            "identifier": {"type": "dns", "value": "_example.org"},
        },
        {
            "type": "urn:ietf:params:acme:error:rejectedIdentifier",
            "detail": 'This CA will not issue for "example.net"',
            "identifier": {"type": "dns", "value": "example.net"},
        },
    ],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
MEMBERS = ["type", "detail", "title", "status", "instance", "algorithms", "subproblems", "identifier"]


def test_subproblems_are_found_by_identifier() -> None:
    problem = parse_problem(COMPOUND)
    assert problem.kind == "malformed"
    assert list(problem.by_identifier) == ["_example.org", "example.net"]
    rejected = problem.by_identifier["example.net"]
    assert rejected.kind == "rejectedIdentifier"
    assert rejected.identifier == Identifier("dns", "example.net")


def test_it_reads_as_a_sentence_with_every_name() -> None:
    assert str(parse_problem(COMPOUND)) == (
        "malformed: Some of the identifiers requested were rejected"
        ' [_example.org: malformed: Invalid underscore in DNS name "_example.org";'
        ' example.net: rejectedIdentifier: This CA will not issue for "example.net"]'
    )


def test_of_many_subproblems_only_the_first_are_shown() -> None:
    item = {"type": "caa", "detail": "no", "identifier": {"type": "dns", "value": "a.example"}}
    shown = str(parse_problem({"type": "caa", "subproblems": [item] * 100}))
    assert shown.endswith("; and 95 more]")
    assert len(shown) < 500


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {"type": "urn:ietf:params:acme:error:caa", "detail": "no"},
            Problem(type="urn:ietf:params:acme:error:caa", detail="no"),
        ),
        ({"detail": "only that"}, Problem(detail="only that")),
        ({"type": 5, "detail": ["x"], "status": "400", "subproblems": {}, "algorithms": "ES256"}, Problem()),
        ({"detail": "\x1b[2Jgone\nnext", "status": True}, Problem(detail="[2Jgone next")),
        (
            {"type": "badSignatureAlgorithm", "algorithms": ["ES256", 3]},
            Problem(type="badSignatureAlgorithm", algorithms=("ES256",)),
        ),
        ({"type": "x", "subproblems": ["y", None]}, Problem(type="x")),
    ],
)
def test_what_is_of_the_wrong_type_is_left_out(document: dict[str, Any], expected: Problem) -> None:
    assert parse_problem(document) == expected


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_no_document_breaks_it_and_no_text_is_long_or_unprintable(document: dict[str, Any]) -> None:
    problem = parse_problem(document)
    assert str(problem).isprintable()
    assert len(problem.detail) <= 500


@pytest.mark.parametrize("document", [None, [], "text", {}, {"message": "denied"}, {"type": ""}, {"detail": 7}])
def test_other_json_is_no_problem_document(document: object) -> None:
    assert not is_problem(document)
