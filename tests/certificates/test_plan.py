"""`plan` as a table: what is observed, and the one step that follows from it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.plan import CLEAN_UP_PATIENCE, CLEAN_UP_TRIES, plan
from certwright.certificates.secret_facts import SecretFacts
from certwright.certificates.steps import (
    Adopt,
    AnswerChallenges,
    AwaitIssuer,
    CleanUp,
    Finalize,
    Forget,
    Park,
    PollOrder,
    Present,
    RecordFailure,
    Refuse,
    Release,
    ResumeOrder,
    SelfCheck,
    Settle,
    Sleep,
    StartOrder,
    Step,
    StoreCertificate,
)
from certwright.issuers.registry import IssuerView
from certwright.resources import FINALIZER, CertificateStatus

if TYPE_CHECKING:
    from tests.fakes.operator import Build

SECOND = dt.timedelta(seconds=1)
HELD = {"finalizers": [FINALIZER]}


def status(**fields: Any) -> CertificateStatus:
    return CertificateStatus(**fields)


# The Secret is right


def test_a_matching_secret_rests_until_two_thirds_of_its_life(build: Build, now: dt.datetime) -> None:
    facts = build.facts(not_before=now, life=dt.timedelta(days=90))
    assert plan(build.observed(secret=facts), now) == Settle(now + dt.timedelta(days=60))


@pytest.mark.parametrize("issuer", ["unknown", "missing", "not-ready"])
def test_a_matching_secret_needs_no_issuer(build: Build, now: dt.datetime, issuer: Any) -> None:
    observed = build.observed(secret=build.facts(), issuer=IssuerView(issuer, "why"), wanted=None)
    assert isinstance(plan(observed, now), Settle)


def test_records_go_first_once_the_secret_is_right(build: Build, now: dt.datetime) -> None:
    observed = build.observed(secret=build.facts(), status=status(order=build.order_status(state="valid")))
    assert plan(observed, now) == CleanUp()


def test_an_order_without_records_goes_too(build: Build, now: dt.datetime) -> None:
    order = build.order_status(presented=False, state="invalid")
    assert plan(build.observed(secret=build.facts(), status=status(order=order)), now) == CleanUp()


@pytest.mark.parametrize("presented", [True, False])
def test_a_clean_up_that_failed_waits(build: Build, now: dt.datetime, *, presented: bool) -> None:
    order = build.order_status(presented=presented)
    observed = build.observed(secret=build.facts(), status=status(order=order), clean_up_at=now + SECOND)
    assert plan(observed, now) == Sleep(now + SECOND)
    assert isinstance(plan(observed, now + SECOND), CleanUp)


def test_records_wait_for_the_issuer_to_be_loaded(build: Build, now: dt.datetime) -> None:
    observed = build.observed(status=status(order=build.order_status()), secret=build.facts(), wanted=None)
    assert plan(replace(observed, issuer=IssuerView("unknown")), now) == Park()
    assert isinstance(plan(replace(observed, issuer=IssuerView("missing")), now), CleanUp)


def test_a_strangers_matching_secret_is_adopted(build: Build, now: dt.datetime) -> None:
    facts = SecretFacts.of(build.strange_secret())
    assert plan(build.observed(secret=facts), now) == Adopt()
    assert plan(build.observed(secret=facts, clean_up_at=now + SECOND), now) == Sleep(now + SECOND)


def test_a_changed_template_is_written_without_issuing(build: Build, now: dt.datetime) -> None:
    facts = build.facts()
    changed = build.certificate(secretTemplate={"labels": {"team": "a"}})
    assert plan(build.observed(changed, secret=facts), now) == Adopt()


def test_the_finalizer_goes_when_nothing_is_outside(build: Build, now: dt.datetime) -> None:
    observed = build.observed(build.certificate(metadata=HELD), secret=build.facts())
    assert plan(observed, now) == Release()
    assert plan(replace(observed, clean_up_at=now + SECOND), now) == Sleep(now + SECOND)


# Something is to be issued


def test_a_missing_secret_starts_an_order(build: Build, now: dt.datetime) -> None:
    assert plan(build.observed(), now) == StartOrder("DoesNotExist", "Secret web-tls does not exist")


@pytest.mark.parametrize(
    ("view", "step"),
    [
        (IssuerView("unknown"), Park()),
        (IssuerView("missing", "it is not there"), AwaitIssuer("IssuerNotFound", "it is not there")),
        (IssuerView("not-ready", "it is down"), AwaitIssuer("IssuerNotReady", "it is down")),
    ],
)
def test_nothing_is_ordered_without_the_issuer(build: Build, now: dt.datetime, view: IssuerView, step: Step) -> None:
    assert plan(build.observed(issuer=view, wanted=None), now) == step


def test_a_setback_is_waited_out(build: Build, now: dt.datetime) -> None:
    observed = build.observed(retry_at=now + SECOND)
    assert plan(observed, now) == Sleep(now + SECOND)
    assert isinstance(plan(observed, now + SECOND), StartOrder)


def test_an_order_of_another_process_is_resumed(build: Build, now: dt.datetime) -> None:
    assert plan(build.observed(status=status(order=build.order_status())), now) == ResumeOrder()


def test_an_order_for_another_spec_is_cleaned_up_before_a_new_one(build: Build, now: dt.datetime) -> None:
    observed = build.observed(status=status(order=build.order_status(spec_hash="another")), flight=build.flight())
    assert plan(observed, now) == CleanUp()
    assert plan(replace(observed, clean_up_at=now + SECOND), now) == Sleep(now + SECOND)
    assert plan(replace(observed, retry_at=now + SECOND), now) == CleanUp()


def test_a_new_order_does_not_wait_for_ever_for_the_old_ones_records(build: Build, now: dt.datetime) -> None:
    other = build.observed(status=status(order=build.order_status(spec_hash="another")))
    failed = build.observed(status=status(order=build.order_status(state="invalid")))
    for failures, last_try in ((CLEAN_UP_TRIES - 1, False), (CLEAN_UP_TRIES, True)):
        assert plan(replace(other, clean_up_failures=failures), now) == CleanUp(last_try=last_try)
        expected = CleanUp(keep_order=True, last_try=last_try)
        assert plan(replace(failed, clean_up_failures=failures), now) == expected


def test_nothing_is_left_behind_while_no_order_waits(build: Build, now: dt.datetime) -> None:
    observed = build.observed(secret=build.facts(), status=status(order=build.order_status()), clean_up_failures=99)
    assert plan(observed, now) == CleanUp()
    pausing = status(order=build.order_status(state="invalid"), next_attempt_time=now + SECOND)
    assert plan(build.observed(status=pausing, clean_up_failures=99), now) == CleanUp(keep_order=True)


def test_a_failed_order_is_kept_to_be_read_until_the_next_attempt(build: Build, now: dt.datetime) -> None:
    later = now + dt.timedelta(minutes=10)
    with_records = status(order=build.order_status(state="invalid"), next_attempt_time=later)
    assert plan(build.observed(status=with_records), now) == CleanUp(keep_order=True)
    cleaned = status(order=build.order_status(state="invalid", presented=False), next_attempt_time=later)
    assert plan(build.observed(build.certificate(metadata=HELD), status=cleaned), now) == Release()
    assert plan(build.observed(status=cleaned), now) == Sleep(later)
    assert isinstance(plan(build.observed(status=cleaned), later), StartOrder)


def test_an_order_that_the_ca_refused_to_open_is_no_order_to_resume(build: Build, now: dt.datetime) -> None:
    refused = status(order=build.order_status(presented=False, url=None))
    assert isinstance(plan(build.observed(status=refused), now), StartOrder)


def test_a_lost_pause_of_a_failed_attempt_is_kept_by_memory(build: Build, now: dt.datetime) -> None:
    cleaned = status(order=build.order_status(state="invalid", presented=False))
    assert plan(build.observed(status=cleaned, retry_at=now + SECOND), now) == Sleep(now + SECOND)


LATER: dict[str, Any] = {"next_look": dt.datetime(2026, 6, 1, 12, 0, 1, tzinfo=dt.UTC)}


@pytest.mark.parametrize(
    ("order", "flight", "step"),
    [
        ("pending", {}, Present()),
        ("pending", LATER, Present()),
        ("pending", {"presented_at": True}, SelfCheck()),
        ("pending", {"presented_at": True, **LATER}, Sleep(LATER["next_look"])),
        ("pending", {"presented_at": True, "propagated": True}, AnswerChallenges()),
        ("pending", {"challenges": {}}, Present()),
        ("pending", {"challenges": {}, "presented_at": True}, PollOrder()),
        ("pending", {"challenges": {}, "presented_at": True, **LATER}, Sleep(LATER["next_look"])),
        ("pending", {"challenges": {}, "proofs": {}}, PollOrder()),
        ("ready", {}, Finalize()),
        ("ready", {"finalized": True}, PollOrder()),
        ("ready", {"finalized": True, **LATER}, Sleep(LATER["next_look"])),
        ("processing", {}, PollOrder()),
        ("processing", LATER, Sleep(LATER["next_look"])),
        ("valid", LATER, StoreCertificate()),
        ("invalid", LATER, RecordFailure()),
    ],
)
def test_an_order_under_way(build: Build, now: dt.datetime, order: Any, flight: dict[str, Any], step: Step) -> None:
    changes: dict[str, Any] = {
        name: now if value is True and name == "presented_at" else value for name, value in flight.items()
    }
    observed = build.observed(status=status(order=build.order_status()), flight=build.flight(order, **changes))
    assert plan(observed, now) == step
    assert plan(replace(observed, retry_at=now + SECOND), now) == Sleep(now + SECOND)


# It must not be


def test_somebody_elses_secret_is_refused(build: Build, now: dt.datetime) -> None:
    facts = SecretFacts.of(build.strange_secret(type="Opaque"))
    step = plan(build.observed(secret=facts), now)
    assert isinstance(step, Refuse)
    assert step.reason == "SecretNotOurs"


@pytest.mark.parametrize("because", ["rival", "key"])
def test_what_is_outside_goes_before_a_refusal(build: Build, now: dt.datetime, because: str) -> None:
    never = {"privateKey": {"algorithm": "RSA", "rotationPolicy": "Never"}} if because == "key" else {}
    rival = "other" if because == "rival" else None
    held = build.certificate(metadata=HELD, **never)
    observed = build.observed(held, rival=rival, secret=build.facts(), status=status(order=build.order_status(held)))
    assert plan(observed, now) == CleanUp()
    assert plan(replace(observed, status=status()), now) == Release()
    step = plan(replace(observed, certificate=build.certificate(**never), status=status()), now)
    assert isinstance(step, Refuse)
    assert step.reason == {"rival": "SecretClaimed", "key": "PrivateKeyMismatch"}[because]


# The Certificate is being deleted


def test_a_deleted_certificate_leaves_nothing_outside(build: Build, now: dt.datetime) -> None:
    going = build.certificate(metadata={**HELD, "deletionTimestamp": now})
    observed = build.observed(going, status=status(order=build.order_status()), flight=build.flight())
    assert plan(observed, now) == CleanUp()
    assert plan(replace(observed, clean_up_at=now + SECOND), now) == Sleep(now + SECOND)
    assert plan(replace(observed, status=status(order=build.order_status(state="invalid"))), now) == CleanUp(
        keep_order=True
    )
    assert plan(replace(observed, status=status()), now) == Release()
    gone = build.certificate(metadata={"deletionTimestamp": now})
    assert plan(build.observed(gone), now) == Forget()


def test_a_deleted_certificate_is_held_ten_minutes_at_most(build: Build, now: dt.datetime) -> None:
    going = build.certificate(metadata={**HELD, "deletionTimestamp": now})
    observed = build.observed(going, status=status(order=build.order_status()), issuer=IssuerView("unknown"))
    assert plan(observed, now + CLEAN_UP_PATIENCE - SECOND) == Park()
    assert plan(observed, now + CLEAN_UP_PATIENCE) == Release()
    gone = replace(observed, certificate=build.certificate(metadata={"deletionTimestamp": now}))
    assert plan(gone, now + CLEAN_UP_PATIENCE) == Forget()


def test_a_deleted_certificate_is_not_issued(build: Build, now: dt.datetime) -> None:
    gone = build.certificate(metadata={"deletionTimestamp": now})
    assert plan(build.observed(gone, rival="other"), now) == Forget()
    assert plan(build.observed(gone, secret=build.facts()), now) == Forget()
