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
    ISSUER_FAILURES,
    LONGEST_ASKED,
    LONGEST_PAUSE,
    MAX_CERTIFICATES,
    MAX_LENGTHENED_BY,
    NEXT_TRIAL,
    OTHERS_FIRST,
    SAID,
    TRIAL_PATIENCE,
    Circuits,
)
from certwright.issuers.rate_limits import Asker
from certwright.resources import Condition
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from certwright.reasons import Reason

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
CA = Key("Issuer", "team", "ca")
SHARED = Key("ClusterIssuer", "", "shared")
SECOND = dt.timedelta(seconds=1)


def team(uid: str) -> Asker:
    """A Certificate in the namespace of the Issuer."""
    return Asker("team", uid)


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
            self.circuits.failed(CA, team(uid or f"uid-{number % 3}"), "order", reason, "no answer.", now=self.now)
            self.now += within / (times - 1 or 1)

    def fail_at_shared(self, *namespaces: str, uid: str = "one", is_certain: bool = False) -> None:
        """Failures at a ClusterIssuer, 20 s apart."""
        for namespace in namespaces:
            who = Asker(namespace, f"{namespace}-{uid}")
            self.circuits.failed(SHARED, who, "order", "CAUnreachable", "no", now=self.now, is_certain=is_certain)
            self.now += 20 * SECOND

    def holds_up(self, namespace: str, uid: str = "one") -> bool:
        """Whether a Certificate must not use the ClusterIssuer now."""
        return self.circuits.obstacle(SHARED, Asker(namespace, f"{namespace}-{uid}"), self.now) is not None

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
    obstacle = watched.circuits.obstacle(CA, team("one"), watched.now)
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
    watched.circuits.answered(CA, team("uid-0"), "order", watched.now)
    watched.fail(FAILURES - 1)
    assert watched.circuits.is_available(CA)


def test_answers_about_orders_that_there_are_do_not_excuse_refusals_of_new_ones(watched: Watched) -> None:
    for number in range(FAILURES):
        watched.fail(1, uid=f"uid-{number}")
        watched.circuits.answered(CA, team("other"), "other", watched.now)
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
    assert circuits.enter(CA, team("one"), now) is None
    assert circuits.enter(CA, team("one"), now) is None
    assert circuits.enter(CA, team("two"), now) is not None
    assert circuits.obstacle(CA, team("two"), now + TRIAL_PATIENCE) is None


def test_a_certificate_closes_the_circuit(watched: Watched) -> None:
    watched.opened()
    watched.now += FIRST_PAUSE
    assert watched.circuits.enter(CA, team("one"), watched.now) is None
    watched.circuits.answered(CA, team("uid-0"), "order", watched.now)
    assert not watched.circuits.is_available(CA)
    watched.circuits.proved(CA, team("one"))
    assert (watched.circuits.is_available(CA), watched.changes) == (True, [CA])
    assert watched.circuits.enter(CA, team("two"), watched.now) is None


def test_each_trial_that_fails_doubles_the_pause(watched: Watched) -> None:
    watched.opened()
    pause = FIRST_PAUSE
    for _ in range(8):
        watched.now += pause
        assert watched.circuits.enter(CA, team("one"), watched.now) is None
        watched.circuits.failed(CA, team("one"), "other", "CAInternalError", "still not", now=watched.now)
        pause = min(2 * pause, LONGEST_PAUSE)
        obstacle = watched.circuits.obstacle(CA, team("one"), watched.now)
        assert obstacle is not None
        assert obstacle.until == watched.now + pause


def test_failures_of_what_began_before_do_not_lengthen_the_pause(watched: Watched) -> None:
    watched.opened()
    before = watched.circuits.obstacle(CA, team("one"), watched.now)
    watched.circuits.failed(CA, team("one"), "order", "CAUnreachable", "late", now=watched.now)
    after = watched.circuits.obstacle(CA, team("one"), watched.now)
    assert before is not None
    assert after is not None
    assert before.until == after.until


def test_a_clock_that_is_set_back_ends_the_pause(watched: Watched) -> None:
    watched.opened()
    assert watched.circuits.obstacle(CA, team("one"), NOW - dt.timedelta(days=1)) is None


def test_the_condition_says_what_is_wrong_and_when_it_is_tried_again(watched: Watched) -> None:
    watched.opened()
    condition = watched.circuits.condition(CA, 3)
    assert (condition.type, condition.status, condition.reason) == (AVAILABLE, "False", "IssuerUnavailable")
    assert "no answer" in condition.message
    assert condition.observed_generation == 3
    watched.circuits.proved(CA, team("one"))
    assert watched.circuits.condition(CA, 3).status == "True"


def test_after_a_restart_one_order_tries_first(watched: Watched) -> None:
    left = Condition(type=AVAILABLE, status="False", last_transition_time=NOW)
    watched.circuits.restore(CA, left, NOW + SECOND)
    assert watched.circuits.enter(CA, team("one"), NOW + SECOND) is None
    assert watched.circuits.enter(CA, team("two"), NOW + SECOND) is not None
    other = Key("Issuer", "team", "other")
    watched.circuits.restore(other, left.replace(status="True"), NOW)
    assert watched.circuits.is_available(other)


def test_nothing_is_kept_of_an_issuer_that_is_gone_or_works(watched: Watched) -> None:
    watched.fail(2, uid="uid-0")
    watched.circuits.answered(CA, team("uid-0"), "order", watched.now)
    assert not vars(watched.circuits)["_circuits"]
    watched.opened()
    watched.circuits.forget(CA)
    assert not vars(watched.circuits)["_circuits"]


def test_what_only_one_certificate_meets_turns_no_other_away(watched: Watched) -> None:
    watched.fail(uid="poison")
    assert watched.circuits.obstacle(CA, team("poison"), watched.now) is not None
    assert watched.circuits.obstacle(CA, team("other"), watched.now) is None
    assert watched.circuits.enter(CA, team("other"), watched.now) is None
    assert watched.circuits.is_available(CA)
    assert watched.circuits.condition(CA, 1).status == "True"
    watched.circuits.proved(CA, team("other"))
    assert watched.circuits.obstacle(CA, team("poison"), watched.now) is not None
    watched.fail(FAILURES - 1, uid="poison")
    watched.circuits.failed(CA, team("other"), "order", "CAUnreachable", "no answer", now=watched.now)
    assert not watched.circuits.is_available(CA)
    assert watched.circuits.obstacle(CA, team("third"), watched.now) is not None


def test_one_namespace_cannot_turn_others_away_from_a_cluster_issuer(watched: Watched) -> None:
    for number in range(50):
        watched.fail_at_shared("evil", uid=str(number))
    assert watched.holds_up("evil", "new")
    assert not watched.holds_up("good")
    assert watched.circuits.is_available(SHARED)
    assert watched.circuits.condition(SHARED, 1).status == "True"


def test_one_namespace_cannot_have_one_failure_of_another_turn_everybody_away(watched: Watched) -> None:
    watched.fail_at_shared(*["evil"] * 20, "good")
    assert watched.circuits.is_available(SHARED)
    assert not watched.holds_up("good")
    watched.fail_at_shared("third")
    assert not watched.circuits.is_available(SHARED)
    assert watched.holds_up("fourth")


def test_failures_of_several_namespaces_open_the_circuit_of_a_cluster_issuer(watched: Watched) -> None:
    watched.fail_at_shared("a", "b", "c", "a", "b")
    assert not watched.circuits.is_available(SHARED)
    assert watched.changes == [SHARED]


def test_what_nobody_who_asks_can_bring_about_counts_from_one_namespace(watched: Watched) -> None:
    watched.fail_at_shared(*["a"] * FAILURES, is_certain=True)
    assert not watched.circuits.is_available(SHARED)
    assert watched.holds_up("b")


def test_trouble_of_one_certificate_is_not_that_of_its_namespace(watched: Watched) -> None:
    watched.fail_at_shared(*["a"] * FAILURES)
    assert watched.holds_up("a")
    assert not watched.holds_up("a", "other")


def test_the_trial_is_for_other_namespaces_than_the_one_whose_trial_failed(watched: Watched) -> None:
    """A Certificate that fails at a CA that works must not keep its circuit open by being first every time."""
    watched.fail_at_shared("evil", "good", "evil", "good", "evil")
    watched.now += FIRST_PAUSE
    evil = Asker("evil", "evil-one")
    assert watched.circuits.enter(SHARED, evil, watched.now) is None
    watched.fail_at_shared("evil")
    watched.now += 2 * FIRST_PAUSE - 20 * SECOND
    assert watched.circuits.enter(SHARED, evil, watched.now) is not None
    assert watched.circuits.enter(SHARED, evil, watched.now + OTHERS_FIRST) is None  # if there is nobody else


def test_failures_of_one_namespace_do_not_make_the_pause_longer_again_and_again(watched: Watched) -> None:
    watched.fail_at_shared("evil", "good", "evil", "good", "evil")
    watched.now += FIRST_PAUSE
    watched.fail_at_shared("evil")  # without being the trial: it lists no other issuer
    watched.now += 2 * FIRST_PAUSE
    watched.fail_at_shared("evil", "evil", "evil")
    assert watched.circuits.enter(SHARED, Asker("good", "good-one"), watched.now) is None
    watched.fail_at_shared("evil")
    watched.circuits.proved(SHARED, Asker("good", "good-one"))
    assert watched.circuits.is_available(SHARED)


def test_a_refusal_as_it_should_be_closes_the_circuit_only_after_the_pause(watched: Watched) -> None:
    """Whoever asks for a name that a CA must refuse could have others sent to a CA that does not issue."""
    watched.fail_at_shared("a", "b", "a", "b", "a")
    evil = Asker("evil", "evil-one")
    watched.circuits.judged(SHARED, evil, "order", watched.now)
    assert not watched.circuits.is_available(SHARED)
    watched.circuits.judged(SHARED, evil, "order", watched.now + FIRST_PAUSE)
    assert watched.circuits.is_available(SHARED)


def test_circuits_of_one_namespace_wake_nobody_else(watched: Watched) -> None:
    """Each change has all Certificates looked at that list another issuer."""
    for _ in range(5):
        for number in range(20):
            watched.fail_at_shared("evil", uid=str(number % 4))
        watched.now += LONGEST_PAUSE
    watched.circuits.proved(SHARED, Asker("evil", "evil-0"))
    assert watched.changes == []


def test_what_is_known_of_a_namespace_is_bounded(watched: Watched) -> None:
    for number in range(10 * MAX_CERTIFICATES):
        watched.circuits.failed(SHARED, Asker("evil", str(number)), "order", "CAUnreachable", "no", now=watched.now)
    known = vars(watched.circuits)["_circuits"][SHARED]
    assert len(known["evil"]) <= MAX_CERTIFICATES + 1
    assert len(known[""][""].rows["order"].sources) == 1


def test_once_the_ca_answers_a_trial_another_one_follows_soon(watched: Watched) -> None:
    """The first may wait for its DNS for an hour, or for ever, and the CA works."""
    answers: list[Key] = []
    watched.opened().circuits.on_answer = answers.append
    watched.now += FIRST_PAUSE
    circuits = watched.circuits
    assert circuits.enter(CA, team("one"), watched.now) is None
    for _ in range(3):
        circuits.answered(CA, team("one"), "order", watched.now)
    assert answers == [CA]
    obstacle = circuits.obstacle(CA, team("two"), watched.now)
    assert obstacle is not None
    assert obstacle.until == watched.now + NEXT_TRIAL
    watched.now += NEXT_TRIAL
    assert circuits.enter(CA, team("two"), watched.now) is None
    assert circuits.enter(CA, team("three"), watched.now + NEXT_TRIAL) is not None, "the second has no answer yet"
    assert circuits.enter(CA, team("three"), watched.now + TRIAL_PATIENCE) is None
    circuits.failed(CA, team("one"), "other", "CAInternalError", "no", now=watched.now + TRIAL_PATIENCE)
    assert circuits.enter(CA, team("four"), watched.now + TRIAL_PATIENCE + NEXT_TRIAL) is not None


def test_answers_of_those_who_do_not_try_it_let_nobody_follow(watched: Watched) -> None:
    watched.opened()
    watched.now += FIRST_PAUSE
    assert watched.circuits.enter(CA, team("one"), watched.now) is None
    watched.circuits.answered(CA, team("other"), "other", watched.now)
    assert watched.circuits.enter(CA, team("two"), watched.now + NEXT_TRIAL) is not None


def test_a_clock_that_is_set_back_ends_a_trial(watched: Watched) -> None:
    watched.opened()
    watched.now += FIRST_PAUSE
    assert watched.circuits.enter(CA, team("one"), watched.now) is None
    assert watched.circuits.obstacle(CA, team("two"), NOW - dt.timedelta(days=1)) is None


def test_namespaces_that_fail_in_turn_do_not_keep_others_from_trying(watched: Watched) -> None:
    """Whoever has two namespaces, and Certificates on which the CA fails, must not keep its circuit open."""
    watched.fail_at_shared("evil-1", "evil-2", "evil-1", "evil-2", "evil-1")
    assert watched.holds_up("good")
    for number in range(2):
        held = watched.circuits.obstacle(SHARED, Asker("good", "good-one"), watched.now)
        assert held is not None
        watched.now = held.until
        evil = Asker(f"evil-{number + 1}", f"uid-{number}")
        assert watched.circuits.enter(SHARED, evil, watched.now) is None
        watched.circuits.failed(SHARED, evil, "order", "CAInternalError", "no", now=watched.now)
    held = watched.circuits.obstacle(SHARED, Asker("good", "good-one"), watched.now)
    assert held is not None
    watched.now = held.until + OTHERS_FIRST - SECOND
    assert watched.holds_up("evil-1", "new")
    assert watched.holds_up("evil-2", "new")
    assert not watched.holds_up("good")


def test_those_whose_trials_failed_are_bounded(watched: Watched) -> None:
    watched.fail_at_shared("a", "b", "a", "b", "a")
    for number in range(3 * MAX_LENGTHENED_BY):
        watched.now += LONGEST_PAUSE + OTHERS_FIRST
        watched.fail_at_shared(f"team-{number}")
    (circuit,) = (known[""] for known in vars(watched.circuits)["_circuits"][SHARED].values())
    assert len(circuit.lengthened_by) == MAX_LENGTHENED_BY


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        (dt.timedelta(minutes=30), dt.timedelta(minutes=30)),
        (dt.timedelta(days=9), LONGEST_ASKED),
        (dt.timedelta(seconds=5), FIRST_PAUSE),
        (-dt.timedelta(days=9), FIRST_PAUSE),
    ],
)
def test_a_ca_that_asks_for_a_longer_pause_gets_it(watched: Watched, asked: dt.timedelta, pause: dt.timedelta) -> None:
    def fail(uid: str) -> None:
        until = watched.now + asked
        watched.circuits.failed(
            CA, team(uid), "order", "CAInternalError", "maintenance", now=watched.now, not_before=until
        )

    for number in range(FAILURES):
        fail(f"uid-{number % 3}")
        watched.now += 20 * SECOND
    opened = watched.now - 20 * SECOND
    obstacle = watched.circuits.obstacle(CA, team("one"), watched.now)
    assert obstacle is not None
    assert obstacle.until == opened + pause
    watched.now = opened + pause
    assert watched.circuits.enter(CA, team("one"), watched.now) is None
    fail("one")
    obstacle = watched.circuits.obstacle(CA, team("one"), watched.now)
    assert obstacle is not None
    assert obstacle.until == watched.now + max(pause if asked > FIRST_PAUSE else 2 * FIRST_PAUSE, 2 * FIRST_PAUSE)


def test_what_only_it_has_met_itself_does_not_hold_up_one_without_another_issuer(watched: Watched) -> None:
    watched.fail(uid="poison")
    assert watched.circuits.obstacle(CA, team("poison"), watched.now) is not None
    assert watched.circuits.obstacle(CA, team("poison"), watched.now, is_alone=True) is None
    assert watched.circuits.enter(CA, team("poison"), watched.now, is_alone=True) is None
    watched.fail(FAILURES, uid="")
    assert watched.circuits.obstacle(CA, team("poison"), watched.now, is_alone=True) is not None


def test_what_those_who_wait_are_told_stays_the_same_through_pauses_and_trials(watched: Watched) -> None:
    """It stands in the condition of each of them: a word that changes is a write for everybody."""
    watched.opened()
    told = set()
    for number in range(10):
        told.add(getattr(watched.circuits.obstacle(CA, team("waits"), watched.now), "message", None))
        watched.now += LONGEST_PAUSE
        assert watched.circuits.enter(CA, team("one"), watched.now) is None
        told.add(getattr(watched.circuits.obstacle(CA, team("waits"), watched.now), "message", None))
        message = f"no answer to request {number}"
        watched.circuits.failed(CA, team("one"), "order", "CAUnreachable", message, now=watched.now)
    assert told == {"it has failed since 2026-06-01T12:00:00Z: no answer"}
    watched.now += LONGEST_PAUSE
    watched.circuits.failed(CA, team("one"), "order", "CAInternalError", "HTTP 500", now=watched.now)
    assert "HTTP 500" in watched.circuits.condition(CA, 1).message, "it fails in another way"


@pytest.mark.parametrize("is_certain", [False, True])
def test_all_tenants_are_told_of_a_cluster_issuer_only_what_concerns_all(watched: Watched, *, is_certain: bool) -> None:
    said = "HTTP 500 for secret-project.shop.example" if not is_certain else "cannot connect to ca.example"
    for namespace in "ababab":
        who = Asker(namespace, f"{namespace}-one")
        watched.circuits.failed(SHARED, who, "order", "CAInternalError", said, now=watched.now, is_certain=is_certain)
        watched.now += 20 * SECOND
    obstacle = watched.circuits.obstacle(SHARED, Asker("other", "other-one"), watched.now)
    assert obstacle is not None
    for message in (obstacle.message, watched.circuits.condition(SHARED, 1).message):
        assert ("secret-project" not in message) or is_certain
        assert ("ca.example" if is_certain else "its CA reports an internal error") in message


def test_there_are_words_for_all_tenants_for_every_failure_that_counts() -> None:
    assert set(SAID) == set(ISSUER_FAILURES)
