"""The operator in a simulation: the real one, with the time, the API server and the CAs of the simulated world."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast
from unittest import mock

from certwright.acme import AcmeServer, Clock, renewal_info, server
from certwright.certificates import renewal_polls
from certwright.certificates.steps import poll_renewal_info, resting
from certwright.challenges.response import RecordResponse
from certwright.handlers import controller as controller_module
from certwright.handlers import manager as manager_module
from certwright.handlers import unclaimed, workers
from certwright.handlers.controller import Controller
from certwright.handlers.options import Options
from certwright.issuers import upkeep
from certwright.issuers.budgets import Budgets
from certwright.issuers.presenters import PresenterFactory
from certwright.runtime import backoff, clock_watch, labour
from certwright.runtime.clock_watch import ClockWatch
from testbed.faults import forger, refusals
from tests.fakes.solvers import FakeDns
from tests.simulation.world import DAY, World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from certwright.acme import Challenge
    from certwright.issuers.authorities import Authority
    from tests.simulation.ca import SimulatedCa
    from tests.simulation.cluster import Cluster

LONGEST_REST: Final = 60 * DAY
"""The operator looks at everything once a day. Nothing is found there that it would not find now, and it takes time."""
LONGEST_POLL: Final = 30 * DAY
"""It asks for renewal information at least once a day,"""
POLL_AFTER_ERROR: Final = 2 * DAY
"""and every six hours while there is no answer."""
ISSUER_PAUSE: Final = 6 * 3600.0
"""A Certificate that waits for an issuer looks at it every five minutes, besides when the issuer changes."""
LONGEST_BACKOFF: Final = 6 * 3600.0
"""The pauses after failures grow to five minutes."""
UPKEEP: Final = dt.timedelta(days=1)
"""It compares the Secrets of issuers every hour, and reads directories every twelve."""


class SimulatedAuthorities:
    """Connections to the CAs of the world."""

    def __init__(self, world: World, cas: Sequence[SimulatedCa], process: int, **_: Any) -> None:
        self._world, self._process = world, process
        self._cas = {ca.directory_url: ca for ca in cas}
        self._servers: dict[str, AcmeServer] = {}

    async def server(self, authority: Authority) -> AcmeServer:
        url = authority.server
        if url not in self._servers:
            clock = Clock(now=self._world.now, monotonic=self._world.loop.time, sleep=asyncio.sleep)
            transport = self._cas[url].transport(self._process)
            self._servers[url] = AcmeServer(url, transport, clock=clock, patience=0)
        return self._servers[url]

    async def keep_only(self, _used: Any) -> None:
        """Keep all."""

    async def aclose(self) -> None:
        """Close nothing."""


class SimulatedPresenters(PresenterFactory):
    """Presenters of a zone in which every record is visible at once."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.caa = None  # type: ignore[assignment]  # there are no CAA records

    async def make(self, *_: Any) -> Any:
        return Zone()

    async def remove_http01(self, *_: Any) -> None:
        """There are no files."""

    async def remove_superseded(self, *_: Any) -> None:
        """There are no files."""


class Zone(FakeDns):
    """A presenter."""

    def respond(self, _name: str, place: str, challenge: Challenge, _key_authorization: str) -> RecordResponse:
        return RecordResponse(place, f"value-of-{challenge.token}"[:64])


@contextlib.contextmanager
def simulated(world: World, cluster: Cluster, cas: Sequence[SimulatedCa]) -> Iterator[None]:
    """Give the operator the time, the API server and the CAs of the world, while inside."""

    class WorldTime(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return world.true_now.astimezone(tz)

    parts: dict[Any, dict[str, Any]] = {
        controller_module: {
            "_now": world.now,
            "KubeClient": lambda *_args, **_options: SimpleNamespace(),
            "KubeApi": lambda *_args, **_options: cluster.client(world.process),
            "Authorities": lambda **options: SimulatedAuthorities(world, cas, world.process, **options),
            "PresenterFactory": SimulatedPresenters,
            "Budgets": lambda now: Budgets(now, world.loop.time),
        },
        manager_module: {
            "ClockWatch": partial(ClockWatch, wall=world.seconds, timer=world.loop.time, boot=world.loop.time)
        },
        renewal_info: {"LONGEST_POLL": LONGEST_POLL},
        renewal_polls: {
            "LONGEST_POLL": LONGEST_POLL,
            "RETRY_AFTER_ERROR": POLL_AFTER_ERROR,
            "LONGEST_WAIT": dt.timedelta(seconds=1.2 * LONGEST_POLL),
        },
        poll_renewal_info: {
            "LONGEST_POLL": LONGEST_POLL,
            "RETRY_AFTER_ERROR": POLL_AFTER_ERROR,
            "LONGEST_QUIET": dt.timedelta(seconds=POLL_AFTER_ERROR / 2),
        },
        resting: {"ISSUER_PAUSE_SECONDS": ISSUER_PAUSE},
        backoff: {"LONGEST_SECONDS": LONGEST_BACKOFF},
        upkeep: {"KEY_INTERVAL": UPKEEP, "DIRECTORY_INTERVAL": UPKEEP},
        server: {"DIRECTORY_MAX_AGE": DAY},
        workers: {"LONGEST_REST_SECONDS": LONGEST_REST},
        unclaimed: {"UNCLAIMED_SECONDS": 30 * DAY},
        clock_watch: {"LOOK_SECONDS": DAY / 4},
        labour: {"time": SimpleNamespace(thread_time=lambda: 0.0)},  # a slow call where the tests run
        refusals: {"datetime": WorldTime},
        forger: {"datetime": WorldTime},
    }
    with contextlib.ExitStack() as stack:
        for module, values in parts.items():
            for name, value in values.items():
                stack.enter_context(mock.patch.object(module, name, value))
        yield


class Operator:
    """One process of the operator."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.controller = Controller(cast("Any", None), Options("certwright", "simulation"))
        self._stop = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """List everything, then work."""
        for (plural, _, _), body in list(self._cluster.objects.items()):
            await self.tell(plural, body)
        self.task = asyncio.create_task(self.controller.run(self._stop))

    async def tell(self, plural: str, body: dict[str, Any], event: str | None = None) -> None:
        """Tell of an object, as a watch does."""
        for kind in self.controller.manager.kinds:
            if kind.resource.plural == plural and kind.resource.selects(body["metadata"]):
                await self.controller.manager.take_event(kind.resource, event, body)

    def clock_was_set(self) -> None:
        """Have it notice a step of the clock, as it does within seconds."""
        watch = self.controller.manager._workers._clock
        assert watch is not None
        watch.look()

    async def end(self) -> None:
        """End all that is left of a process that was killed."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
