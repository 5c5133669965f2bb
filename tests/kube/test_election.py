from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from certwright.kube.election import RELEASED, Elector, LeadershipLost, Timing
from certwright.kube.errors import Forbidden, KubeError, Unavailable, Unreachable
from certwright.runtime.leadership import Leadership

from .elections import LeaseServer, stamp, travel

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.kube.lease import Lease, LeaseRecord

TIMING = Timing()
HANG = "hang"
T = TypeVar("T")


class Lock:
    """A way to the server with a delay, which can be made to fail: an error to raise, or `HANG`."""

    def __init__(self, server: LeaseServer) -> None:
        self._server = server
        self.delay = 0.01
        self.trouble: KubeError | str | None = None
        self.refuses_writes: KubeError | None = None
        self.loses_answers = False

    def __str__(self) -> str:
        return "Lease tools/certwright"

    async def read(self) -> Lease | None:
        return await self._send(self._server.read)

    async def create(self, record: LeaseRecord) -> Lease:
        return await self._write(lambda: self._server.create(record))

    async def replace(self, lease: Lease, record: LeaseRecord) -> Lease:
        return await self._write(lambda: self._server.replace(lease, record))

    async def _write(self, carry_out: Callable[[], Lease]) -> Lease:
        if self.refuses_writes is not None:
            raise self.refuses_writes
        return await self._send(carry_out)

    async def _send(self, carry_out: Callable[[], T]) -> T:
        await asyncio.sleep(self.delay)
        if self.trouble == HANG:
            await asyncio.sleep(TIMING.request - self.delay)
            raise Unreachable("ask", message=f"none within {TIMING.request:g} s")
        if isinstance(self.trouble, KubeError):
            raise self.trouble
        outcome = carry_out()
        if self.loses_answers:
            raise Unreachable("ask", message="connection reset")
        return outcome


class Candidate:
    """An elector at work in the present loop."""

    def __init__(self, server: LeaseServer, identity: str) -> None:
        loop = asyncio.get_running_loop()
        self.lock = Lock(server)
        self.leadership = Leadership(clock=loop.time)
        self.lost_at: list[float] = []
        self.transitions: list[int] = []
        self.elector = Elector(
            self.lock,
            self.leadership,
            identity=identity,
            on_lost=lambda: self.lost_at.append(loop.time()),
            on_transitions=self.transitions.append,
            timing=TIMING,
            clock=loop.time,
            stamp=stamp,
        )
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.elector.run(self.stop))

    async def leads(self) -> float:
        """Wait until it leads; return how long that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(60):
            await self.leadership.begun.wait()
        return loop.time() - began

    async def kill(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
def server() -> LeaseServer:
    made = LeaseServer()
    made.spec = {}
    return made


@pytest.mark.parametrize("second", range(0, 16, 3))
def test_the_other_takes_over_when_the_leader_dies(server: LeaseServer, second: int) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        assert await first.leads() < 0.1
        other = Candidate(server, "b")
        await asyncio.sleep(10 + second / 10)
        await first.kill()
        took = await other.leads()
        # What was renewed just before is seen at the next look, then it is waited out to the moment.
        assert TIMING.lease - 1.1 * TIMING.retry < took < TIMING.lease + 1.1 * TIMING.retry + 0.2
        assert server.record is not None
        assert (server.record.holder, server.record.transitions, server.record.duration) == ("b", 2, 9)
        assert other.transitions[-1] == 2
        await other.kill()

    travel(scenario())


def test_a_leader_goes_on_for_as_long_as_it_renews(server: LeaseServer) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        acquired = server.spec and server.spec["acquireTime"]
        other = Candidate(server, "b")
        await asyncio.sleep(3600)
        assert (first.leadership.holds(), other.leadership.begun.is_set()) == (True, False)
        assert server.record is not None
        assert (server.record.acquired, server.record.transitions) == (acquired, 1)
        assert 3600 / 1.1 / TIMING.retry - 10 < server.writes < 3600 / 0.9 / TIMING.retry, "one write at a time"
        for candidate in (first, other):
            await candidate.kill()

    travel(scenario())


def test_a_lease_that_is_given_back_is_taken_at_the_next_look(server: LeaseServer) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        other = Candidate(server, "b")
        await asyncio.sleep(5)
        first.stop.set()
        await first.task
        assert not first.leadership.holds()
        assert server.record is not None
        assert (server.record.holder, server.record.duration) == ("", RELEASED)
        assert await other.leads() < 1.1 * TIMING.retry + 0.1
        await other.kill()

    travel(scenario())


@pytest.mark.parametrize("trouble", [HANG, Unavailable("ask", status=503), Unreachable("ask", message="refused")])
def test_a_leader_that_cannot_renew_stops_at_its_deadline(server: LeaseServer, trouble: KubeError | str) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        other = Candidate(server, "b")
        await asyncio.sleep(10)
        renewed_by = asyncio.get_running_loop().time()
        first.lock.trouble = trouble
        with pytest.raises(LeadershipLost, match=r"could not be renewed within 6 s \(could not ask"):
            await first.task
        [lost_at] = first.lost_at
        assert lost_at <= renewed_by + TIMING.deadline
        assert not first.leadership.holds()
        assert not other.leadership.begun.is_set()
        await other.leads()
        assert asyncio.get_running_loop().time() - lost_at > 1, "there is time left to end what is under way"
        await other.kill()

    travel(scenario())


def test_a_short_outage_costs_nothing(server: LeaseServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        await asyncio.sleep(10)
        first.lock.trouble = Unavailable("write Lease tools/certwright", status=503)
        await asyncio.sleep(3)
        first.lock.trouble = None
        await asyncio.sleep(20)
        assert first.leadership.holds()
        assert first.lost_at == []
        await first.kill()

    travel(scenario())
    assert caplog.text.count("could not write Lease tools/certwright: HTTP 503") == 1, "said once"
    assert "Lease tools/certwright is accessible again" in caplog.text


def test_answers_that_are_lost_are_made_up_for(server: LeaseServer) -> None:
    """What was written without an answer is recognised by what is in it."""

    async def scenario() -> None:
        first = Candidate(server, "a")
        first.lock.loses_answers = True
        await asyncio.sleep(TIMING.retry * 4)
        assert not first.leadership.begun.is_set(), "a read without an answer is none"
        first.lock.loses_answers = False
        await first.leads()
        await asyncio.sleep(10)
        first.lock.loses_answers = True
        await asyncio.sleep(3)
        first.lock.loses_answers = False
        await asyncio.sleep(10)
        assert first.leadership.holds()
        await first.kill()

    travel(scenario())


def test_the_time_of_a_renewal_counts_from_its_sending(server: LeaseServer) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        first.lock.delay = 1.9
        await asyncio.sleep(30)
        assert first.leadership.holds()
        assert first.leadership.left <= TIMING.deadline - 1.9
        await first.kill()

    travel(scenario())


def test_many_candidates_have_one_leader(server: LeaseServer) -> None:
    async def scenario() -> None:
        candidates = [Candidate(server, f"pod-{number}") for number in range(5)]
        await asyncio.sleep(30)
        assert sum(candidate.leadership.holds() for candidate in candidates) == 1
        for candidate in candidates:
            await candidate.kill()

    travel(scenario())


def test_a_lease_that_is_not_there_is_made_and_waited_out(server: LeaseServer) -> None:
    server.delete()

    async def scenario() -> None:
        first = Candidate(server, "a")
        took = await first.leads()
        assert TIMING.lease <= took < TIMING.lease + 0.2
        await first.kill()

    travel(scenario())


def test_a_deleted_lease_is_made_again_by_its_leader(server: LeaseServer, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        other = Candidate(server, "b")
        for _ in range(10):
            await asyncio.sleep(7)
            server.delete()
        await asyncio.sleep(30)
        assert (first.leadership.holds(), other.leadership.begun.is_set()) == (True, False)
        assert server.record is not None
        assert server.record.holder == "a"
        for candidate in (first, other):
            await candidate.kill()

    travel(scenario())
    assert "Lease tools/certwright was deleted" in caplog.text


@pytest.mark.parametrize(
    "change",
    [{"leaseDurationSeconds": 2}, {"holderIdentity": ""}, {"renewTime": "long ago"}, {"strategy": "other"}],
)
def test_an_edited_lease_is_put_right_by_its_leader(server: LeaseServer, change: dict[str, Any]) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        other = Candidate(server, "b")
        for _ in range(10):
            await asyncio.sleep(4)
            server.edit(**change)
        await asyncio.sleep(30)
        assert (first.leadership.holds(), other.leadership.begun.is_set()) == (True, False)
        assert server.record is not None
        assert (server.record.holder, server.record.duration) == ("a", 9)
        for candidate in (first, other):
            await candidate.kill()

    travel(scenario())


def test_a_lease_that_comes_back_from_a_backup_is_renewed_by_its_leader(server: LeaseServer) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        other = Candidate(server, "b")
        backup = (server.version, dict(server.spec or {}))
        await asyncio.sleep(3600)
        server.version, server.spec = backup
        await asyncio.sleep(60)
        assert (first.leadership.holds(), other.leadership.begun.is_set()) == (True, False)
        for candidate in (first, other):
            await candidate.kill()

    travel(scenario())


def test_a_lease_of_an_earlier_leader_that_comes_back_from_a_backup_ends_the_present_one(server: LeaseServer) -> None:
    async def scenario() -> None:
        earlier = Candidate(server, "a")
        await earlier.leads()
        backup = (server.version, dict(server.spec or {}))
        await earlier.kill()
        present = Candidate(server, "b")
        await present.leads()
        server.version, server.spec = backup
        restored = asyncio.get_running_loop().time()
        next_one = Candidate(server, "c")
        await next_one.leads()
        assert not present.leadership.holds()
        assert present.lost_at[0] - restored < TIMING.deadline
        await next_one.kill()
        await asyncio.gather(present.task, return_exceptions=True)

    travel(scenario())


def test_a_shorter_duration_by_hand_makes_nobody_less_patient(server: LeaseServer) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        first.lock.trouble = HANG
        server.edit(leaseDurationSeconds=2)
        other = Candidate(server, "b")
        assert await other.leads() > TIMING.lease
        await other.kill()
        await asyncio.gather(first.task, return_exceptions=True)

    travel(scenario())


def test_a_longer_duration_is_honoured_up_to_ten_minutes(server: LeaseServer) -> None:
    async def scenario() -> None:
        server.spec = {"holderIdentity": "older version", "leaseDurationSeconds": 30}
        candidate = Candidate(server, "a")
        assert 30 <= await candidate.leads() < 30.2
        await candidate.kill()
        server.edit(holderIdentity="a mistake", leaseDurationSeconds=10**9)
        candidate = Candidate(server, "a")
        async with asyncio.timeout(601):
            await candidate.leadership.begun.wait()
        await candidate.kill()

    travel(scenario())


def test_another_holder_ends_leadership_at_the_next_renewal(server: LeaseServer) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        server.edit(holderIdentity="somebody", acquireTime="now")
        with pytest.raises(LeadershipLost, match="the lease is lost: somebody holds it"):
            async with asyncio.timeout(2 * TIMING.retry):
                await first.task
        assert len(first.lost_at) == 1
        assert server.record is not None
        assert server.record.holder == "somebody"

    travel(scenario())


def test_an_earlier_process_of_the_same_identity_is_waited_out(
    server: LeaseServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        await first.kill()
        again = Candidate(server, "a")
        assert await again.leads() >= TIMING.lease
        await again.kill()

    travel(scenario())
    assert "is held by an earlier process with the same identity, a" in caplog.text


def test_a_missing_right_is_said_and_waited_for(server: LeaseServer, caplog: pytest.LogCaptureFixture) -> None:
    refusal = Forbidden("read Lease tools/certwright", status=403, reason="Forbidden", message="no")

    async def scenario() -> None:
        candidate = Candidate(server, "a")
        candidate.lock.trouble = refusal
        await asyncio.sleep(60)
        seen = [candidate.elector.trouble]
        candidate.lock.trouble = None
        await candidate.leads()
        seen.append(candidate.elector.trouble)
        assert seen == [str(refusal), None]
        await candidate.kill()

    travel(scenario())
    # Whatever level another test has left the loggers at: one warning, however long it lasts.
    [line] = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert line == (
        "could not read Lease tools/certwright: HTTP 403 Forbidden: no. The service account needs get, create and "
        "update for leases (coordination.k8s.io) there"
    )


@pytest.mark.parametrize("there", [True, False], ids=["a free Lease", "no Lease"])
def test_one_that_may_read_but_not_write_could_not_take_over(
    server: LeaseServer, caplog: pytest.LogCaptureFixture, *, there: bool
) -> None:
    server.spec = {} if there else None
    refusal = Forbidden("write Lease tools/certwright", status=403, reason="Forbidden", message="no")
    caplog.set_level(logging.INFO, "certwright")

    async def scenario() -> None:
        candidate = Candidate(server, "a")
        candidate.lock.refuses_writes = refusal
        await asyncio.sleep(600)
        seen = [candidate.elector.trouble]
        candidate.lock.refuses_writes = None
        await candidate.leads()
        seen.append(candidate.elector.trouble)
        assert seen == [str(refusal), None]
        await candidate.kill()

    travel(scenario())
    # Each is said once, however often it is tried.
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    assert caplog.text.count("is accessible again") == 1


def test_one_that_stood_still_past_its_lease_asks_for_nothing_more(server: LeaseServer) -> None:
    async def scenario() -> None:
        first = Candidate(server, "a")
        await first.leads()
        loop = asyncio.get_running_loop()
        loop._travelling.slept += 60  # type: ignore[attr-defined]  # the loop of these tests
        before = server.writes
        with pytest.raises(LeadershipLost):
            await first.task
        assert server.writes == before

    travel(scenario())


def test_giving_back_finds_out_whether_an_unanswered_try_went_well(server: LeaseServer) -> None:
    async def scenario() -> None:
        candidate = Candidate(server, "a")
        read = candidate.lock.read

        async def last_read() -> Lease | None:
            found = await read()
            candidate.lock.loses_answers = True
            return found

        candidate.lock.read = last_read  # type: ignore[method-assign]  # its write is carried out and not answered
        await asyncio.sleep(0.1)
        assert server.record is not None
        assert server.record.holder == "a"
        candidate.lock.read = read  # type: ignore[method-assign]  # as above
        candidate.lock.loses_answers = False
        candidate.stop.set()
        await candidate.task
        assert server.record.holder == ""

    travel(scenario())


def test_what_cannot_be_given_back_ends_by_itself(server: LeaseServer, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        candidate = Candidate(server, "a")
        await candidate.leads()
        candidate.lock.trouble = Unavailable("write Lease tools/certwright", status=503)
        candidate.stop.set()
        await candidate.task
        assert not candidate.leadership.holds()

    travel(scenario())
    assert "was not released; it expires within 9 s" in caplog.text
