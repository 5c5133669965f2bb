"""The circuit breaker of an issuer."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from certwright.issuers.circuits import (
    AVAILABLE,
    FAILING_FOR,
    FAILURES,
    FIRST_PAUSE,
    FORGOTTEN_AFTER,
    LONGEST_PAUSE,
    TRIAL_PATIENCE,
    Circuits,
)
from certwright.resources import Condition
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from certwright.reasons import Reason

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
CA = Key("Issuer", "team", "ca")
SECOND = dt.timedelta(seconds=1)


class Watched:
    """Circuits, and how often one was opened or closed."""

    def __init__(self) -> None:
        self.changes: list[Key] = []
        self.circuits = Circuits(self.changes.append)
        self.now = NOW

    def fail(
        self, times: int = FAILURES, within: dt.timedelta = FAILING_FOR, reason: Reason = "CAUnreachable", uid: str = ""
    ) -> None:
        for number in range(times):
            self.circuits.failed(CA, uid or f"uid-{number % 3}", "order", reason, "no answer.", now=self.now)
            self.now += within / (times - 1 or 1)

    def opened(self) -> Watched:
        self.fail()
        assert not self.circuits.is_available(CA)
        self.changes.clear()
        return self


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_failures_in_a_row_over_a_minute_open_the_circuit(watched: Watched) -> None:
    watched.fail()
    assert (watched.changes, watched.circuits.is_available(CA)) == ([CA], False)
    obstacle = watched.circuits.obstacle(CA, "one", watched.now)
    assert obstacle is not None
    assert "it has failed since 2026-06-01T12:00:00Z: no answer" in obstacle.message


def test_a_thousand_failures_of_one_second_do_not(watched: Watched) -> None:
    watched.fail(1000, SECOND)
    assert watched.circuits.is_available(CA)


@pytest.mark.parametrize(
    "reason", ["ValidationFailed", "RejectedIdentifier", "CAAForbids", "BadCSR", "DNSServerUnreachable", "NoSolver"]
)
def test_what_is_not_the_issuers_fault_does_not(watched: Watched, reason: Reason) -> None:
    watched.fail(50, reason=reason)
    assert watched.circuits.is_available(CA)


def test_an_answer_in_between_begins_a_new_row(watched: Watched) -> None:
    watched.fail(FAILURES - 1)
    watched.circuits.answered(CA, "order")
    watched.fail(FAILURES - 1)
    assert watched.circuits.is_available(CA)


def test_answers_about_orders_that_there_are_do_not_excuse_refusals_of_new_ones(watched: Watched) -> None:
    for number in range(FAILURES):
        watched.fail(1, uid=f"uid-{number}")
        watched.circuits.answered(CA, "other")
    assert not watched.circuits.is_available(CA)


def test_old_failures_are_forgotten(watched: Watched) -> None:
    watched.fail(FAILURES - 1)
    watched.now += FORGOTTEN_AFTER + SECOND
    watched.fail(1)
    assert watched.circuits.is_available(CA)


def test_after_the_pause_one_order_tries_and_the_others_wait_for_it(watched: Watched) -> None:
    watched.opened()
    watched.now += FIRST_PAUSE
    circuits, now = watched.circuits, watched.now
    assert circuits.enter(CA, "one", now) is None
    assert circuits.enter(CA, "one", now) is None
    assert circuits.enter(CA, "two", now) is not None
    assert circuits.obstacle(CA, "two", now + TRIAL_PATIENCE) is None


def test_a_certificate_closes_the_circuit(watched: Watched) -> None:
    watched.opened()
    watched.now += FIRST_PAUSE
    assert watched.circuits.enter(CA, "one", watched.now) is None
    watched.circuits.answered(CA, "order")
    assert not watched.circuits.is_available(CA)
    watched.circuits.proved(CA, "one")
    assert (watched.circuits.is_available(CA), watched.changes) == (True, [CA])
    assert watched.circuits.enter(CA, "two", watched.now) is None


def test_each_trial_that_fails_doubles_the_pause(watched: Watched) -> None:
    watched.opened()
    pause = FIRST_PAUSE
    for _ in range(8):
        watched.now += pause
        assert watched.circuits.enter(CA, "one", watched.now) is None
        watched.circuits.failed(CA, "one", "other", "CAInternalError", "still not", now=watched.now)
        pause = min(2 * pause, LONGEST_PAUSE)
        obstacle = watched.circuits.obstacle(CA, "one", watched.now)
        assert obstacle is not None
        assert obstacle.until == watched.now + pause


def test_failures_of_what_began_before_do_not_lengthen_the_pause(watched: Watched) -> None:
    watched.opened()
    before = watched.circuits.obstacle(CA, "one", watched.now)
    watched.circuits.failed(CA, "one", "order", "CAUnreachable", "late", now=watched.now)
    after = watched.circuits.obstacle(CA, "one", watched.now)
    assert before is not None
    assert after is not None
    assert before.until == after.until


def test_a_clock_that_is_set_back_ends_the_pause(watched: Watched) -> None:
    watched.opened()
    assert watched.circuits.obstacle(CA, "one", NOW - dt.timedelta(days=1)) is None


def test_the_condition_says_what_is_wrong_and_when_it_is_tried_again(watched: Watched) -> None:
    watched.opened()
    condition = watched.circuits.condition(CA, 3)
    assert (condition.type, condition.status, condition.reason) == (AVAILABLE, "False", "IssuerUnavailable")
    assert "no answer" in condition.message
    assert condition.observed_generation == 3
    watched.circuits.proved(CA, "one")
    assert watched.circuits.condition(CA, 3).status == "True"


def test_after_a_restart_one_order_tries_first(watched: Watched) -> None:
    left = Condition(type=AVAILABLE, status="False", last_transition_time=NOW)
    watched.circuits.restore(CA, left, NOW + SECOND)
    assert watched.circuits.enter(CA, "one", NOW + SECOND) is None
    assert watched.circuits.enter(CA, "two", NOW + SECOND) is not None
    other = Key("Issuer", "team", "other")
    watched.circuits.restore(other, left.replace(status="True"), NOW)
    assert watched.circuits.is_available(other)


def test_nothing_is_kept_of_an_issuer_that_is_gone_or_works(watched: Watched) -> None:
    watched.fail(2)
    watched.circuits.answered(CA, "order")
    assert not vars(watched.circuits)["_circuits"]
    watched.opened()
    watched.circuits.forget(CA)
    assert not vars(watched.circuits)["_circuits"]


def test_what_only_one_certificate_meets_turns_no_other_away(watched: Watched) -> None:
    watched.fail(uid="poison")
    assert watched.circuits.obstacle(CA, "poison", watched.now) is not None
    assert watched.circuits.obstacle(CA, "other", watched.now) is None
    assert watched.circuits.enter(CA, "other", watched.now) is None
    assert watched.circuits.is_available(CA)
    assert watched.circuits.condition(CA, 1).status == "True"
    watched.circuits.proved(CA, "other")
    assert watched.circuits.obstacle(CA, "poison", watched.now) is not None
    watched.circuits.failed(CA, "other", "order", "CAUnreachable", "no answer", now=watched.now)
    assert not watched.circuits.is_available(CA)
    assert watched.circuits.obstacle(CA, "third", watched.now) is not None
