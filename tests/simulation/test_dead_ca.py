"""A hundred and twenty Certificates with one issuer, whose CA is down for two hours: they pass in seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest

from certwright.certificates.steps import resting
from certwright.runtime import backoff
from tests.simulation.life import Scenario, Simulation
from tests.simulation.loop import VirtualLoop
from tests.simulation.operator import simulated

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR: Final = 3600.0
MINUTE: Final = 60.0
CERTIFICATES: Final = 120
DOWN, APPLIED, UP = 50.0, 60.0, 2 * HOUR


class Outage(Simulation):
    """A CA that goes down just before all its Certificates are applied.

    Args:
        loop: Whose time passes.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(Scenario(certificates=CERTIFICATES, days=1, faults=0, issuers=(2,), falling_back=0), loop)
        self.ca = self.cas[2]
        self.ca.refuses_validation = 0.0
        self.said: list[tuple[float, str, str]] = []

    def _happenings(self) -> list[tuple[float, Callable[[], Any]]]:
        down, up = self._down(self.ca, DOWN, UP - DOWN, "CA down")
        looks = [(time, self._look) for time in (HOUR, UP - MINUTE)]
        return [down, *((APPLIED, self._apply(number)) for number in range(CERTIFICATES)), *looks, up]

    async def _count_days(self) -> None:
        await asyncio.sleep(UP + 30 * MINUTE)

    def _look(self) -> None:
        """Note what the Certificates say."""
        for body in self._applied:
            for one in self._status(body).get("conditions", ()):
                if one["type"] == "Issuing":
                    self.said.append((self.world.loop.time(), one["reason"], one["message"]))

    def tries(self, begin: float, end: float) -> int:
        return sum(begin <= time < end for time in self.ca.tried_at)


@pytest.fixture(scope="module")
def outage() -> Outage:
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    pauses = (
        mock.patch.object(resting, "ISSUER_PAUSE_SECONDS", 300.0),
        mock.patch.object(backoff, "LONGEST_SECONDS", 300.0),
    )
    try:
        made = Outage(loop)
        with simulated(made.world, made.cluster, made.cas), pauses[0], pauses[1]:
            loop.run_until_complete(made.run())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return made


def test_a_dead_ca_is_tried_by_one_order_at_a_time(outage: Outage) -> None:
    first = [time for time in outage.ca.tried_at if time >= APPLIED]
    assert len([time for time in first if time < APPLIED + 5 * MINUTE]) < 10 * CERTIFICATES, "until it is known to be"
    # Each of them every five minutes would be 2,760. One that tries asks for a nonce three times.
    assert 15 <= outage.tries(APPLIED + 5 * MINUTE, UP) < 60


def test_those_who_wait_say_so_and_their_condition_stays_the_same(outage: Outage) -> None:
    assert len(outage.said) == 2 * CERTIFICATES
    waiting = {(reason, message) for _, reason, message in outage.said if reason == "IssuerUnavailable"}
    assert sum(reason == "IssuerUnavailable" for _, reason, _ in outage.said) > 0.97 * len(outage.said)
    ((_, message),) = waiting
    assert message.startswith("ClusterIssuer issuer-2 is currently not used: it has failed since 2026-")
    assert message.endswith("One order at a time tries it, and the others follow once it works.")


def test_they_go_on_within_minutes_once_it_is_back_and_not_all_at_once(outage: Outage) -> None:
    placed = outage.ca.placed_at
    assert len(placed) == CERTIFICATES
    assert outage.life.missing == []
    # The longest pause, the minute in which others than those who failed come first, and a trial.
    assert UP <= placed[0] < UP + 13 * MINUTE
    assert placed[-1] < placed[0] + 3 * MINUTE
    busiest = max(sum(time <= other < time + 10 for other in placed) for time in placed)
    assert busiest <= 24, "two a second, and whoever tried it"


def test_waiting_costs_the_api_server_next_to_nothing(outage: Outage) -> None:
    writes = [time for time in outage.cluster.written_at if APPLIED + 10 * MINUTE <= time < UP]
    assert len(writes) < 60, "the Certificate that tries, and the issuer's condition, each time"
