"""A wall clock that was wrong, or is: no wait is believed that nothing could have written."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from certwright import acme
from certwright.certificates.plan import plan
from certwright.certificates.steps.clean_up import CleanUp
from certwright.certificates.steps.release import Release
from certwright.certificates.steps.resting import Sleep
from certwright.certificates.steps.start_order import StartOrder
from certwright.resources import FINALIZER
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from tests.fakes.operator import Build

    from .bench import Bench

YEAR, MINUTE = dt.timedelta(days=365), dt.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("failed", "next_attempt", "waits"),
    [
        (dt.timedelta(), MINUTE, True),
        (-23 * 60 * MINUTE, 60 * MINUTE, True),
        (2 * MINUTE, 3 * MINUTE, True),  # by the clock of another replica
        (YEAR, YEAR + MINUTE, False),
        (dt.timedelta(), YEAR, False),
        (-YEAR, MINUTE, False),
        (60 * MINUTE, 61 * MINUTE, False),
    ],
)
def test_a_pause_in_a_status_is_believed_only_if_the_failure_could_have_written_it(
    build: Build, now: dt.datetime, failed: dt.timedelta, next_attempt: dt.timedelta, *, waits: bool
) -> None:
    order = build.order_status(presented=False, state="invalid")
    observation = build.observation().with_status(
        order=order, failed_attempts=1, last_failure_time=now + failed, next_attempt_time=now + next_attempt
    )
    assert isinstance(plan(observation, now), Sleep if waits else StartOrder)


def test_a_pause_that_began_in_the_future_is_over(build: Build, now: dt.datetime) -> None:
    backoff = Backoff().failed(now + YEAR, not_before=now + YEAR + MINUTE)
    assert isinstance(plan(build.observation(issuing=backoff), now + YEAR), Sleep)
    assert isinstance(plan(build.observation(issuing=backoff), now), StartOrder)


def test_a_deleted_certificate_is_not_held_for_as_long_as_our_clock_is_behind(build: Build, now: dt.datetime) -> None:
    deleted = {"deletionTimestamp": (now + YEAR).isoformat(), "finalizers": [FINALIZER]}
    certificate = build.certificate(metadata=deleted)
    tried = Backoff()
    observation = build.observation(certificate).with_status(order=build.order_status(certificate))
    assert isinstance(plan(observation, now), CleanUp)
    for _ in range(7):
        tried = tried.failed(now)
    assert isinstance(plan(observation.remember(cleaning_up=tried), now + 6 * MINUTE), Release)


async def test_an_order_goes_on_when_the_clock_is_set_back_meanwhile(bench: Bench) -> None:
    bench.ca.undecided = True
    await bench.run(120)
    bench.now -= YEAR
    bench.ca.undecided = False
    for url, order in bench.ca.orders.items():
        bench.ca.orders[url] = replace(order, status=acme.OrderStatus.READY)
    await bench.run(60)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_the_patience_of_a_self_check_does_not_grow_by_as_much_as_the_clock_is_set_back(bench: Bench) -> None:
    bench.dns.hidden = True
    await bench.run(60)
    assert bench.condition().reason == "WaitingForDNS"
    bench.now -= YEAR
    await bench.run(3600)
    assert "RecordNotVisible" in bench.events
