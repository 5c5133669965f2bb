"""A year of the operator's life in minutes: many Certificates, bad answers, outages, restarts, wrong clocks."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gc
import logging
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from certwright.acme import LETS_ENCRYPT, Limit, LimitProfile
from certwright.resources import API_VERSION, READY, Certificate, ClusterIssuer
from tests.simulation.ca import BACKDATED, SimulatedCa
from tests.simulation.cluster import Cluster
from tests.simulation.loop import VirtualLoop
from tests.simulation.operator import Operator, simulated
from tests.simulation.world import DAY, World

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_EXCESS: Final = 0.10
HOUR: Final = 3600.0

BUSY_DOMAIN: Final = "busy-domain.example"
NAMESPACES: Final = 20
ISSUERS: Final = (0, 0, 1, 1, 1, 2, 2, 2, 2, 2)
"""Which issuer each Certificate refers to, in turn."""
FAILS_AT: Final = 0.645
"""When one of the CAs is down for days, as a share of the time: as its first certificates come to be renewed."""
CALLED_BACK_AT: Final = 0.45
"""When one of the CAs calls back certificates, as a share of the time,"""
CALLED_BACK_PART: Final = 0.4
"""namely those that are younger than this part of their lifetime."""
SHORT: Final = dt.timedelta(days=30)
"""The lifetime of the certificates that have another issuer to fall back to: they cannot wait for ten days."""


@dataclass(frozen=True)
class Scenario:
    """What is to be lived through.

    Attributes:
        certificates: How many Certificates there are.
        days: For how long.
        seed: Of all chance; the same seed gives the same life.
        faults: The share of the CAs' answers that are bad.
        restart_days: Between two kills of the operator, about.
        outage_days: Between two outages of a CA or the API server, about.
        step_days: Between two steps of the clock, about.
        failing_days: For how long one of the CAs is down altogether.
        busy: How many of the Certificates are under one registered domain.
        falling_back: How many Certificates of the CA that is down for days list a second issuer, and live for a month.
        issuers: Which issuer each Certificate refers to, in turn.
        ignores_limits: Whether the operator is told that the CAs have no limits, to see that exceeding them is noticed.
    """

    certificates: int = 2000
    days: float = 365
    seed: int = 1
    faults: float = 0.10
    restart_days: float = 30
    outage_days: float = 12
    step_days: float = 40
    failing_days: float = 10
    busy: int = 120
    falling_back: int = 20
    ignores_limits: bool = False
    issuers: tuple[int, ...] = ISSUERS


@dataclass
class Day:
    """What one day was like.

    Attributes:
        number: Counted from 0.
        orders: How many were placed at each CA.
        ready: How many Certificates were Ready at its end.
        wanted: How many there were.
        waiting: How many of them waited for a limit of a CA.
        shortest: The share of its lifetime that the certificate had left that was closest to its end.
        marks: What happened.
    """

    number: int
    orders: list[int]
    ready: int
    wanted: int
    waiting: int
    shortest: float
    marks: list[str] = field(default_factory=list)


@dataclass
class Life:
    """What became of it."""

    scenario: Scenario
    hosts: list[str]
    days: list[Day] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    exceeded: list[str] = field(default_factory=list)
    orders: int = 0
    ideal: int = 0
    failed_validations: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    ca_requests: int = 0
    marks: list[tuple[float, str]] = field(default_factory=list)
    called_back_left: list[str] = field(default_factory=list)
    by_ca: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether all certificates were there in time, no limit was exceeded, and a tenth more was ordered at most."""
        return (
            not (self.expired or self.missing or self.exceeded or self.called_back_left) and self.excess <= MOST_EXCESS
        )

    @property
    def excess(self) -> float:
        """By which share more orders were placed than would be without any trouble."""
        return self.orders / max(1, self.ideal) - 1


class Simulation:
    """One life.

    Args:
        scenario: What is to be lived through.
        loop: Whose time passes.
        on_day: Called with each day when it is over.
    """

    def __init__(
        self, scenario: Scenario, loop: VirtualLoop, *, on_day: Callable[[Day], None] = lambda _day: None
    ) -> None:
        self.scenario, self._on_day = scenario, on_day
        self.world = World(loop, scenario.seed)
        self.cluster = Cluster(self.world)
        self.cluster.failing = scenario.faults / 10
        narrow = LimitProfile(
            orders_per_account=Limit(60, dt.timedelta(hours=1)),
            certificates_per_registered_domain=Limit(30, dt.timedelta(days=1)),
            renewals_exempt=False,
        )
        self.cas = [
            self._ca("acme-v02.api.letsencrypt.org", 90, LETS_ENCRYPT, renewal_info=True),
            self._ca("ca.narrow.test", 200, narrow, obeys_lifetimes=True),
            self._ca("ca.failing.test", 365, LimitProfile(), renewal_info=True, obeys_lifetimes=True),
        ]
        self.life = Life(scenario, [ca.host for ca in self.cas])
        self.cluster.on_secret = self._written
        self.cluster.on_lost = self._lost
        self._ends: dict[tuple[str, str], dt.datetime] = {}
        self._begins: dict[tuple[str, str], dt.datetime] = {}
        self._first: dict[tuple[str, str], dt.datetime] = {}
        self._applied: list[dict[str, Any]] = []
        self._operator: Operator | None = None

    def _ca(self, host: str, days: float, limits: LimitProfile, **offers: bool) -> SimulatedCa:
        faults = self.scenario.faults
        ca = SimulatedCa(self.world, host, life=dt.timedelta(days=days), limits=limits, faults=faults, **offers)
        ca.refuses_validation = faults / 10
        return ca

    async def run(self) -> Life:
        """Live it."""
        self._write_issuers()
        own = asyncio.current_task()
        tasks = [asyncio.create_task(one) for one in (self._supervise(), self._count_days(), self._happen())]
        self._own = {own, *tasks}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        left = asyncio.all_tasks() - {own}
        for task in left:
            task.cancel()
        self.world.process += 1
        await asyncio.wait(left)
        return self._judged()

    async def _supervise(self) -> None:
        """Start the operator whenever it is dead, as Kubernetes does."""
        while True:
            self.world.died.clear()
            self._operator = Operator(self.cluster)
            await self._operator.start()
            task = self._operator.task
            died = asyncio.create_task(self.world.died.wait())
            self._own.add(died)
            assert task is not None
            await asyncio.wait([died, task], return_when=asyncio.FIRST_COMPLETED)
            if task.done() and not self.world.died.is_set():
                task.result()
                raise AssertionError("the operator ended by itself")
            await self._operator.end()
            for left in asyncio.all_tasks() - self._own:
                left.cancel()
            self._operator = None
            await asyncio.sleep(self.world.random.uniform(20, 600))

    async def _count_days(self) -> None:
        before = [0] * len(self.cas)
        for number in range(math.ceil(self.scenario.days)):
            await asyncio.sleep(DAY)
            orders = [len(ca.placed_at) for ca in self.cas]
            ready, waiting = 0, 0
            for body in self._applied:
                conditions = self._status(body).get("conditions", ())
                ready += any(one["type"] == READY and one["status"] == "True" for one in conditions)
                waiting += any(one["reason"] == "OrderLimitReached" for one in conditions)
            gc.collect(1)
            now = self.world.true_now
            left = [(end - now) / (end - self._begins[key]) for key, end in self._ends.items()]
            day = Day(
                number,
                [now_ - then for now_, then in zip(orders, before, strict=True)],
                ready,
                len(self._applied),
                waiting,
                min(left, default=1.0),
            )
            before = orders
            self.life.days.append(day)
            self._on_day(day)

    def _status(self, body: dict[str, Any]) -> dict[str, Any]:
        metadata = body["metadata"]
        found: dict[str, Any] = self.cluster.objects["certificates", metadata["namespace"], metadata["name"]]
        return found.get("status") or {}

    async def _happen(self) -> None:
        """Let things happen, in the order of their times."""
        for time, what in sorted(self._happenings(), key=lambda one: one[0]):
            await asyncio.sleep(max(0.0, time - self.world.loop.time()))
            outcome = what()
            if asyncio.iscoroutine(outcome):
                await outcome
        await asyncio.sleep(10 * 365 * DAY)

    def _happenings(self) -> list[tuple[float, Callable[[], Any]]]:
        scenario, chance = self.scenario, random.Random(self.scenario.seed + 1)  # noqa: S311 - to be repeated
        found: list[tuple[float, Callable[[], Any]]] = []
        for number in range(scenario.certificates):
            # Most at once, on the first day; the others within two months.
            time = 60.0 if number % 4 else chance.uniform(DAY, min(60 * DAY, scenario.days * DAY / 3))
            if self._falls_back(number) and number // len(scenario.issuers) % 4 == 3:
                time = scenario.days * DAY * FAILS_AT + DAY  # while its first issuer is down
            found.append((time, self._apply(number)))

        def spread(days: float, what: Callable[[float], list[tuple[float, Callable[[], Any]]]]) -> None:
            time = chance.uniform(0.3, 1.0) * days * DAY
            while time < scenario.days * DAY:
                found.extend(what(time))
                time += chance.uniform(0.6, 1.4) * days * DAY

        spread(scenario.restart_days, lambda time: [(time, lambda: self._arm(chance.randint(1, 60)))])
        spread(scenario.outage_days, lambda time: self._outage(time, chance))
        spread(scenario.step_days, lambda time: self._step(time, chance))
        if scenario.failing_days:
            begin = scenario.days * DAY * FAILS_AT
            found += self._down(self.cas[2], begin, scenario.failing_days * DAY, "CA down")
        return [*found, (scenario.days * DAY * CALLED_BACK_AT, self._call_back)]

    def _call_back(self) -> None:
        self.world.counts["called back"] += self.cas[0].call_back(CALLED_BACK_PART)
        self._mark("mass revocation")

    def _falls_back(self, number: int) -> bool:
        """Whether a Certificate lists a second issuer."""
        issuers = self.scenario.issuers
        return number % len(issuers) == len(issuers) - 1 and number // len(issuers) < self.scenario.falling_back

    def _outage(self, time: float, chance: random.Random) -> list[tuple[float, Callable[[], Any]]]:
        what = chance.choice([*self.cas, self.cluster])
        length = chance.uniform(0.1, 1.0) * (HOUR if what is self.cluster else 8 * HOUR)
        return self._down(what, time, length, "outage")

    def _down(self, what: Any, time: float, length: float, word: str) -> list[tuple[float, Callable[[], Any]]]:
        def down() -> None:
            what.down = True
            self._mark(f"{word} of {getattr(what, 'host', 'the API server')}")

        def up() -> None:
            what.down = False

        return [(time, down), (time + length, up)]

    def _step(self, time: float, chance: random.Random) -> list[tuple[float, Callable[[], Any]]]:
        seconds = chance.choice([-1, 1]) * chance.uniform(60, 6 * HOUR)

        def to(offset: float) -> Callable[[], None]:
            def step() -> None:
                self.world.offset = offset
                self.world.counts["steps of the clock"] += 1
                self._mark("clock step")
                if self._operator is not None:
                    self._operator.clock_was_set()

            return step

        return [(time, to(seconds)), (time + chance.uniform(HOUR, 12 * HOUR), to(0.0))]

    def _arm(self, requests: int) -> None:
        """Have the operator die at one of its next requests."""
        if self.world.countdown is None:
            self.world.countdown = requests
        self._mark("kill -9")

    def _mark(self, what: str) -> None:
        self.life.marks.append((self.world.loop.time() / DAY, what))

    def _apply(self, number: int) -> Callable[[], Any]:
        issuers = self.scenario.issuers
        issuer = issuers[number % len(issuers)]
        if issuer == 0 and number // len(issuers) * issuers.count(0) < self.scenario.busy:
            domain = BUSY_DOMAIN
        else:
            domain = f"d{number // 12}.example"
        names = [f"n{number}.{domain}"] if number % 5 else [f"n{number}.{domain}", f"m{number}.{domain}"]
        spec: dict[str, Any] = {"dnsNames": names, "secretName": f"c{number}-tls"}
        if self._falls_back(number):
            spec["issuerRefs"] = [{"name": f"issuer-{one}", "kind": "ClusterIssuer"} for one in (issuer, 1)]
            spec["duration"] = f"{SHORT / dt.timedelta(hours=1):.0f}h"
        else:
            spec["issuerRef"] = {"name": f"issuer-{issuer}", "kind": "ClusterIssuer"}
        body = {
            "apiVersion": API_VERSION,
            "kind": "Certificate",
            "metadata": {"name": f"c{number}", "namespace": f"team-{number % NAMESPACES}", "generation": 1},
            "spec": spec,
        }

        async def apply() -> None:
            written = self.cluster.put(Certificate.PLURAL, body)
            self._applied.append(written)
            if self._operator is not None:
                await self._operator.tell(Certificate.PLURAL, written, "ADDED")

        return apply

    def _write_issuers(self) -> None:
        for number, ca in enumerate(self.cas):
            acme: dict[str, Any] = {
                "server": ca.directory_url,
                "privateKeySecretRef": {"name": f"account-{number}"},
                "solvers": [{"dns01": {"rfc2136": {"nameserver": "127.0.0.1:53"}}}],
            }
            if ca.obeys_lifetimes:
                acme["enableDurationFeature"] = True
            if self.scenario.ignores_limits:
                endless = {"count": 1_000_000, "period": "1m"}
                acme["rateLimits"] = {"ordersPerAccount": endless, "certificatesPerRegisteredDomain": endless}
            elif ca.host == "ca.narrow.test":
                acme["rateLimits"] = {
                    "ordersPerAccount": {"count": 60, "period": "1h"},
                    "certificatesPerRegisteredDomain": {"count": 30, "period": "24h"},
                    "renewalsExempt": False,
                }
            self.cluster.put(
                ClusterIssuer.PLURAL,
                {
                    "apiVersion": API_VERSION,
                    "kind": "ClusterIssuer",
                    "metadata": {"name": f"issuer-{number}", "generation": 1},
                    "spec": {"acme": acme},
                },
            )

    def _lost(self, plural: str, body: dict[str, Any]) -> None:
        """Have the watch tell of a write whose answer was lost; the answers of the others say as much."""
        if self._operator is not None:
            self._own.add(asyncio.create_task(self._operator.tell(plural, body, "MODIFIED")))

    def _written(self, secret: dict[str, Any]) -> None:
        """Look at a Secret that was written: the certificate before it must not have expired."""
        data = secret.get("data", {})
        if "tls.crt" not in data:
            return
        key = secret["metadata"]["namespace"], secret["metadata"]["name"]
        leaf = x509.load_pem_x509_certificates(base64.b64decode(data["tls.crt"]))[0]
        before, now = self._ends.get(key), self.world.true_now
        if before is not None and before < now:
            self.life.expired.append(f"{key[0]}/{key[1]} at {before:%Y-%m-%d %H:%M}, renewed at {now:%Y-%m-%d %H:%M}")
        self._ends[key], self._begins[key] = leaf.not_valid_after_utc, leaf.not_valid_before_utc
        if key not in self._first:
            self._first[key] = now

    def _judged(self) -> Life:
        life, end = self.life, self.world.true_now
        life.expired += [
            f"{key[0]}/{key[1]} at {time:%Y-%m-%d %H:%M}" for key, time in self._ends.items() if time < end
        ]
        ideal = Counter[int]()
        for body in self._applied:
            number = int(body["metadata"]["name"][1:])
            key = body["metadata"]["namespace"], body["spec"]["secretName"]
            if key not in self._first:
                life.missing.append(f"{key[0]}/{body['metadata']['name']}")
                continue
            issuer = self.scenario.issuers[number % len(self.scenario.issuers)]
            interval = (SHORT if self._falls_back(number) else self.cas[issuer].life) * 2 / 3 - BACKDATED
            # Certificates that were called back begin anew: that order has to be.
            called_back = self.cas[issuer].called_back.get(tuple(sorted(body["spec"]["dnsNames"])))
            times = [self._first[key], *([called_back] if called_back is not None else ()), end]
            ideal[issuer] += sum(1 + int((after - before) / interval) for before, after in pairwise(times))
        for number, ca in enumerate(self.cas):
            life.exceeded += [f"{ca.host}: {one}" for one in ca.exceeded]
            life.struck += ca.struck
            life.ca_requests += ca.requests
            life.failed_validations += ca.failures
            life.called_back_left += [", ".join(names) for names in ca.called_back_left()]
            life.by_ca[ca.host] = (len(ca.placed_at), ideal[number])
        life.orders = sum(len(ca.placed_at) for ca in self.cas)
        life.ideal = ideal.total()
        life.counts = self.world.counts
        return life


def live(scenario: Scenario, *, quiet: bool = True, on_day: Callable[[Day], None] = lambda _day: None) -> Life:
    """Live a scenario, and return what became of it.

    Args:
        scenario: What is to be lived through.
        quiet: Whether errors are not logged.
        on_day: Called with each day when it is over.
    """
    logger = logging.getLogger("certwright")
    level, chance = logger.level, random.getstate()
    random.seed(scenario.seed)
    logger.setLevel(logging.CRITICAL if quiet else logging.ERROR)
    loop = VirtualLoop()
    gc.disable()  # what is garbage here is garbage by its count; looking for circles takes a fifth of the time
    try:
        asyncio.set_event_loop(loop)
        simulation = Simulation(scenario, loop, on_day=on_day)
        with simulated(simulation.world, simulation.cluster, simulation.cas):
            return loop.run_until_complete(simulation.run())
    finally:
        # What lives in the same process afterwards logs, and takes its chances, as before.
        logger.setLevel(level)
        random.setstate(chance)
        gc.enable()
        asyncio.set_event_loop(None)
        loop.close()
