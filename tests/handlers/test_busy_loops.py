"""The manager at work, in a time that passes in a moment, with looks that never come to an end."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates import reconciler as reconciler_module
from certwright.certificates.steps.resting import Sleep
from certwright.handlers.kinds import WatchedKind
from certwright.handlers.manager import Manager
from certwright.handlers.quarantine import Quarantine
from certwright.handlers.registrations import certificate_kind
from certwright.kube.resource import CERTIFICATES, Resource
from certwright.metrics import Metrics
from certwright.runtime.leadership import Leadership
from certwright.runtime.result import Result
from tests.certificates.bench import WEB, Bench
from tests.simulation.loop import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from certwright.runtime.key import Key
    from tests.fakes.operator import Build, FakeKubeApi

THINGS = Resource("example.test", "v1", "things", "Thing")
HOUR = 3600.0


class Recorder:
    """Stands in for the poster of Events."""

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """Nothing waits."""


@pytest.fixture
def virtual() -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Runs a coroutine in virtual time."""
    loop = VirtualLoop()
    yield loop.run_until_complete
    loop.close()


def made_manager(metrics: Metrics, *, workers: int = 2) -> Manager:
    nobody: Any = None
    recorder: Any = Recorder()
    quarantine = Quarantine(nobody, recorder=recorder, metrics=metrics, clock=lambda: dt.datetime.now(dt.UTC))
    return Manager(
        workers=workers, recorder=recorder, metrics=metrics, leadership=Leadership.unlimited(), quarantine=quarantine
    )


def thing(name: str, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


class Things:
    """A manager of things whose looks end as a test says."""

    def __init__(self, result: Callable[[], Result]) -> None:
        self.result = result
        self.looks: list[float] = []
        self.seen = 0
        self.metrics = Metrics()
        self.manager = made_manager(self.metrics)
        self.manager.kinds.register(
            WatchedKind(
                THINGS,
                parse=lambda body: body["metadata"]["resourceVersion"],
                wakes=lambda key, _before, after: () if after is None else (key,),
                reconcile=self.look,
                progress=lambda _key: self.seen,
            )
        )

    async def look(self, _key: Key) -> Result:
        self.looks.append(asyncio.get_running_loop().time())
        return self.result()

    async def live(self, *seconds: float, news: bool = False) -> None:
        """Work for so long, and again; with news of the thing before each part."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.manager.run(stop))
        for number, part in enumerate(seconds):
            if news or not number:
                await self.manager.take_event(THINGS, "MODIFIED", thing("one", number + 1))
            await asyncio.sleep(part)
        stop.set()
        await task

    @property
    def paused(self) -> float | None:
        return self.metrics.registry.get_sample_value("certwright_paused_loops_total", {"kind": "Thing"})


PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
HASTY = {
    "at once": lambda: Result.again_in(0),
    "at a time that is past": lambda: Result.again_at(PAST, PAST + dt.timedelta(days=9)),
    "a moment ago": lambda: Result(dt.timedelta(seconds=-1)),
    "no later than a time that is past": lambda: Result.ON_EVENT.no_later_than(dt.timedelta(days=-1)),
    "a timer that rings early": lambda: Result.again_in(0.0005),
}


@pytest.mark.parametrize("result", HASTY.values(), ids=HASTY)
def test_a_look_that_never_ends_is_no_busy_loop(
    virtual: Callable[[Any], None], result: Callable[[], Result], caplog: pytest.LogCaptureFixture
) -> None:
    things = Things(result)
    with caplog.at_level(logging.ERROR, logger="certwright"):
        virtual(things.live(HOUR))
    assert 10 < len(things.looks) < 40, "it is looked at for as long as it wants, at intervals"
    assert things.paused == len(things.looks) - 5
    (line,) = caplog.messages
    assert line.startswith("Thing shop/one was reconciled again 6 times in a row without effect")


def test_news_of_an_object_are_looked_at_at_once_whatever_its_looks_asked_for(virtual: Callable[[Any], None]) -> None:
    things = Things(lambda: Result.again_in(0))
    virtual(things.live(HOUR, 1.0, news=True))
    assert len([time for time in things.looks if HOUR <= time < HOUR + 1]) == 6, "as many as at first"


def test_a_look_that_gets_on_goes_on_at_once(virtual: Callable[[Any], None]) -> None:
    things = Things(lambda: Result.ON_EVENT)

    def step() -> Result:
        things.seen += 1
        return Result.again_in(0) if things.seen < 40 else Result.ON_EVENT

    things.result = step
    virtual(things.live(1.0))
    assert (len(things.looks), things.paused) == (40, None)


@pytest.mark.parametrize("seconds", [float("nan")])
def test_a_time_that_is_not_a_number_is_a_defect_that_ends_no_worker(
    virtual: Callable[[Any], None], seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    things = Things(lambda: Result.again_in(seconds))
    virtual(things.live(25.0))
    assert len(things.looks) == 3, "every ten seconds"
    assert "the time until the next look is not a number" in caplog.text


def test_a_time_beyond_all_bounds_is_a_day(virtual: Callable[[Any], None]) -> None:
    things = Things(lambda: Result.again_in(float("inf")))
    virtual(things.live(25 * HOUR))
    assert [round(time / HOUR) for time in things.looks] == [0, 24]


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    made = Bench(build, kube_api, now)
    made.write()
    return made


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When Certificates are looked at, by a plan that has them sleep until a time that is past."""
    looks: list[float] = []

    def sleeping(_observation: Any, at: dt.datetime) -> Sleep:
        looks.append(asyncio.get_running_loop().time())
        return Sleep(at - dt.timedelta(seconds=len(looks) % 3))

    monkeypatch.setattr(reconciler_module, "plan", sleeping)
    return looks


def test_a_certificate_whose_plan_sleeps_until_now_for_ever_is_no_busy_loop(
    virtual: Callable[[Any], None], bench: Bench, looks: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    async def live() -> None:
        manager = made_manager(metrics)

        async def tell(_resource: Any, _invalid: Any) -> None:
            raise AssertionError("it is valid")

        manager.kinds.register(
            certificate_kind(
                bench.certificates, bench.reconciler, authority_of=lambda _key: None, metrics=metrics, tell=tell
            )
        )
        stop = asyncio.Event()
        task = asyncio.create_task(manager.run(stop))
        manager.wake(WEB)
        await asyncio.sleep(HOUR)
        stop.set()
        await task

    metrics = Metrics()
    with caplog.at_level(logging.ERROR, logger="certwright"):
        virtual(live())
    assert 10 < len(looks) < 40
    assert "without effect (Sleep)" in caplog.messages[-1]
    assert metrics.registry.get_sample_value("certwright_paused_loops_total", {"kind": CERTIFICATES.kind})
