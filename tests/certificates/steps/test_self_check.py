"""What is told of files and records that cannot be seen."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import Challenge, ChallengeStatus
from certwright.certificates.steps.self_check import MAX_WARNINGS, SelfCheck
from certwright.challenges.response import FileResponse, RecordResponse
from certwright.dns import Propagation, ServerView
from certwright.failures import IssuanceError
from certwright.http01.self_check import HttpSighting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.challenges.response import Sighting
    from tests.fakes.operator import Build

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
FILE = FileResponse("a.example.test", "abc", "abc.print")
NOT_FOUND = HttpSighting(FILE, complete=False, seen="HTTP 404 Not Found", status=404)


class FakePresenter:
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

    def __init__(self, build: Build) -> None:
        self.now = NOW
        self.presenter: Any = FakePresenter()
        self.events: list[tuple[str, str]] = []
        unanswered = Challenge("http-01", "https://ca.example.test/1", ChallengeStatus.PENDING, "abc")
        self.observation = build.observation(
            open_order=build.open_order(
                responses={FILE.host: FILE}, challenges={FILE.host: unanswered}, presented_at=NOW
            ),
            presenters={FILE.host: self.presenter},
            saved_at=NOW,
        )
        recorder = SimpleNamespace(record=lambda _subject, _kind, *told: self.events.append(told))
        self.tools: Any = SimpleNamespace(clock=lambda: self.now, recorder=recorder)

    def saved_at(self) -> dt.datetime | None:
        return self.observation.memory.saved_at

    async def check(self) -> None:
        async for latest in SelfCheck().run(self.observation, self.tools):
            self.observation = latest

    async def look(self, seconds: float, cause: str = "") -> None:
        self.now += dt.timedelta(seconds=seconds)
        self.presenter.seen = replace(NOT_FOUND, cause=cause)
        await self.check()


@pytest.fixture
def world(build: Build) -> World:
    return World(build)


async def test_an_address_that_could_not_be_asked_from_here_is_in_the_status_although_all_is_well(
    build: Build,
) -> None:
    world = World(build)
    world.observation = world.observation.with_status(order=build.order_status(names=(FILE.host,)))
    world.presenter.seen = HttpSighting(FILE, complete=True, seen="the right answer", remark="no route to 2001:db8::1")
    async for observation in SelfCheck().run(world.observation, world.tools):
        last = observation
    assert last.open_order.propagated
    assert last.status.order is not None
    assert last.status.order.authorizations[0].last_seen == "the right answer; no route to 2001:db8::1"
    assert world.events == []


async def test_a_record_that_is_missing_is_told_as_well_with_more_patience(world: World) -> None:
    record = RecordResponse("_acme-challenge.a.example.test", "value")
    world.observation = world.observation.with_open_order(responses={FILE.host: record})

    async def look(seconds: float, *seen: ServerView) -> None:
        world.now += dt.timedelta(seconds=seconds)
        world.presenter.other = (Propagation(record, complete=False, seen=seen),)
        await world.check()

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


async def test_a_record_that_the_provider_is_still_distributing_is_said_without_a_warning(world: World) -> None:
    record = RecordResponse("_acme-challenge.a.example.test", "value")
    world.observation = world.observation.with_open_order(responses={FILE.host: record})
    world.presenter.other = (Propagation(record, complete=False, pending="it is still distributing the change"),)
    world.now += dt.timedelta(seconds=59)
    await world.check()
    assert world.events == []
    assert not world.observation.open_order.propagated
    world.now += dt.timedelta(seconds=2)
    with pytest.raises(IssuanceError, match="is not visible: it is still distributing the change"):
        await world.check()


async def test_without_a_self_check_a_provider_that_never_ends_distributing_does_not_stop_the_order(
    world: World,
) -> None:
    record = RecordResponse("_acme-challenge.a.example.test", "value")
    world.observation = world.observation.with_open_order(responses={FILE.host: record})
    world.presenter.self_check = "off"
    world.presenter.other = (Propagation(record, complete=False, pending="it is still distributing the change"),)
    await world.check()
    assert world.events == []
    world.now += dt.timedelta(seconds=61)
    await world.check()
    assert world.observation.open_order.propagated
    [(reason, told)] = world.events
    assert reason == "SelfCheckSkipped"
    assert told.endswith("Asking the CA anyway (selfCheck: off).")


async def test_what_is_answered_already_is_the_cas_to_look_for(world: World) -> None:
    world.observation = world.observation.with_open_order(challenges={})
    await world.look(30)
    assert world.observation.open_order.propagated


async def test_a_file_that_is_late_is_no_news_and_one_that_is_missing_is(world: World) -> None:
    await world.look(2, "the pod is being started")
    assert world.events == []
    assert world.saved_at() == NOW
    await world.look(3)
    [(reason, told)] = world.events
    assert reason == "WaitingForHTTP"
    assert "http://a.example.test/.well-known/acme-challenge/abc does not answer" in told
    assert world.saved_at() is None, "the status says it at once, too"
    await world.look(5)
    assert len(world.events) == 1


async def test_each_cause_is_told_once_and_not_without_end(world: World) -> None:
    for number in range(5):
        await world.look(5, "the pod was evicted" if number % 2 else "the pod is being started")
    assert len(world.events) == 2
    for number in range(20):
        await world.look(1, f"cause {number}")
    assert len(world.events) == MAX_WARNINGS
    note = world.observation.memory.note
    assert note is not None
    assert note.message.endswith("HTTP 404 Not Found; cause 19.")
