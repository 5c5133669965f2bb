"""Two people who migrate at once: one does, the other is told who."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from typing import Any

import pytest

from certwright.kube.errors import Conflict, KubeError, NotFound, Unavailable, Unreachable
from certwright.kube.lease import LeaseRecord
from certwright.migration import alone as module
from certwright.migration.alone import MigrationBusy, alone

PATH = "/apis/coordination.k8s.io/v1/namespaces/certwright/leases/certwright-migration"


class Server:
    """Keeps one Lease, with the API server's rules about versions."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.writes = 0
        self.broken = False

    def put(self, spec: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        metadata = {"name": "certwright-migration", "uid": "uid-1", "resourceVersion": str(self.version)}
        self.lease = {"metadata": metadata, "spec": spec}
        return self.lease

    def held_by(self, holder: str, *, renewed: int = 0) -> None:
        self.put(LeaseRecord(holder, 15, "then", str(renewed)).to_spec())

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        if self.broken:
            raise KubeError("write the Lease", message="no answer")
        if method == "POST":
            assert path == PATH.rpartition("/")[0]
            if self.lease is not None:
                raise Conflict("create it", status=409, reason="AlreadyExists", message="it is there")
            return self.put(body["spec"])
        assert path == PATH
        if self.lease is None:
            raise NotFound("find it", status=404, reason="NotFound", message="there is none")
        if method == "GET":
            return self.lease
        version = (body["preconditions"] if method == "DELETE" else body["metadata"])["resourceVersion"]
        if version != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("write it", status=409, reason="Conflict", message="it has changed")
        if method == "DELETE":
            self.lease = None
            return {}
        return self.put(body["spec"])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    for name, seconds in (("RENEW_SECONDS", 0.002), ("LOOK_SECONDS", 0.002), ("LONGEST", 0.02), ("DURATION", 15)):
        monkeypatch.setattr(module, name, seconds)
    return Server()


async def take(server: Server, step: Any, told: list[str] | None = None) -> Any:
    tell = (told if told is not None else []).append
    return await alone(server, "certwright", step, tell=tell, identity="me")  # type: ignore[arg-type]  # a stand-in


async def done() -> str:
    return "done"


async def test_a_step_is_taken_with_the_lease_renewed_and_nothing_is_left_of_it(server: Server) -> None:
    holders = []

    async def step() -> str:
        async with asyncio.timeout(5):
            while server.writes < 4:  # noqa: ASYNC110 - of a stand-in
                await asyncio.sleep(0.001)
        assert server.lease is not None
        holders.append(server.lease["spec"]["holderIdentity"])
        return "done"

    assert await take(server, step()) == "done"
    assert holders == ["me"]
    assert server.lease is None


async def test_one_that_somebody_renews_is_left_alone_and_the_step_is_not_begun(server: Server) -> None:
    server.held_by("alice@desk (7)")
    begun = []

    async def renew() -> None:
        for number in itertools.count(1):
            server.held_by("alice@desk (7)", renewed=number)
            await asyncio.sleep(0)

    async def step() -> None:
        begun.append(1)

    renewing = asyncio.create_task(renew())
    with pytest.raises(MigrationBusy, match=r"alice@desk \(7\) is migrating"):
        await take(server, step())
    renewing.cancel()
    assert begun == []
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == "alice@desk (7)"


async def test_one_that_a_killed_run_has_left_is_taken_over_once_it_is_over(server: Server) -> None:
    server.held_by("alice@desk (7)")
    told: list[str] = []
    assert await take(server, done(), told) == "done"
    assert told == ["alice@desk (7) has begun a migration: waiting for 15 s, if it was killed"]
    assert server.lease is None


async def test_one_that_was_given_back_is_taken_at_once(server: Server) -> None:
    server.held_by("")
    told: list[str] = []
    assert await take(server, done(), told) == "done"
    assert told == []


async def test_of_two_that_begin_together_one_takes_the_step(server: Server) -> None:
    running: list[int] = []

    async def step() -> None:
        running.append(len(running) + 1)
        async with asyncio.timeout(5):
            while server.writes < 30:  # noqa: ASYNC110 - of a stand-in
                await asyncio.sleep(0.001)

    found = await asyncio.gather(take(server, step()), take(server, step()), return_exceptions=True)
    assert running == [1]
    assert [type(one) for one in found if one is not None] == [MigrationBusy]


async def test_a_step_whose_lease_somebody_takes_is_cancelled(server: Server) -> None:
    cancelled = []

    async def step() -> None:
        try:
            server.held_by("bob@desk (8)")
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    with pytest.raises(MigrationBusy, match="somebody else is migrating"):
        await take(server, step())
    assert cancelled == [1]
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == "bob@desk (8)"


async def test_a_step_ends_whose_lease_cannot_be_renewed_in_time_and_a_hiccup_is_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hiccup() -> str:
        server.broken = True
        await asyncio.sleep(0.01)
        server.broken = False
        await asyncio.sleep(0.01)
        return "done"

    assert await take(server, hiccup()) == "done"
    monkeypatch.setattr(module, "DURATION", 0.02)

    async def step() -> None:
        server.broken = True
        await asyncio.sleep(60)

    with pytest.raises(MigrationBusy, match="could not be renewed"):
        await take(server, step())


async def test_a_clock_that_is_set_back_by_an_hour_neither_frees_the_lease_nor_ends_the_step(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    readings = (
        now + sign * dt.timedelta(hours=1, seconds=number) for number, sign in enumerate(itertools.cycle((1, -1)))
    )
    monkeypatch.setattr(module, "micro_time", lambda: next(readings).isoformat())
    told: list[str] = []

    async def step() -> str:
        with pytest.raises(MigrationBusy, match="me is migrating"):
            await alone(server, "certwright", done(), tell=told.append, identity="other")  # type: ignore[arg-type]
        return "done"

    assert await take(server, step()) == "done"
    assert server.lease is None


@pytest.mark.parametrize("held", [False, True], ids=["created", "taken over"])
async def test_a_lease_whose_answer_was_lost_is_ours_and_an_api_server_that_stays_away_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, *, held: bool
) -> None:
    if held:
        server.held_by("")
    put, lost = server.put, [1]

    def lose(spec: dict[str, Any]) -> dict[str, Any]:
        put(spec)
        if lost:
            lost.pop()
            raise Unavailable("write it", status=500, message="lost")
        return server.lease or {}

    monkeypatch.setattr(server, "put", lose)
    assert await take(server, done()) == "done"
    assert server.lease is None

    async def away(*_: Any, **__: Any) -> dict[str, Any]:
        raise Unreachable("read it", message="no answer")

    monkeypatch.setattr(server, "request", away)
    with pytest.raises(Unreachable):
        await take(server, done())


async def test_the_error_of_a_step_is_its_own(server: Server) -> None:
    async def step() -> None:
        raise Conflict("write it")

    with pytest.raises(Conflict):
        await take(server, step())
    assert server.lease is None
