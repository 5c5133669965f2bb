"""A Certificate at rest costs next to nothing: no write while nothing changes, a few questions to its CA a day."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from .bench import Bench

if TYPE_CHECKING:
    from tests.fakes.operator import Build, FakeKubeApi

DAYS = 365


class CountedCluster:
    """Passes requests on to the API server, and notes which there were."""

    def __init__(self, cluster: Any, asked: list[str]) -> None:
        self._cluster, self._asked = cluster, asked

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._cluster, verb)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._asked.append(verb)
            return found(*arguments, **options)

        return call


@pytest.mark.parametrize(
    ("ari", "looks"), [(True, 4 * DAYS), (False, 3)], ids=["with renewal information", "without it"]
)
async def test_a_year_of_rest_writes_nothing_and_asks_the_ca_four_times_a_day_at_most(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime, *, ari: bool, looks: int
) -> None:
    bench = Bench(build, kube_api, now)
    bench.ca.life = {"life": dt.timedelta(days=3 * DAYS)}
    window = (now + dt.timedelta(days=2 * DAYS), now + dt.timedelta(days=2 * DAYS + 1))
    bench.ca.server.window = lambda _: window
    bench.write(renewal={"ari": ari})
    asked: list[str] = []
    counted: Any = CountedCluster(bench.cluster, asked)
    bench.cluster = counted
    bench.restart()
    await bench.run(86400)
    assert bench.condition().status == "True"
    assert "apply_status" in asked
    asked.clear()
    version, polls, passes = bench.cluster.body["metadata"]["resourceVersion"], len(bench.ca.server.asked), bench.passes
    orders = len(bench.ca.orders)
    await bench.run(DAYS * 86400)
    assert bench.cluster.body["metadata"]["resourceVersion"] == version
    assert asked == [], "the API server was asked for something"
    assert len(bench.ca.orders) == orders
    assert len(bench.ca.server.asked) - polls <= (4 * DAYS if ari else 0)
    assert len(bench.ca.server.asked) - polls >= (3 * DAYS if ari else 0)
    assert bench.passes - passes <= looks + 1, "looks of no use"
