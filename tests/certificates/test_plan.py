"""`plan` as a table: what is observation, and the one step that follows from it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.plan import CLEAN_UP_PATIENCE, CLEAN_UP_TRIES, plan
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.steps.adopt import Adopt
from certwright.certificates.steps.answer_challenges import AnswerChallenges
from certwright.certificates.steps.clean_up import CleanUp
from certwright.certificates.steps.finalize import Finalize
from certwright.certificates.steps.poll_order import PollOrder
from certwright.certificates.steps.present import Present
from certwright.certificates.steps.record_failure import RecordFailure
from certwright.certificates.steps.release import Release
from certwright.certificates.steps.resting import AwaitIssuer, Forget, Park, Refuse, Settle, Sleep
from certwright.certificates.steps.resume_order import ResumeOrder
from certwright.certificates.steps.review_authorizations import ReviewAuthorizations
from certwright.certificates.steps.self_check import SelfCheck
from certwright.certificates.steps.start_order import StartOrder
from certwright.certificates.steps.store_certificate import StoreCertificate
from certwright.certificates.steps.write_temporary import WriteTemporary
from certwright.issuers.registry import IssuerView
from certwright.resources import FINALIZER, CertificateStatus
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from certwright.certificates.steps.step import Step
    from tests.fakes.operator import Build

SECOND = dt.timedelta(seconds=1)
HELD = {"finalizers": [FINALIZER]}
SOON = dt.datetime(2026, 6, 1, 12, 0, 1, tzinfo=dt.UTC)
"""A second after the present."""
PAUSED = Backoff(failures=1, not_before=SOON)


def status(**fields: Any) -> CertificateStatus:
    return CertificateStatus(**fields)


# The Secret is right


def test_a_matching_secret_rests_until_two_thirds_of_its_life(build: Build, now: dt.datetime) -> None:
    facts = build.facts(not_before=now, life=dt.timedelta(days=90))
    step = plan(build.observation(secret=facts), now)
    assert isinstance(step, Settle)
    assert step.renew_at is not None
    assert now + dt.timedelta(days=57) < step.renew_at <= now + dt.timedelta(days=60)


@pytest.mark.parametrize("issuer", ["unknown", "missing", "not-ready"])
def test_a_matching_secret_needs_no_issuer(build: Build, now: dt.datetime, issuer: Any) -> None:
    observation = build.observation(secret=build.facts(), issuer_view=IssuerView(issuer, "why"), request=None)
    assert isinstance(plan(observation, now), Settle)


def test_records_go_first_once_the_secret_is_right(build: Build, now: dt.datetime) -> None:
    observation = build.observation(secret=build.facts(), status=status(order=build.order_status(state="valid")))
    assert plan(observation, now) == CleanUp()


def test_an_order_without_records_goes_too(build: Build, now: dt.datetime) -> None:
    order = build.order_status(presented=False, state="invalid")
    assert plan(build.observation(secret=build.facts(), status=status(order=order)), now) == CleanUp()


@pytest.mark.parametrize("presented", [True, False])
def test_a_clean_up_that_failed_waits(build: Build, now: dt.datetime, *, presented: bool) -> None:
    order = build.order_status(presented=presented)
    observation = build.observation(secret=build.facts(), status=status(order=order), cleaning_up=PAUSED)
    assert plan(observation, now) == Sleep(now + SECOND)
    assert isinstance(plan(observation, now + SECOND), CleanUp)


def test_records_wait_for_the_issuer_to_be_loaded(build: Build, now: dt.datetime) -> None:
    observation = build.observation(status=status(order=build.order_status()), secret=build.facts(), request=None)
    assert plan(replace(observation, issuer_view=IssuerView("unknown")), now) == Park()
    assert isinstance(plan(replace(observation, issuer_view=IssuerView("missing")), now), CleanUp)


def test_a_strangers_matching_secret_is_adopted(build: Build, now: dt.datetime) -> None:
    facts = SecretFacts.of(build.strange_secret())
    assert plan(build.observation(secret=facts), now) == Adopt()
    assert plan(build.observation(secret=facts, cleaning_up=PAUSED), now) == Sleep(now + SECOND)


def test_a_changed_template_is_written_without_issuing(build: Build, now: dt.datetime) -> None:
    facts = build.facts()
    changed = build.certificate(secretTemplate={"labels": {"team": "a"}})
    assert plan(build.observation(changed, secret=facts), now) == Adopt()


def test_the_finalizer_goes_when_nothing_is_outside(build: Build, now: dt.datetime) -> None:
    observation = build.observation(build.certificate(metadata=HELD), secret=build.facts())
    assert plan(observation, now) == Release()
    assert plan(observation.remember(cleaning_up=PAUSED), now) == Sleep(now + SECOND)


# Something is to be issued


def test_a_missing_secret_starts_an_order(build: Build, now: dt.datetime) -> None:
    assert plan(build.observation(), now) == StartOrder("DoesNotExist", "Secret web-tls does not exist")


@pytest.mark.parametrize(
    ("view", "step"),
    [
        (IssuerView("unknown"), Park()),
        (IssuerView("missing", "it is not there"), AwaitIssuer("IssuerNotFound", "it is not there")),
        (IssuerView("not-ready", "it is down"), AwaitIssuer("IssuerNotReady", "it is down")),
    ],
)
def test_nothing_is_ordered_without_the_issuer(build: Build, now: dt.datetime, view: IssuerView, step: Step) -> None:
    assert plan(build.observation(issuer_view=view, request=None), now) == step


def test_a_temporary_certificate_is_written_once_by_choice_and_before_the_issuer_is_there(
    build: Build, now: dt.datetime
) -> None:
    asked = build.certificate(temporaryCertificate=True)
    for view in (IssuerView("unknown"), IssuerView("missing"), IssuerView("ready")):
        assert plan(build.observation(asked, issuer_view=view), now) == WriteTemporary()
    assert isinstance(plan(build.observation(asked, wrote_temporary=True), now), StartOrder)
    assert isinstance(plan(build.observation(), now), StartOrder)
    # Where one was issued before, none takes its place.
    assert isinstance(plan(build.observation(asked, status=status(revision=1)), now), StartOrder)


def test_a_transient_failure_is_waited_out(build: Build, now: dt.datetime) -> None:
    observation = build.observation(issuing=PAUSED)
    assert plan(observation, now) == Sleep(now + SECOND)
    assert isinstance(plan(observation, now + SECOND), StartOrder)


def test_an_order_of_another_process_is_resumed(build: Build, now: dt.datetime) -> None:
    assert plan(build.observation(status=status(order=build.order_status())), now) == ResumeOrder()


def test_an_order_for_another_spec_is_cleaned_up_before_a_new_one(build: Build, now: dt.datetime) -> None:
    observation = build.observation(
        status=status(order=build.order_status(spec_hash="another")), open_order=build.open_order()
    )
    assert plan(observation, now) == CleanUp()
    assert plan(observation.remember(cleaning_up=PAUSED), now) == Sleep(now + SECOND)
    assert plan(observation.remember(issuing=PAUSED), now) == CleanUp()


def test_a_new_order_does_not_wait_for_ever_for_the_old_ones_records(build: Build, now: dt.datetime) -> None:
    other = build.observation(status=status(order=build.order_status(spec_hash="another")))
    failed = build.observation(status=status(order=build.order_status(state="invalid")))
    for failures, last_try in ((CLEAN_UP_TRIES - 1, False), (CLEAN_UP_TRIES, True)):
        assert plan(other.remember(cleaning_up=Backoff(failures=failures)), now) == CleanUp(last_try=last_try)
        expected = CleanUp(keep_order=True, last_try=last_try)
        assert plan(failed.remember(cleaning_up=Backoff(failures=failures)), now) == expected


def test_nothing_is_left_behind_while_no_order_waits(build: Build, now: dt.datetime) -> None:
    observation = build.observation(
        secret=build.facts(), status=status(order=build.order_status()), cleaning_up=Backoff(failures=99)
    )
    assert plan(observation, now) == CleanUp()
    pausing = status(order=build.order_status(state="invalid"), next_attempt_time=now + SECOND)
    assert plan(build.observation(status=pausing, cleaning_up=Backoff(failures=99)), now) == CleanUp(keep_order=True)


def test_a_failed_order_is_kept_to_be_read_until_the_next_attempt(build: Build, now: dt.datetime) -> None:
    later = now + dt.timedelta(minutes=10)
    with_records = status(order=build.order_status(state="invalid"), next_attempt_time=later)
    assert plan(build.observation(status=with_records), now) == CleanUp(keep_order=True)
    cleaned = status(order=build.order_status(state="invalid", presented=False), next_attempt_time=later)
    assert plan(build.observation(build.certificate(metadata=HELD), status=cleaned), now) == Release()
    assert plan(build.observation(status=cleaned), now) == Sleep(later)
    assert isinstance(plan(build.observation(status=cleaned), later), StartOrder)


def test_an_order_that_the_ca_refused_to_open_is_no_order_to_resume(build: Build, now: dt.datetime) -> None:
    refused = status(order=build.order_status(presented=False, url=None, state="invalid"))
    assert isinstance(plan(build.observation(status=refused), now), StartOrder)


@pytest.mark.parametrize("presented", [True, False])
def test_an_order_that_was_given_up_is_cleaned_up_whatever_it_waited_for(
    build: Build, now: dt.datetime, *, presented: bool
) -> None:
    order = build.order_status(presented=presented, url=None)
    given_up = status(order=order, next_attempt_time=now + dt.timedelta(days=1))
    observation = build.observation(status=given_up, open_order=build.open_order(), issuing=PAUSED)
    assert plan(observation, now) == CleanUp()
    assert plan(observation.remember(cleaning_up=PAUSED), now) == Sleep(SOON)
    assert plan(observation.remember(cleaning_up=Backoff(CLEAN_UP_TRIES)), now) == CleanUp(last_try=True)


def test_a_lost_pause_of_a_failed_attempt_is_kept_by_memory(build: Build, now: dt.datetime) -> None:
    cleaned = status(order=build.order_status(state="invalid", presented=False))
    assert plan(build.observation(status=cleaned, issuing=PAUSED), now) == Sleep(now + SECOND)


LATER: dict[str, Any] = {"next_look": SOON}


@pytest.mark.parametrize(
    ("order", "changes", "step"),
    [
        ("pending", {}, Present()),
        ("pending", LATER, Present()),
        ("pending", {"presented_at": True}, SelfCheck()),
        ("pending", {"presented_at": True, **LATER}, Sleep(LATER["next_look"])),
        ("pending", {"presented_at": True, "propagated": True}, AnswerChallenges()),
        ("pending", {"challenges": {}}, Present()),
        ("pending", {"challenges": {}, "presented_at": True}, PollOrder()),
        ("pending", {"challenges": {}, "presented_at": True, **LATER}, Sleep(LATER["next_look"])),
        ("pending", {"challenges": {}, "responses": {}}, PollOrder()),
        ("pending", {"challenges": {}, "presented_at": True, "polls": 1}, PollOrder()),
        ("pending", {"challenges": {}, "presented_at": True, "polls": 1, **LATER}, ReviewAuthorizations()),
        (
            "pending",
            {"challenges": {}, "presented_at": True, "polls": 1, "next_review": SOON, **LATER},
            Sleep(LATER["next_look"]),
        ),
        ("ready", {}, Finalize()),
        ("ready", {"finalized": True}, PollOrder()),
        ("ready", {"finalized": True, **LATER}, Sleep(LATER["next_look"])),
        ("processing", {}, PollOrder()),
        ("processing", LATER, Sleep(LATER["next_look"])),
        ("valid", LATER, StoreCertificate()),
        ("invalid", LATER, RecordFailure()),
    ],
)
def test_an_order_under_way(build: Build, now: dt.datetime, order: Any, changes: dict[str, Any], step: Step) -> None:
    changes = {name: now if value is True and name == "presented_at" else value for name, value in changes.items()}
    observation = build.observation(
        status=status(order=build.order_status()), open_order=build.open_order(order, **changes)
    )
    assert plan(observation, now) == step
    assert plan(observation.remember(issuing=PAUSED), now) == Sleep(now + SECOND)


# It must not be


def test_the_secret_of_someone_else_is_refused(build: Build, now: dt.datetime) -> None:
    facts = SecretFacts.of(build.strange_secret(type="Opaque"))
    step = plan(build.observation(secret=facts), now)
    assert isinstance(step, Refuse)
    assert step.reason == "SecretNotOurs"


@pytest.mark.parametrize("because", ["owner", "key"])
def test_what_is_outside_goes_before_a_refusal(build: Build, now: dt.datetime, because: str) -> None:
    never = {"privateKey": {"algorithm": "RSA", "rotationPolicy": "Never"}} if because == "key" else {}
    other_owner = "other" if because == "owner" else None
    held = build.certificate(metadata=HELD, **never)
    observation = build.observation(
        held, other_owner=other_owner, secret=build.facts(), status=status(order=build.order_status(held))
    )
    assert plan(observation, now) == CleanUp()
    assert plan(replace(observation, status=status()), now) == Release()
    step = plan(replace(observation, certificate=build.certificate(**never), status=status()), now)
    assert isinstance(step, Refuse)
    assert step.reason == {"owner": "SecretClaimed", "key": "PrivateKeyMismatch"}[because]


# The Certificate is being deleted


def test_a_deleted_certificate_leaves_nothing_outside(build: Build, now: dt.datetime) -> None:
    going = build.certificate(metadata={**HELD, "deletionTimestamp": now})
    observation = build.observation(going, status=status(order=build.order_status()), open_order=build.open_order())
    assert plan(observation, now) == CleanUp()
    assert plan(observation.remember(cleaning_up=PAUSED), now) == Sleep(now + SECOND)
    assert plan(replace(observation, status=status(order=build.order_status(state="invalid"))), now) == CleanUp(
        keep_order=True
    )
    assert plan(replace(observation, status=status()), now) == Release()
    gone = build.certificate(metadata={"deletionTimestamp": now})
    assert plan(build.observation(gone), now) == Forget()


def test_a_deleted_certificate_is_held_ten_minutes_at_most(build: Build, now: dt.datetime) -> None:
    going = build.certificate(metadata={**HELD, "deletionTimestamp": now})
    observation = build.observation(going, status=status(order=build.order_status()), issuer_view=IssuerView("unknown"))
    assert plan(observation, now + CLEAN_UP_PATIENCE - SECOND) == Park()
    assert plan(observation, now + CLEAN_UP_PATIENCE) == Release()
    gone = replace(observation, certificate=build.certificate(metadata={"deletionTimestamp": now}))
    assert plan(gone, now + CLEAN_UP_PATIENCE) == Forget()


def test_a_deleted_certificate_is_not_issued(build: Build, now: dt.datetime) -> None:
    gone = build.certificate(metadata={"deletionTimestamp": now})
    assert plan(build.observation(gone, other_owner="other"), now) == Forget()
    assert plan(build.observation(gone, secret=build.facts()), now) == Forget()
