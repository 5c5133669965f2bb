from __future__ import annotations

import asyncio
import dataclasses
import itertools
import os
import signal
from typing import TYPE_CHECKING, Any, ClassVar

import aiohttp
import kopf
import pytest

from certwright.handlers import operator as module
from certwright.handlers import workers as workers_module
from certwright.handlers.controller import Controller
from certwright.handlers.election import Election
from certwright.handlers.errors import OperatorFailed
from certwright.handlers.operator import run_operator
from certwright.handlers.options import Options
from certwright.handlers.watching import watcher as watcher_module
from certwright.handlers.watching.health import Watches
from certwright.handlers.watching.settings import Backoffs
from certwright.handlers.workers import Workers
from certwright.kube.election import LeadershipLost
from certwright.runtime.leadership import boot_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from certwright.kube.resource import Resource
    from certwright.runtime.leadership import Leadership


class Api:
    closed = False

    async def close(self) -> None:
        self.closed = True


class Seen(Watches):
    """Watches that see everything when they are told that they do."""

    made: ClassVar[list[Seen]] = []

    def __init__(self, resources: Sequence[Resource], **collaborators: Any) -> None:
        super().__init__(resources, **collaborators)
        self.made.append(self)

    @property
    def trouble(self) -> str | None:
        return None if self.complete.is_set() else "the list of secrets has not arrived"


class Served:
    """Stands in for `Crds`: everything is served, until it is not noticed any more."""

    unnoticed = asyncio.Event()

    def __init__(self, *_: object) -> None:
        Served.unnoticed = asyncio.Event()

    async def wait_served(self) -> None:
        """Nothing is missing."""

    async def mind(self) -> None:
        await self.unnoticed.wait()
        raise OperatorFailed("issuers.certwright.io came back")


class Kopf:
    """Stands in for `kopf.operator`: gets ready and sees everything, then watches until told to stop."""

    def __init__(self) -> None:
        self.sees = True
        self.options: dict[str, Any] = {}
        self.is_ready = asyncio.Event()
        self.fails = asyncio.Event()
        self.error: Exception | None = None
        self.stopped = False

    async def operator(self, **options: Any) -> None:
        self.options = options
        await self.is_ready.wait()
        options["ready_flag"].set()
        if self.sees:
            Seen.made[-1].complete.set()
        ends = [asyncio.create_task(flag.wait()) for flag in (options["stop_flag"], self.fails)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        self.stopped = options["stop_flag"].is_set()
        if self.fails.is_set() and self.error is not None:
            raise self.error


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()

    async def connect(kubeconfig: str | None) -> Api:
        assert kubeconfig is None
        return made

    monkeypatch.setattr(module, "connect", connect)
    return made


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Kopf:
    stand_in = Kopf()
    monkeypatch.setattr(kopf, "operator", stand_in.operator)
    monkeypatch.setattr(watcher_module, "Watches", Seen)
    monkeypatch.setattr(watcher_module, "Crds", Served)
    return stand_in


@pytest.fixture
def port(unused_tcp_port: int) -> int:
    return unused_tcp_port


@pytest.fixture
def options(port: int) -> Options:
    return Options("certwright", "test", http_port=port, workers=2)


@pytest.fixture
async def running(api: Api, watching: Kopf, options: Options) -> AsyncIterator[asyncio.Task[None]]:
    assert not watching.stopped
    task = asyncio.create_task(run_operator(options))
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert api.closed
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


async def readyz(port: int) -> int:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status
    except aiohttp.ClientConnectionError:
        return 0


async def until(condition: Callable[[int], bool], port: int) -> None:
    async with asyncio.timeout(60):
        while not condition(await readyz(port)):  # noqa: ASYNC110 - it is asked from outside
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_a_signal_ends_it_in_order(
    running: asyncio.Task[None], watching: Kopf, port: int, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    order: list[str] = []
    work_may_end = asyncio.Event()
    original = Controller.run

    async def run(self: Controller, stop: asyncio.Event) -> None:
        await original(self, stop)
        await work_may_end.wait()
        order.append(f"work ended, watches stopped: {watching.stopped}")

    monkeypatch.setattr(Controller, "run", run)
    await until(lambda status: status == 503, port)
    watching.is_ready.set()
    await until(lambda status: status == 200, port)
    os.kill(os.getpid(), number)
    await until(lambda status: status == 503, port)
    assert not running.done(), "not ready any more, but still at work"
    work_may_end.set()
    async with asyncio.timeout(60):
        await running
    assert order == ["work ended, watches stopped: False"]
    assert watching.stopped
    assert await readyz(port) == 0


class Standing:
    """Stands in for `Candidate`: leads as soon as the watches run, and loses when told to."""

    def __init__(self, _api: Api, _election: Election, **collaborators: Any) -> None:
        self.leadership: Leadership = collaborators["leadership"]
        self.abort: Callable[[], None] = collaborators["abort"]
        self.trouble: str | None = None
        self.lost: str | None = None
        self.error: Exception | None = None
        self.events: list[str] = []
        self._end = asyncio.Event()
        MADE.append(self)

    async def run(self, watching: asyncio.Event) -> None:
        self.events.append(f"waits, watching: {watching.is_set()}")
        await watching.wait()
        self.events.append("stands")
        self.leadership.extend(boot_clock() + 3600)
        await self._end.wait()
        if self.error is not None:
            raise self.error

    def resign(self) -> None:
        self.events.append("resigns")
        self._end.set()

    def lose(self, error: Exception) -> None:
        """As the elector does: the work is ended from the loop itself."""
        self.leadership.end()
        self.error = error
        if isinstance(error, LeadershipLost):
            self.lost = str(error)
            self.abort()
        self._end.set()


MADE: list[Standing] = []


@pytest.fixture
async def standing(
    api: Api, watching: Kopf, options: Options, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[asyncio.Task[None], Standing]]:
    """An operator that stands for election."""
    monkeypatch.setattr(module, "Candidate", Standing)
    MADE.clear()
    election = Election("lease", "pod-a", lambda: None)
    task = asyncio.create_task(run_operator(dataclasses.replace(options, election=election)))
    while not MADE:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.001)
    watching.is_ready.set()
    yield task, MADE[0]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert api.closed
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


async def test_it_stands_for_election_once_it_watches_and_resigns_after_the_work(
    standing: tuple[asyncio.Task[None], Standing], watching: Kopf, port: int
) -> None:
    task, candidate = standing
    await until(lambda status: status == 200, port)
    assert candidate.events == ["waits, watching: False", "stands"]
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(60):
        await task
    assert candidate.events[-1] == "resigns"
    assert watching.stopped


@pytest.fixture(params=[60.0, 0.05], ids=["at first", "in the end"])
def patience(watching: Kopf, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> float:
    """How long a process that does not see everything waits; it does not."""
    watching.sees = False
    monkeypatch.setattr(module, "BLIND_SECONDS", request.param)
    return float(request.param)


async def test_who_does_not_see_everything_stands_later_than_others(
    patience: float, standing: tuple[asyncio.Task[None], Standing], port: int
) -> None:
    _, candidate = standing
    await until(lambda status: status == 503, port)
    if patience < 1:
        async with asyncio.timeout(5):
            while candidate.events[-1] != "stands":  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.005)
        assert await readyz(port) == 503
    else:
        assert candidate.events == ["waits, watching: False"]
    Seen.made[-1].complete.set()
    await until(lambda status: status == 200, port)
    assert candidate.events == ["waits, watching: False", "stands"]


async def test_one_that_could_not_take_over_is_not_ready(
    standing: tuple[asyncio.Task[None], Standing], port: int
) -> None:
    _, candidate = standing
    await until(lambda status: status == 200, port)
    candidate.trouble = "could not read Lease certwright/lease: HTTP 403"
    await until(lambda status: status == 503, port)
    candidate.trouble = None
    await until(lambda status: status == 200, port)


@pytest.mark.parametrize("stopping", [False, True], ids=["at work", "while stopping"])
async def test_a_lost_lease_ends_it_at_once(
    standing: tuple[asyncio.Task[None], Standing],
    watching: Kopf,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    stopping: bool,
) -> None:
    task, candidate = standing

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Workers, "_work", never)
    monkeypatch.setattr(workers_module, "DRAIN_SECONDS", 3600)
    await until(lambda status: status == 200, port)
    if stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda status: status == 503, port)
        assert not task.done(), "it waits for the workers"
    candidate.lose(LeadershipLost("the lease is lost: pod-b holds it"))
    with pytest.raises(LeadershipLost, match="pod-b holds it"):
        async with asyncio.timeout(60):
            await task
    assert "resigns" not in candidate.events
    assert not watching.stopped, "there is no time for a goodbye"


async def test_a_defect_of_the_election_ends_it_too(standing: tuple[asyncio.Task[None], Standing], port: int) -> None:
    task, candidate = standing
    await until(lambda status: status == 200, port)
    candidate.lose(ZeroDivisionError("a defect"))
    with pytest.raises(OperatorFailed, match="the election failed: ZeroDivisionError: a defect"):
        async with asyncio.timeout(60):
            await task


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (kopf.LoginError("no"), "the watches failed: LoginError: no"),
        (OSError("cannot connect"), "the watches failed: OSError: cannot connect"),
        (None, "the watches ended unexpectedly"),
    ],
    ids=["login", "network", "silent"],
)
async def test_the_end_of_the_watches_is_a_failure(
    running: asyncio.Task[None], watching: Kopf, port: int, error: Exception | None, words: str
) -> None:
    watching.is_ready.set()
    await until(lambda status: status == 200, port)
    watching.error = error
    watching.fails.set()
    with pytest.raises(OperatorFailed) as caught:
        async with asyncio.timeout(60):
            await running
    assert (str(caught.value), caught.value.__cause__) == (words, error)


@pytest.mark.parametrize("ready", [True, False])
async def test_a_failure_of_the_controller_ends_the_watches_too(
    api: Api, watching: Kopf, options: Options, monkeypatch: pytest.MonkeyPatch, *, ready: bool
) -> None:
    async def run(*_: object) -> None:
        if ready:
            await asyncio.sleep(0.05)
        raise OperatorFailed("scheduler ended unexpectedly")

    monkeypatch.setattr(Controller, "run", run)
    if ready:
        watching.is_ready.set()
    else:
        asyncio.get_running_loop().call_later(0.05, watching.is_ready.set)
    with pytest.raises(OperatorFailed, match="scheduler ended unexpectedly"):
        async with asyncio.timeout(60):
            await run_operator(options)
    assert watching.stopped
    assert api.closed


async def test_crds_that_come_back_unnoticed_end_it(running: asyncio.Task[None], watching: Kopf, port: int) -> None:
    watching.is_ready.set()
    await until(lambda status: status == 200, port)
    Served.unnoticed.set()
    with pytest.raises(OperatorFailed, match="came back"):
        async with asyncio.timeout(5):
            await running
    assert watching.stopped, "in order"


@pytest.mark.usefixtures("api", "watching")
async def test_it_can_be_stopped_while_the_crds_are_missing(
    options: Options, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Served, "wait_served", never)
    task = asyncio.create_task(run_operator(options))
    await until(lambda status: status == 503, port)
    async with asyncio.timeout(5):
        while not task.done():
            # Not before its handlers are set: it would end the tests.
            if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.01)
    task.result()


async def test_a_port_that_is_taken_ends_it_before_it_begins(
    api: Api, watching: Kopf, options: Options, port: int
) -> None:
    taken = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port)
    async with taken:
        with pytest.raises(OperatorFailed, match=f"cannot serve on 127.0.0.1:{port}"):
            await run_operator(options)
    assert api.closed
    assert watching.options == {}


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    ("namespaces", "clusterwide"), [((), True), (("shop", "team-*"), False)], ids=["all", "some namespaces"]
)
async def test_kopf_is_told_what_to_watch_and_to_go_on_for_ever(
    watching: Kopf, port: int, namespaces: tuple[str, ...], *, clusterwide: bool
) -> None:
    options = Options("certwright", "test", namespaces, http_port=port, workers=2)
    watching.is_ready.set()
    watching.fails.set()
    with pytest.raises(OperatorFailed):
        await run_operator(options)
    told = watching.options
    assert (told["clusterwide"], told["namespaces"], told["standalone"]) == (clusterwide, list(namespaces), True)
    settings: kopf.OperatorSettings = told["settings"]
    assert isinstance(settings.networking.error_backoffs, Backoffs)
    assert not settings.posting.enabled


def test_pauses_between_tries_never_run_out_and_begin_anew_for_each_request() -> None:
    backoffs = Backoffs()
    for _ in range(2):
        pauses = list(itertools.islice(backoffs, 1000))
        assert pauses[:7] == [0.5, 1.0, 1.0, 2.0, 2.0, 3.0, 5.0]
        assert set(pauses[6:]) == {5.0}
