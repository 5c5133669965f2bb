"""A smaller life of what `make simulate` lives: the same troubles, a few months."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from unittest import mock

import pytest

from certwright.metrics import Metrics
from tests.simulation.life import Life, Scenario, live
from tests.simulation.loop import VirtualLoop
from tests.simulation.plot import numbers, plot
from tests.simulation.world import DAY

SCENARIO = Scenario(certificates=60, days=150, seed=1, busy=5, falling_back=4)


HASTY: Counter[str] = Counter()
"""Looks that came at once and without effect again and again, by kind."""


@pytest.fixture(scope="module")
def life() -> Life:
    with mock.patch.object(Metrics, "paused_loop", lambda _self, kind: HASTY.update([kind])):
        return live(SCENARIO)


def test_no_look_asks_for_another_one_at_once_for_ever(life: Life) -> None:
    assert (life.missing, HASTY) == ([], {})


def test_no_certificate_expires_and_none_is_missing(life: Life) -> None:
    assert (life.expired, life.missing) == ([], [])
    assert life.days[-1].ready >= 0.9 * SCENARIO.certificates


def test_the_limits_of_the_cas_are_never_exceeded(life: Life) -> None:
    assert life.exceeded == []


def test_hardly_more_is_ordered_than_without_any_trouble(life: Life) -> None:
    # Of a hundred orders, a few more are a few per cent: the year of two thousand Certificates is held to ten.
    assert life.orders <= 1.15 * life.ideal
    assert life.orders >= life.ideal


def test_there_was_trouble_of_every_sort(life: Life) -> None:
    assert life.struck.total() >= 40
    assert len(life.struck) >= 25, "of many kinds"
    assert life.counts["restarts"] >= 4
    assert life.counts["steps of the clock"] >= 2
    kinds = {mark.partition(" of ")[0] for _, mark in life.marks}
    assert kinds >= {"kill -9", "clock step", "outage", "CA down", "mass revocation"}


def test_what_a_ca_calls_back_is_renewed_long_before_its_time(life: Life) -> None:
    assert life.counts["called back"] >= 5
    assert life.called_back_left == []


def test_a_second_issuer_serves_while_the_first_one_is_down(life: Life) -> None:
    assert life.counts["event FallingBack"] >= 2


def test_time_passes_for_years() -> None:
    loop = VirtualLoop()
    try:
        loop.elapsed = 10 * 365 * DAY + 0.1
        loop.run_until_complete(asyncio.wait_for(asyncio.sleep(0.15), 1))
        assert loop.time() == pytest.approx(10 * 365 * DAY + 0.25)
    finally:
        loop.close()


def test_the_same_seed_gives_the_same_life() -> None:
    short = Scenario(certificates=12, days=5, seed=5, busy=2)
    first, second = live(short), live(short)
    assert (first.orders, first.days, first.marks) == (second.orders, second.days, second.marks)


def test_a_ca_that_is_asked_for_too_much_is_noticed() -> None:
    wide = Scenario(certificates=70, days=1, faults=0, failing_days=0, busy=70, ignores_limits=True, issuers=(0,))
    assert live(wide).exceeded, "the simulation would notice"


def test_its_plot_and_its_numbers_tell_of_it(life: Life) -> None:
    drawn, told = plot(life), numbers(life)
    assert drawn.startswith("<svg")
    assert drawn.count("<polyline") == 4
    assert "| Certificates that expired | 0 |" in told
    assert f"{life.orders}; {life.ideal}" in told


def test_a_life_leaves_logging_and_chance_as_they_were() -> None:
    logger = logging.getLogger("certwright")
    before = logger.level, random.getstate()
    live(Scenario(certificates=2, days=1, seed=5, busy=1))
    assert (logger.level, random.getstate()) == before
