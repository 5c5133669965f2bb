from __future__ import annotations

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.certificates.failed_step import after_failure
from certwright.certificates.order.responses import presented_responses
from certwright.certificates.plan import plan
from certwright.certificates.steps.adopt import Adopt
from certwright.certificates.steps.clean_up import CleanUp
from certwright.certificates.steps.present import Present
from certwright.certificates.steps.release import Release
from certwright.certificates.steps.start_order import StartOrder
from certwright.failures import Failure, FailureKind
from certwright.resources import CertificateStatus
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.certificates.steps.step import Act
    from certwright.certificates.tools import Tools
    from certwright.resources import OrderStatus
    from tests.fakes.operator import Build

TRANSIENT = Failure("CAUnreachable", "No answer.", "transient")
ATTEMPT = Failure("ValidationFailed", "Not visible.", "attempt")
START = StartOrder("DoesNotExist", "why")


class Told:
    """What took a failure's Events and counts."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self.events: list[str] = []
        self.counted: list[str] = []
        self.tools = cast(
            "Tools",
            SimpleNamespace(
                clock=lambda: self.now,
                metrics=SimpleNamespace(failed=self.counted.append),
                recorder=SimpleNamespace(record=lambda _subject, _kind, reason, _message: self.events.append(reason)),
            ),
        )


@pytest.fixture
def told(now: dt.datetime) -> Told:
    return Told(now)


def observed(build: Build, order: OrderStatus | None = None, *names: str) -> Observation:
    certificate = build.certificate(*names)
    return build.observation(certificate, status=certificate.status.replace(order=order), open_order=build.open_order())


def test_a_transient_failure_costs_nothing_but_time(build: Build, told: Told) -> None:
    before = observation = observed(build, build.order_status())
    for count in (1, 2, 3):
        observation = after_failure(observation, told.tools, Present(), TRANSIENT)
        assert observation.memory.issuing.failures == count
    again = observation.memory.issuing.not_before
    assert again is not None
    assert dt.timedelta(seconds=6) < again - told.now < dt.timedelta(seconds=10)
    assert observation.memory.open_order == before.memory.open_order
    assert observation.status == before.status.replace(next_attempt_time=again), "when it goes on is told"
    note = observation.memory.note
    assert note is not None
    assert note.message == f"No answer. The next attempt is at {again:%Y-%m-%dT%H:%M:%SZ}."
    assert not note.under_way


def test_the_same_failure_is_news_once(build: Build, told: Told) -> None:
    observation = observed(build)
    for failure in (TRANSIENT, TRANSIENT, ATTEMPT, ATTEMPT, TRANSIENT):
        observation = after_failure(observation, told.tools, START, failure)
    assert told.events == ["CAUnreachable", "ValidationFailed", "ValidationFailed", "CAUnreachable"]
    assert len(told.counted) == 5


@pytest.mark.parametrize("kind", ["transient", "attempt"])
def test_the_ca_may_ask_for_more_time(build: Build, told: Told, kind: FailureKind) -> None:
    later = told.now + dt.timedelta(days=2)
    failure = Failure("RateLimited", "Too many.", kind, not_before=later)
    assert after_failure(observed(build), told.tools, START, failure).memory.issuing.not_before == later


def test_failed_attempts_wait_longer_each_time(build: Build, told: Told) -> None:
    for count, minutes in enumerate((1, 10, 100, 1440, 1440), start=1):
        observation = observed(build, build.order_status()).with_status(failed_attempts=count - 1)
        observation = after_failure(observation, told.tools, Present(), ATTEMPT)
        status = observation.status
        assert status.failed_attempts == count
        assert status.next_attempt_time is not None
        pause = (status.next_attempt_time - told.now) / dt.timedelta(minutes=1)
        assert minutes * 0.99 <= pause <= minutes * 1.1
        assert observation.memory.issuing.not_before == status.next_attempt_time, "the status may never be written"
        assert status.last_failure_time == told.now
        assert observation.memory.open_order is None
        assert status.order is not None
        assert status.order.state == "invalid"
        assert status.order.authorizations[0].presented, "the records are still outside"


def test_the_names_that_failed_say_why(build: Build, told: Told) -> None:
    certificate = build.certificate("a.example.test", "*.a.example.test")
    observation = observed(build, build.order_status(certificate), "a.example.test", "*.a.example.test")
    by_name = {"*.a.example.test": "x" * 9000, "other.example.test": "unknown here"}
    failure = Failure("ValidationFailed", "No.", "attempt", by_name=by_name)
    order = after_failure(observation, told.tools, Present(), failure).status.order
    assert order is not None
    wildcard, apex = order.authorizations
    assert (wildcard.state, len(wildcard.error or "")) == ("invalid", 4000)
    assert (apex.state, apex.error) == ("pending", None)


def test_a_transient_failure_with_names_leaves_their_state(build: Build, told: Told) -> None:
    observation = observed(build, build.order_status())
    failure = Failure("RecordNotVisible", "No.", "transient", by_name={"a.example.test": "not yet"})
    order = after_failure(observation, told.tools, Present(), failure).status.order
    assert order is not None
    (authorization,) = order.authorizations
    assert (authorization.state, authorization.error) == ("pending", "not yet")


@pytest.mark.parametrize("before", [None, {"state": "invalid"}, {"url": None}])
def test_an_order_that_was_not_opened_is_told_in_its_place(
    build: Build, told: Told, before: dict[str, Any] | None
) -> None:
    observation = observed(build, None if before is None else build.order_status(presented=False, **before))
    by_name = {"a.example.test": "forbidden", "elsewhere.test": "what is this?"}
    failure = Failure("RejectedIdentifier", "No.", "attempt", by_name=by_name)
    order = after_failure(observation, told.tools, START, failure).status.order
    assert order is not None
    assert (order.url, order.state, order.names) == (None, "invalid", ("a.example.test",))
    assert [(entry.name, entry.error) for entry in order.authorizations] == [("a.example.test", "forbidden")]
    assert observation.request is not None
    assert order.spec_hash == observation.request.fingerprint


def test_without_a_request_no_order_is_made_up(build: Build, told: Told) -> None:
    observation = replace(observed(build), request=None)
    assert after_failure(observation, told.tools, START, ATTEMPT).status.order is None


def test_an_order_that_is_gone_is_never_resumed(build: Build, told: Told) -> None:
    observation = after_failure(
        observed(build, build.order_status()), told.tools, Present(), Failure("OrderGone", "404.", "order")
    )
    assert observation.memory.open_order is None
    assert observation.status.failed_attempts == 0
    assert presented_responses(observation.status), "the records are still outside"
    assert plan(observation, told.now) == CleanUp()
    read_again = CertificateStatus.model_validate(observation.status.to_json())
    assert plan(build.observation(status=read_again), told.now) == CleanUp(), "another process knows it, too"


def test_a_lost_account_ends_the_open_order_only(build: Build, told: Told) -> None:
    before = observed(build, build.order_status())
    observation = after_failure(before, told.tools, Present(), Failure("AccountUnknown", "Who?", "account"))
    again = observation.memory.issuing.not_before
    assert (observation.memory.open_order, observation.status) == (None, before.status.replace(next_attempt_time=again))


@pytest.mark.parametrize("step", [CleanUp(), Release(), Adopt()])
def test_cleaning_up_has_a_back_off_of_its_own(build: Build, told: Told, step: Act) -> None:
    before = observation = observed(build, build.order_status(state="invalid"))
    for count in (1, 2):
        observation = after_failure(observation, told.tools, step, ATTEMPT)
        assert observation.memory.cleaning_up.failures == count
    again = observation.memory.cleaning_up.not_before
    assert again is not None
    assert again > told.now
    assert (observation.memory.issuing, observation.memory.note) == (Backoff(), None)
    assert observation.status == before.status
