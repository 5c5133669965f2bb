"""What is told of files that are not served, and what becomes of the objects of an issuer that changed meanwhile."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import Challenge, ChallengeStatus, Order, OrderStatus
from certwright.certificates.open_order import Flight
from certwright.certificates.steps import self_check as solver_acts
from certwright.challenges.response import FileResponse, RecordResponse
from certwright.dns import Propagation, ServerView
from certwright.http01.self_check import HttpSighting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.challenges.response import Sighting

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
FILE = FileResponse("a.example.test", "abc", "abc.print")
NOT_FOUND = HttpSighting(FILE, complete=False, seen="HTTP 404 Not Found", status=404)


class FakeSolver:
    """Sees what it is told to."""

    self_check = "required"
    patience = dt.timedelta(minutes=1)

    def __init__(self) -> None:
        self.seen = NOT_FOUND
        self.other: tuple[Propagation, ...] = ()

    async def check(self, _proofs: Sequence[FileResponse]) -> tuple[Sighting, ...]:
        return self.other or (self.seen,)


class World:
    """A Certificate whose files are looked for, and a clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.solver = FakeSolver()
        self.events: list[tuple[str, str]] = []
        order = Order("https://ca.example.test/order/1", OrderStatus.PENDING, (), (), "")
        flight = Flight(order=order, next_look=NOW, proofs={FILE.host: FILE}, presented_at=NOW)
        flight.challenges[FILE.host] = Challenge("http-01", "https://ca.example.test/1", ChallengeStatus.PENDING, "abc")
        self.memory = SimpleNamespace(solvers={FILE.host: self.solver}, saved_at=NOW)
        self.notes: list[str] = []
        self.case: Any = SimpleNamespace(
            flight=flight,
            memory=self.memory,
            subject=None,
            change_authorizations=lambda **_: None,
            note=lambda _reason, message: self.notes.append(message),
        )
        recorder = SimpleNamespace(record=lambda _subject, _kind, *told: self.events.append(told))
        self.tools: Any = SimpleNamespace(clock=lambda: self.now, recorder=recorder)

    async def look(self, seconds: float, cause: str = "") -> None:
        self.now += dt.timedelta(seconds=seconds)
        self.solver.seen = replace(NOT_FOUND, cause=cause)
        await solver_acts.self_check(self.case, self.tools)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_record_that_is_missing_is_told_as_well_with_more_patience(world: World) -> None:
    record = RecordResponse("_acme-challenge.a.example.test", "value")
    world.case.flight.proofs[FILE.host] = record

    async def look(seconds: float, *seen: ServerView) -> None:
        world.now += dt.timedelta(seconds=seconds)
        world.solver.other = (Propagation(record, complete=False, seen=seen),)
        await solver_acts.self_check(world.case, world.tools)

    await look(9, ServerView("ns1"), ServerView("ns2"))
    assert world.events == []
    await look(1, ServerView("ns1"), ServerView("ns2"))
    await look(1, ServerView("ns1", ("value",)), ServerView("ns2"))
    [(reason, told)] = world.events
    assert reason == "WaitingForDNS"
    assert "_acme-challenge.a.example.test TXT value for a.example.test is not visible: ns1 has no such record" in told
    await look(1, ServerView("ns1", ("value",)), ServerView("ns2", error="it is silent"))
    assert [reason for reason, _ in world.events] == ["WaitingForDNS", "WaitingForDNS"]
    assert "ns2 gave no answer: it is silent" in world.events[1][1]


async def test_what_is_answered_already_is_the_cas_to_look_for(world: World) -> None:
    world.case.flight.challenges.clear()
    await world.look(30)
    assert world.case.flight.propagated


async def test_a_file_that_is_late_is_no_news_and_one_that_is_missing_is(world: World) -> None:
    await world.look(2, "the pod is being started")
    assert world.events == []
    assert world.memory.saved_at == NOW
    await world.look(3)
    [(reason, told)] = world.events
    assert reason == "WaitingForHTTP"
    assert "http://a.example.test/.well-known/acme-challenge/abc does not answer" in told
    assert world.memory.saved_at is None, "the status says it at once, too"
    await world.look(5)
    assert len(world.events) == 1


async def test_each_cause_is_told_once_and_not_without_end(world: World) -> None:
    for number in range(5):
        await world.look(5, "the pod was evicted" if number % 2 else "the pod is being started")
    assert len(world.events) == 2
    for number in range(20):
        await world.look(1, f"cause {number}")
    assert len(world.events) == solver_acts.MAX_WARNINGS
    assert world.notes[-1].endswith("HTTP 404 Not Found; cause 19.")
