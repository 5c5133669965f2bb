from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from certwright.handlers.election import Candidate, Election
from certwright.metrics import Metrics
from certwright.runtime.leadership import Leadership

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leadership(clock: Clock) -> Leadership:
    return Leadership(clock=clock)


@pytest.fixture
def happened() -> list[str]:
    return []


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def candidate(leadership: Leadership, happened: list[str], metrics: Metrics) -> Candidate:
    def note(what: str) -> Callable[[], None]:
        return lambda: happened.append(what)

    return Candidate(
        None,  # type: ignore[arg-type]  # nothing is asked
        Election("lease", "pod-a", note("the end is seen to")),
        namespace="tools",
        leadership=leadership,
        metrics=metrics,
        abort=note("the work is ended"),
    )


def test_before_anything_was_read_it_could_not_take_over(candidate: Candidate) -> None:
    assert candidate.trouble == "Lease tools/lease has not been read yet"
    assert candidate.lost is None


def test_a_loss_is_first_seen_to_then_acted_on(
    candidate: Candidate, leadership: Leadership, happened: list[str]
) -> None:
    leadership.extend(1006)
    candidate._elector._lose("pod-b has it")
    candidate._elector._lose("and again")
    assert happened == ["the end is seen to", "the work is ended"]
    assert candidate.lost == "the lease is lost: pod-b has it"
    assert not leadership.holds()


def test_time_that_ran_out_unnoticed_by_the_elector_is_a_loss(
    candidate: Candidate, leadership: Leadership, clock: Clock
) -> None:
    leadership.extend(1006)
    assert candidate.lost is None
    clock.now = 1007
    assert candidate.lost == "the lease is lost: it expired while this process was frozen"


def test_who_has_resigned_loses_nothing(candidate: Candidate, leadership: Leadership) -> None:
    leadership.extend(1006)
    candidate.resign()
    leadership.end()
    assert candidate.lost is None


def test_the_metrics_tell_the_transitions(candidate: Candidate, metrics: Metrics) -> None:
    candidate._elector._on_transitions(7)
    assert b"\ncertwright_lease_transitions 7.0\n" in metrics.render()


async def test_one_that_never_saw_everything_resigns_without_having_stood(candidate: Candidate) -> None:
    standing = asyncio.create_task(candidate.run(asyncio.Event()))
    await asyncio.sleep(0)
    candidate.resign()
    async with asyncio.timeout(5):
        await standing
    assert candidate.trouble == "Lease tools/lease has not been read yet"
