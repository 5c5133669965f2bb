from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.observation import Memory, Note
from certwright.certificates.order.responses import presented_responses
from certwright.certificates.order_request import requested_identifiers
from certwright.challenges.response import RecordResponse
from certwright.issuers.registry import IssuerView
from certwright.pki import generate_private_key
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from tests.fakes.operator import Build

NAMES = ("*.a.example.test", "a.example.test")


@pytest.fixture
def observation(build: Build) -> Observation:
    certificate = build.certificate(*NAMES)
    return build.observation(
        certificate,
        status=certificate.status.replace(order=build.order_status(certificate)),
        issuer_view=IssuerView("missing", "it is not there"),
        request=None,
        other_owner="other",
    )


def test_a_wildcard_and_its_apex_are_two_records_at_one_name(observation: Observation) -> None:
    records = presented_responses(observation.status)
    assert tuple(records) == NAMES
    assert {record.name for record in records.values() if isinstance(record, RecordResponse)} == {
        "_acme-challenge.a.example.test"
    }
    assert len(set(records.values())) == 2


def test_what_is_not_presented_is_not_outside(observation: Observation) -> None:
    changed = observation.with_authorizations({NAMES[0]: {"presented": False}, NAMES[1]: {"record": None}})
    assert presented_responses(changed.status) == {}
    assert presented_responses(observation.with_status(order=None).status) == {}


def test_changes_of_the_order_are_in_the_draft_only(observation: Observation) -> None:
    changed = observation.with_order(state="ready").with_authorizations(
        {"a.example.test": {"error": "why"}, "unknown.test": {"error": "of no use"}}
    )
    assert changed.status.order is not None
    assert changed.status.order.state == "ready"
    assert [entry.error for entry in changed.status.order.authorizations] == [None, "why"]
    assert changed.certificate.status.order is None
    assert observation.status.order is not None
    assert observation.status.order.state == "pending"


def test_without_an_order_there_is_nothing_to_change(observation: Observation) -> None:
    bare = observation.with_status(order=None)
    changed = bare.with_order(state="ready").with_authorizations({"a.example.test": {"error": "why"}})
    assert changed.status.order is None


def test_nothing_that_is_observed_can_be_edited(observation: Observation, build: Build) -> None:
    frozen: tuple[Any, ...] = (observation, observation.memory, build.open_order(), Note("Why", "x", under_way=True))
    for one in frozen:
        for name in vars(one):
            with pytest.raises(FrozenInstanceError):
                setattr(one, name, None)


def test_what_is_invalid_is_shown_with_its_reasons_only(observation: Observation, build: Build) -> None:
    for state, shown in (("ready", "ready"), ("invalid", "pending")):
        changed = observation.with_order_state(build.order(state))  # type: ignore[arg-type]  # states of orders
        assert changed.status.order is not None
        assert changed.status.order.state == shown


def test_another_secret_is_renewed_at_another_time(observation: Observation, build: Build) -> None:
    facts = build.facts(observation.certificate)
    assert observation.renew_at is None
    changed = observation.with_secret(facts)
    assert facts.certificate is not None
    assert changed.renew_at is not None
    assert facts.certificate.not_before < changed.renew_at < facts.certificate.not_after
    assert changed.with_secret(None).renew_at is None


def test_another_spec_is_for_other_names_and_renewed_at_another_time(observation: Observation, build: Build) -> None:
    changed = observation.with_secret(build.facts(observation.certificate))
    other = build.certificate("b.example.test", renewBefore="48h")
    assert changed.with_certificate(other).identifiers == requested_identifiers(other)
    assert changed.with_certificate(other).renew_at == build.observation(other, secret=changed.secret).renew_at


def test_steps_that_lack_what_they_need_are_defects(observation: Observation) -> None:
    with pytest.raises(AssertionError, match="without one"):
        _ = observation.open_order
    with pytest.raises(AssertionError, match="without one"):
        _ = observation.ready_issuer


def test_who_it_is(observation: Observation) -> None:
    assert (observation.uid, observation.namespace) == ("uid-web", "team")
    assert (observation.subject.kind, observation.subject.api_version, observation.subject.uid) == (
        "Certificate",
        "certwright.io/v1",
        "uid-web",
    )


def test_a_note_is_of_bounded_length(observation: Observation) -> None:
    note = observation.noting("OrderFailed", "x" * 100_000).memory.note
    assert note is not None
    assert len(note.message) <= 4096


def test_no_key_is_shown(build: Build) -> None:
    key = generate_private_key()
    assert repr(key) not in repr(build.observation(open_order=build.open_order(key=key)))


def test_another_generation_starts_counting_again(now: dt.datetime) -> None:
    going, failed = Note("Validating", "x", under_way=True), Note("OrderFailed", "x", under_way=False)
    tried = Backoff().failed(now, reported=("OrderFailed", "x"))
    memory = Memory(note=failed, issuing=tried, cleaning_up=tried, generation=1)
    assert memory.for_generation(1) is memory
    changed = memory.for_generation(2)
    assert (changed.note, changed.issuing, changed.generation) == (None, Backoff(), 2)
    assert changed.cleaning_up == tried
    assert Memory(note=going).for_generation(2).note == going


def test_a_changed_issuer_is_tried_at_once_with_its_present_solvers(build: Build, now: dt.datetime) -> None:
    tried = Backoff().failed(now, reported=("DNSServerUnreachable", "x"))
    memory = Memory(open_order=build.open_order(presented_at=now), issuing=tried, cleaning_up=tried)
    changed = memory.for_changed_issuer()
    assert changed.open_order == build.open_order()
    assert changed.issuing == Backoff()
    assert changed.cleaning_up == Backoff(failures=1), "clean-up takes its credentials from the issuer from now on"
    answered = build.open_order(challenges={}, presented_at=now)
    assert Memory(open_order=answered).for_changed_issuer().open_order == answered
