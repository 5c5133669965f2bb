from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certwright.certificates.case import Case, Memory
from certwright.certificates.proofs import presented_proofs
from certwright.challenges.response import RecordResponse
from certwright.issuers.registry import IssuerView
from certwright.pki import generate_private_key

if TYPE_CHECKING:
    from tests.fakes.operator import Build

NAMES = ("*.a.example.test", "a.example.test")


@pytest.fixture
def case(build: Build) -> Case:
    certificate = build.certificate(*NAMES)
    return Case(
        certificate=certificate,
        status=certificate.status.replace(order=build.order_status(certificate)),
        secret=None,
        memory=Memory(),
        issuer_view=IssuerView("missing", "it is not there"),
        issuer=None,
        wanted=None,
        rival="other",
    )


def test_a_wildcard_and_its_apex_are_two_records_at_one_name(case: Case) -> None:
    records = presented_proofs(case.status)
    assert tuple(records) == NAMES
    assert {record.name for record in records.values() if isinstance(record, RecordResponse)} == {
        "_acme-challenge.a.example.test"
    }
    assert len(set(records.values())) == 2


def test_what_is_not_presented_is_not_outside(case: Case) -> None:
    case.change_authorizations(**{NAMES[0]: {"presented": False}})
    case.change_authorizations(**{NAMES[1]: {"record": None}})
    assert presented_proofs(case.status) == {}
    case.status = case.status.replace(order=None)
    assert presented_proofs(case.status) == {}


def test_changes_of_the_order_are_in_the_draft_only(case: Case) -> None:
    case.change_order(state="ready")
    case.change_authorizations(**{"a.example.test": {"error": "why"}, "unknown.test": {"error": "nobody"}})
    assert case.status.order is not None
    assert case.status.order.state == "ready"
    assert [entry.error for entry in case.status.order.authorizations] == [None, "why"]
    assert case.certificate.status.order is None


def test_without_an_order_there_is_nothing_to_change(case: Case) -> None:
    case.status = case.status.replace(order=None)
    case.change_order(state="ready")
    case.change_authorizations(**{"a.example.test": {"error": "why"}})
    assert case.status.order is None


def test_what_plan_sees(case: Case) -> None:
    observed = case.observed()
    assert (observed.certificate, observed.status, observed.rival) == (case.certificate, case.status, "other")
    assert (observed.flight, observed.retry_at, observed.clean_up_at, observed.clean_up_failures) == (
        None,
        None,
        None,
        0,
    )


def test_steps_that_lack_what_they_need_are_defects(case: Case) -> None:
    with pytest.raises(AssertionError, match="without one"):
        _ = case.flight
    with pytest.raises(AssertionError, match="without one"):
        _ = case.ready_issuer


def test_who_it_is(case: Case) -> None:
    assert case.identity() == {"name": "web", "namespace": "team", "uid": "uid-web"}
    assert (case.subject.kind, case.subject.api_version, case.subject.uid) == (
        "Certificate",
        "certwright.io/v1",
        "uid-web",
    )


def test_a_note_is_of_bounded_length(case: Case) -> None:
    case.note("Why", "x" * 100_000)
    assert case.memory.note is not None
    assert len(case.memory.note.message) <= 4096


def test_ending_a_flight_forgets_its_key(build: Build) -> None:
    memory = Memory(flight=build.flight(), key=generate_private_key(), resumed=True, setbacks=3)
    memory.end_flight()
    assert (memory.flight, memory.key, memory.resumed, memory.solvers) == (None, None, False, {})
    assert memory.setbacks == 3


def test_no_key_is_shown() -> None:
    key = generate_private_key()
    assert repr(key) not in repr(Memory(key=key))
