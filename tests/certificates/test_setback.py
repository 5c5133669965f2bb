from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from certwright.certificates.case import Case, Memory
from certwright.certificates.setback import take_failure
from certwright.certificates.steps import Adopt, CleanUp, Present, Release, StartOrder, Step
from certwright.failures import Failure
from certwright.issuers.registry import IssuerView

if TYPE_CHECKING:
    from certwright.certificates.tools import Tools
    from certwright.resources import OrderStatus
    from tests.fakes.operator import Build

SETBACK = Failure("CAUnreachable", "No answer.", "setback")
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


def case_of(build: Build, order: OrderStatus | None = None, *names: str) -> Case:
    certificate = build.certificate(*names)
    return Case(
        certificate=certificate,
        status=certificate.status.replace(order=order),
        secret=None,
        memory=Memory(flight=build.flight()),
        issuer_view=IssuerView("ready"),
        issuer=None,
        wanted=build.wanted(certificate),
        rival=None,
    )


def test_a_setback_costs_nothing_but_time(build: Build, told: Told) -> None:
    case = case_of(build, build.order_status())
    flight, status = case.memory.flight, case.status
    for count in (1, 2, 3):
        take_failure(case, told.tools, Present(), SETBACK)
        assert case.memory.setbacks == count
    assert case.memory.retry_at is not None
    assert dt.timedelta(seconds=6) < case.memory.retry_at - told.now < dt.timedelta(seconds=10)
    assert (case.memory.flight, case.status) == (flight, status)
    assert case.memory.note is not None
    assert case.memory.note.message == f"No answer. The next try is at {case.memory.retry_at:%Y-%m-%dT%H:%M:%SZ}."
    assert not case.memory.note.under_way


def test_the_same_failure_is_news_once(build: Build, told: Told) -> None:
    case = case_of(build)
    for failure in (SETBACK, SETBACK, ATTEMPT, ATTEMPT, SETBACK):
        take_failure(case, told.tools, START, failure)
    assert told.events == ["CAUnreachable", "ValidationFailed", "ValidationFailed", "CAUnreachable"]
    assert len(told.counted) == 5


def test_the_ca_may_ask_for_more_time(build: Build, told: Told) -> None:
    for kind in ("setback", "attempt"):
        later = told.now + dt.timedelta(days=2)
        case = case_of(build)
        take_failure(case, told.tools, START, Failure("RateLimited", "Too many.", kind, not_before=later))
        assert case.memory.retry_at == later


def test_failed_attempts_wait_longer_each_time(build: Build, told: Told) -> None:
    for count, minutes in enumerate((1, 10, 100, 1440, 1440), start=1):
        case = case_of(build, build.order_status())
        case.status = case.status.replace(failed_attempts=count - 1)
        take_failure(case, told.tools, Present(), ATTEMPT)
        assert case.status.failed_attempts == count
        assert case.status.next_attempt_time == told.now + dt.timedelta(minutes=minutes)
        assert case.memory.retry_at == case.status.next_attempt_time, "the status may never be written"
    assert case.status.last_failure_time == told.now
    assert (case.memory.flight, case.memory.key) == (None, None)
    assert case.status.order is not None
    assert case.status.order.state == "invalid"
    assert case.status.order.authorizations[0].presented, "the records are still outside"


def test_the_names_that_failed_say_why(build: Build, told: Told) -> None:
    certificate = build.certificate("a.example.test", "*.a.example.test")
    case = case_of(build, build.order_status(certificate), "a.example.test", "*.a.example.test")
    by_name = {"*.a.example.test": "x" * 9000, "other.example.test": "unknown here"}
    take_failure(case, told.tools, Present(), Failure("ValidationFailed", "No.", "attempt", by_name=by_name))
    assert case.status.order is not None
    wildcard, apex = case.status.order.authorizations
    assert (wildcard.state, len(wildcard.error or "")) == ("invalid", 4000)
    assert (apex.state, apex.error) == ("pending", None)


def test_a_setback_with_names_leaves_their_state(build: Build, told: Told) -> None:
    case = case_of(build, build.order_status())
    by_name = {"a.example.test": "not yet"}
    take_failure(case, told.tools, Present(), Failure("RecordNotVisible", "No.", "setback", by_name=by_name))
    assert case.status.order is not None
    (authorization,) = case.status.order.authorizations
    assert (authorization.state, authorization.error) == ("pending", "not yet")


@pytest.mark.parametrize("state", [None, "invalid"])
def test_an_order_that_was_not_opened_is_told_in_its_place(build: Build, told: Told, state: str | None) -> None:
    before = None if state is None else build.order_status(presented=False, state=state)
    case = case_of(build, before)
    by_name = {"a.example.test": "forbidden", "elsewhere.test": "what is this?"}
    take_failure(case, told.tools, START, Failure("RejectedIdentifier", "No.", "attempt", by_name=by_name))
    order = case.status.order
    assert order is not None
    assert (order.url, order.state, order.names) == (None, "invalid", ("a.example.test",))
    assert [(entry.name, entry.error) for entry in order.authorizations] == [("a.example.test", "forbidden")]
    assert case.wanted is not None
    assert order.spec_hash == case.wanted.fingerprint


def test_without_knowing_what_is_wanted_no_order_is_made_up(build: Build, told: Told) -> None:
    case = case_of(build)
    case.wanted = None
    take_failure(case, told.tools, START, ATTEMPT)
    assert case.status.order is None


def test_an_order_that_is_gone_fits_no_spec(build: Build, told: Told) -> None:
    case = case_of(build, build.order_status())
    take_failure(case, told.tools, Present(), Failure("OrderGone", "404.", "order"))
    assert case.status.order is not None
    assert case.wanted is not None
    assert case.status.order.spec_hash != case.wanted.fingerprint
    assert case.memory.flight is None
    assert case.status.failed_attempts == 0


def test_a_lost_account_ends_the_flight_only(build: Build, told: Told) -> None:
    case = case_of(build, build.order_status())
    before = case.status
    take_failure(case, told.tools, Present(), Failure("AccountUnknown", "Who?", "account"))
    assert (case.memory.flight, case.status) == (None, before)


@pytest.mark.parametrize("step", [CleanUp(), Release(), Adopt()])
def test_tidying_up_has_a_pause_of_its_own(build: Build, told: Told, step: Step) -> None:
    case = case_of(build, build.order_status(state="invalid"))
    before = case.status
    for count in (1, 2):
        take_failure(case, told.tools, step, ATTEMPT)
        assert case.memory.clean_up_failures == count
    assert case.memory.clean_up_at is not None
    assert case.memory.clean_up_at > told.now
    assert (case.memory.retry_at, case.memory.note, case.status) == (None, None, before)
