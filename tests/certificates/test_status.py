from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.observation import Note, Observation
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.status import last_note, report
from certwright.issuers.registry import IssuerView
from certwright.pki import CertificateFacts
from certwright.resources import ISSUING, READY, CertificateStatus, Condition, find_condition
from certwright.text import rfc3339

if TYPE_CHECKING:
    from tests.fakes.operator import Build

GOING = Note("Validating", "The CA is validating.", under_way=True)
FAILED = Note("ValidationFailed", "It is not visible.", under_way=False)
DAY = dt.timedelta(days=1)


def told(observation: Observation, note: Note | None, now: dt.datetime) -> CertificateStatus:
    return report(observation.remember(note=note), now)


def said(status: CertificateStatus, kind: str) -> tuple[str, str, str]:
    found = find_condition(status.conditions, kind)
    assert found is not None
    return found.status, found.reason, found.message


def test_all_is_well(build: Build, now: dt.datetime) -> None:
    facts = build.facts(not_before=now, life=90 * DAY)
    status = told(build.observation(secret=facts), None, now)
    assert status.renewal_time is not None
    assert now + 57 * DAY < status.renewal_time <= now + 60 * DAY
    assert status.renewal is not None
    assert status.renewal.basis == "Lifetime"
    until = f"2026-08-30T12:00:00Z and will be renewed at {rfc3339(status.renewal_time)}"
    assert said(status, READY) == ("True", "Ready", f"The certificate is valid until {until}.")
    assert said(status, ISSUING) == ("False", "NothingToDo", "No certificate is being issued.")
    assert status.observed_generation == 1
    assert (status.not_before, status.not_after) == (now, now + 90 * DAY)
    assert facts.leaf is not None
    assert int(status.serial_number or "", 16) == facts.leaf.serial_number


@pytest.mark.parametrize(
    ("note", "ready", "issuing"),
    [
        (None, ("DoesNotExist", "Secret web-tls does not exist."), ("False", "NothingToDo")),
        (GOING, ("Validating", "The CA is validating."), ("True", "Validating")),
        (FAILED, ("ValidationFailed", "It is not visible."), ("False", "ValidationFailed")),
    ],
)
def test_nothing_is_there_yet(
    build: Build, now: dt.datetime, note: Note | None, ready: tuple[str, str], issuing: tuple[str, str]
) -> None:
    status = told(build.observation(), note, now)
    assert said(status, READY) == ("False", *ready)
    assert said(status, ISSUING)[:2] == issuing
    assert (status.not_after, status.renewal_time, status.serial_number) == (None, None, None)


@pytest.mark.parametrize(("note", "end"), [(None, "renewed."), (GOING, "validating."), (FAILED, "not visible.")])
def test_a_certificate_that_is_being_renewed_is_ready(
    build: Build, now: dt.datetime, note: Note | None, end: str
) -> None:
    facts = build.facts(not_before=now - 80 * DAY, life=90 * DAY)
    status = told(build.observation(secret=facts), note, now)
    assert said(status, READY)[:2] == ("True", "Renewing")
    assert said(status, READY)[2].endswith(end)
    assert status.not_after == now + 10 * DAY


@pytest.mark.parametrize(
    ("spec", "chain", "reason"),
    [
        ({}, {"not_before": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, "Expired"),
        ({"dnsNames": ["b.example.test"]}, {"names": ("a.example.test",)}, "NamesChanged"),
        ({"privateKey": {"algorithm": "RSA"}}, {}, "PrivateKeyChanged"),
        ({"issuerRef": {"name": "other"}}, {}, "IssuerChanged"),
    ],
)
def test_a_certificate_that_no_longer_fits_is_not_ready(
    build: Build, now: dt.datetime, spec: dict[str, Any], chain: dict[str, Any], reason: str
) -> None:
    observation = build.observation(build.certificate(**spec), secret=build.facts(**chain), request=None)
    status = told(observation, None, now)
    assert said(status, READY)[:2] == ("False", reason)
    assert said(status, READY)[2][0].isupper()
    assert status.not_after is not None
    assert said(told(observation, FAILED, now), READY) == ("False", FAILED.reason, FAILED.message)


def test_what_cannot_be_served_says_what_to_do(build: Build, now: dt.datetime) -> None:
    never = build.certificate(privateKey={"algorithm": "RSA", "rotationPolicy": "Never"})
    assert said(told(build.observation(never, secret=build.facts()), FAILED, now), READY)[:2] == (
        "False",
        "PrivateKeyMismatch",
    )
    strange = SecretFacts.of(build.strange_secret(["b.example.test"]))
    status = told(build.observation(secret=strange), None, now)
    assert said(status, READY)[:2] == ("False", "SecretNotOurs")
    assert status.not_after is None, "somebody else's certificate says nothing about this Certificate"
    assert (
        said(told(build.observation(secret=build.facts(), other_owner="other"), None, now), READY)[1] == "SecretClaimed"
    )


def test_the_rest_of_the_status_stays(build: Build, now: dt.datetime) -> None:
    before = CertificateStatus(
        conditions=(Condition(type="Theirs", status="True"),), revision=3, failed_attempts=2, order=build.order_status()
    )
    status = told(build.observation(status=before), GOING, now)
    assert (status.revision, status.failed_attempts, status.order) == (3, 2, before.order)
    assert [condition.type for condition in status.conditions] == ["Theirs", READY, ISSUING]


def test_a_condition_keeps_the_time_of_its_last_change(build: Build, now: dt.datetime) -> None:
    first = told(build.observation(), GOING, now)
    second = told(build.observation(status=first), FAILED, now + DAY)
    ready, issuing = (find_condition(second.conditions, kind) for kind in (READY, ISSUING))
    assert ready is not None
    assert issuing is not None
    assert (ready.last_transition_time, issuing.last_transition_time) == (now, now + DAY)
    assert told(build.observation(status=second), FAILED, now + 2 * DAY) == second


@pytest.mark.parametrize("note", [None, GOING, FAILED])
def test_a_restart_says_the_same(build: Build, now: dt.datetime, note: Note | None) -> None:
    status = told(build.observation(), note, now)
    read_again = CertificateStatus.model_validate(status.to_json())
    assert last_note(read_again) == note
    assert told(build.observation(status=read_again), last_note(read_again), now + DAY) == status


def test_a_new_certificate_has_no_last_note() -> None:
    assert last_note(CertificateStatus()) is None


def odd(build: Build, now: dt.datetime) -> list[Observation]:
    facts = build.facts()
    backwards = CertificateFacts((), (), now, now - DAY, "0" * 99, "", "")
    return [
        build.observation(secret=replace(facts, certificate=backwards)),
        build.observation(secret=replace(facts, certificate=None, problem=None)),
        build.observation(secret=replace(facts, issuer_kind=None)),
        build.observation(request=None, issuer_view=IssuerView("unknown")),
        build.observation(build.certificate(metadata={"deletionTimestamp": now, "namespace": None})),
    ]


@pytest.mark.parametrize("case", range(5))
def test_odd_observations_end_in_a_status_all_the_same(build: Build, now: dt.datetime, case: int) -> None:
    for note in (None, Note("Long", "x" * 30_000, under_way=False)):
        status = told(odd(build, now)[case], note, now)
        assert CertificateStatus.model_validate(status.to_json()) == status
