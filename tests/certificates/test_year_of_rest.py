"""A Certificate at rest costs next to nothing: no write while nothing changes, a few questions to its CA a day."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from certwright.issuers.registry import IssuerRegistry

from .bench import CA, Bench

if TYPE_CHECKING:
    from tests.fakes.operator import Build, FakeKubeApi

DAYS = 365


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
    asked = bench.counting()
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


async def test_a_restart_writes_nothing_and_reads_nothing_while_the_issuer_is_not_loaded_yet_or_not_ready(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    bench = Bench(build, kube_api, now)
    bench.write()
    await bench.run(3600)
    issuer, watched = bench.status.issuer, bench.secrets
    assert issuer is not None
    assert issuer.server is not None
    bench.registry = IssuerRegistry(lambda: bench.now)
    asked = bench.counting()
    bench.secrets = bench.reconciler._secrets = watched  # the watch lists it
    await bench.run(600)
    bench.registry.set_not_ready(CA, "Issuer team/ca is not ready (CAUnreachable)")
    await bench.run(600)
    bench.ready()
    await bench.run(600)
    assert asked == []
    assert bench.status.issuer == issuer


async def test_an_issuer_that_moves_to_another_ca_is_no_longer_said_to_have_made_the_certificate_there(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    bench = Bench(build, kube_api, now)
    bench.write()
    await bench.run(3600)
    bench.write(paused=True)
    bench.issuer_spec = {"server": "https://other.example.test/directory"}
    bench.ready()
    await bench.run(60)
    issuer = bench.status.issuer
    assert issuer is not None
    assert issuer.server is None
