"""At no instant do two candidates believe that they lead, whatever is late, lost, repeated, stopped or edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from certwright.kube.election import RELEASED, Elector, Timing
from certwright.kube.errors import KubeError, Unreachable
from certwright.runtime.leadership import Leadership

from .elections import LeaseServer, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from certwright.kube.lease import Lease, LeaseRecord

PROCESSES = st.integers(0, 2)
PAUSES = st.sampled_from([0.05, 0.5, 1.0, 2.0, 2.9, 3.1, 5.9, 6.1, 8.9, 9.1, 30.0])


class Request:
    """One request on its way; where it is, is for the machine to say."""

    def __init__(self, carry_out: Callable[[], Any]) -> None:
        self._carry_out = carry_out
        self.outcome: tuple[Any, KubeError | None] | None = None

    def __await__(self) -> Generator[Request, Any, Any]:
        return (yield self)

    def arrive(self) -> None:
        if self.outcome is None:
            try:
                self.outcome = (self._carry_out(), None)
            except KubeError as error:
                self.outcome = (None, error)


class SteppedLock:
    """Each of its requests stops the candidate until the machine answers it."""

    def __init__(self, server: LeaseServer) -> None:
        self._server = server

    def __str__(self) -> str:
        return "Lease"

    async def read(self) -> Lease | None:
        found: Lease | None = await Request(self._server.read)
        return found

    async def create(self, record: LeaseRecord) -> Lease:
        made: Lease = await Request(lambda: self._server.create(record))
        return made

    async def replace(self, lease: Lease, record: LeaseRecord) -> Lease:
        written: Lease = await Request(lambda: self._server.replace(lease, record))
        return written


class Process:
    """A candidate that goes on only when it is let, and its own clock that began at another time."""

    def __init__(self, server: LeaseServer, world: Callable[[], float], identity: str, offset: float) -> None:
        def clock() -> float:
            return world() + offset

        self.leadership = Leadership(clock=clock)
        self.elector = Elector(
            SteppedLock(server), self.leadership, identity=identity, timing=TIMING, clock=clock, stamp=stamp
        )
        self.doing: Coroutine[Any, Any, object] | None = None
        self.asking: Request | None = None

    def begin(self, doing: Coroutine[Any, Any, object]) -> None:
        self.doing = doing
        self.go_on(lambda: doing.send(None))

    def go_on(self, resume: Callable[[], Any]) -> None:
        try:
            self.asking = resume()
        except StopIteration:
            self.doing = self.asking = None

    def answer(self) -> None:
        assert self.asking is not None
        assert self.doing is not None
        self.asking.arrive()
        assert self.asking.outcome is not None
        result, error = self.asking.outcome
        doing = self.doing
        self.go_on(lambda: doing.send(result) if error is None else doing.throw(error))

    def lose_answer(self) -> Request:
        assert self.asking is not None
        assert self.doing is not None
        lost, doing = self.asking, self.doing
        self.go_on(lambda: doing.throw(Unreachable("ask", message="none in time")))
        return lost


TIMING = Timing()


class Elections(RuleBasedStateMachine):
    """Three processes, two of which were given the same identity, and somebody with kubectl."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.server = LeaseServer()
        self.late: list[Request] = []
        self.processes = [self.process(number) for number in range(3)]

    def process(self, number: int) -> Process:
        return Process(self.server, lambda: self.now, ("a", "b", "b")[number], number * 1e6)

    @initialize()
    def an_installation_brings_the_lease(self) -> None:
        self.server.spec = {}

    @rule(seconds=PAUSES)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(number=PROCESSES)
    def one_tries(self, number: int) -> None:
        process = self.processes[number]
        if process.doing is None:
            process.begin(process.elector.attempt())
        while process.doing is not None:
            process.answer()

    @rule()
    def all_try(self) -> None:
        for number in range(3):
            self.one_tries(number)
            self.at_most_one_leads()

    @rule(number=PROCESSES, there=PAUSES, back=PAUSES)
    def one_tries_slowly_while_the_others_try_too(self, number: int, there: float, back: float) -> None:
        process = self.processes[number]
        others = [other for other in range(3) if other != number]
        if process.doing is None:
            process.begin(process.elector.attempt())
        while process.asking is not None:
            self.now += there
            process.asking.arrive()
            for other in others:
                self.one_tries(other)
            self.now += back
            process.answer()
            self.at_most_one_leads()

    @rule(number=PROCESSES)
    def one_goes_on_a_little(self, number: int) -> None:
        process = self.processes[number]
        if process.asking is None:
            process.begin(process.elector.attempt())
        elif process.asking.outcome is None:
            process.asking.arrive()
        else:
            process.answer()

    @rule(number=PROCESSES)
    def an_answer_is_lost(self, number: int) -> None:
        if self.processes[number].asking is not None:
            self.late.append(self.processes[number].lose_answer())

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_request_arrives_late(self, data: st.DataObject) -> None:
        self.late.pop(data.draw(st.integers(0, len(self.late) - 1))).arrive()

    @rule(number=PROCESSES)
    def a_process_is_asked_to_stop(self, number: int) -> None:
        process = self.processes[number]
        if process.doing is None:
            process.begin(process.elector.release())

    @rule(number=PROCESSES)
    def a_process_is_killed_and_started_again(self, number: int) -> None:
        killed = self.processes[number]
        if killed.asking is not None:
            self.late.append(killed.asking)
        if killed.doing is not None:
            killed.doing.close()
        self.processes[number] = self.process(number)

    @rule(change=st.sampled_from([None, {"leaseDurationSeconds": 2}, {"renewTime": "x"}, {"holderIdentity": ""}]))
    def somebody_meddles_with_the_lease(self, change: dict[str, Any] | None) -> None:
        if change is None:
            self.server.delete()
        elif self.server.record is not None and self.server.record.duration > RELEASED:
            # Less than 2 s and no holder say that it is free at once; whoever writes that by hand is believed.
            self.server.edit(**change)

    @invariant()
    def at_most_one_leads(self) -> None:
        assert sum(process.leadership.holds() for process in self.processes) <= 1

    def teardown(self) -> None:
        for process in self.processes:
            if process.doing is not None:
                process.doing.close()


Elections.TestCase.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestElections = Elections.TestCase


def test_the_machine_would_notice() -> None:
    """With a leader that believes in its lease for longer than the others do, two lead after a few steps."""
    machine = Elections()
    machine.processes[0].elector._timing = Timing(lease=9, deadline=20.0)
    machine.server.spec = {}
    machine.one_tries(0)
    machine.one_tries(1)
    machine.time_passes(9.1)
    machine.one_tries(1)
    with pytest.raises(AssertionError):
        machine.at_most_one_leads()
