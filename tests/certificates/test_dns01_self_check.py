"""What the settings of a dns01 solver's self-check mean for an issuance."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, cast

import pytest

from certwright.resources import ISSUING

from .bench import Bench

if TYPE_CHECKING:
    from certwright.issuers.caa_forecast import CaaForecast
    from tests.fakes.operator import Build, FakeKubeApi


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    bench = Bench(build, kube_api, now)
    bench.write()
    bench.dns.hidden = True
    return bench


async def test_an_advisory_self_check_asks_the_ca_after_its_time_and_says_so(bench: Bench) -> None:
    bench.dns.self_check = "advisory"
    await bench.run(100)
    assert bench.condition().status == "False"
    assert "SelfCheckSkipped" not in bench.events
    await bench.run(60)
    assert bench.condition().status == "True"
    assert bench.events.count("SelfCheckSkipped") == 1
    assert "_acme-challenge.a.example.test TXT" in bench.messages["SelfCheckSkipped"]
    assert "Asking the CA anyway (selfCheck: advisory)" in bench.messages["SelfCheckSkipped"]


async def test_a_required_self_check_keeps_the_order_and_asks_nothing(bench: Bench) -> None:
    await bench.run(600)
    assert bench.condition().status == "False"
    assert len(bench.ca.orders) == 1
    assert "RecordNotVisible" in bench.events or bench.condition(ISSUING).reason == "RecordNotVisible"
    bench.dns.hidden = False
    await bench.run(300)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_nothing_is_looked_for_before_the_record_had_time_to_be_published(bench: Bench) -> None:
    """The first look of a resolver before that would make it remember for minutes that there is no record."""
    bench.dns.settling = dt.timedelta(seconds=30)
    looks: list[dt.datetime] = []
    check = bench.dns.check

    async def counted(records: object) -> object:
        looks.append(bench.now)
        return await check(records)  # type: ignore[arg-type]  # passed on

    bench.dns.check = counted  # type: ignore[method-assign,assignment]  # counts
    start = bench.now
    await bench.run(20)
    assert looks == []
    assert "waiting 30 s for them to be published (propagationWait)" in bench.condition(ISSUING).message
    bench.dns.hidden = False
    await bench.run(60)
    assert bench.condition().status == "True"
    assert looks == [start + dt.timedelta(seconds=30)]


async def test_caa_records_that_object_are_told_and_stop_nothing(bench: Bench) -> None:
    asked: list[tuple[object, object]] = []

    class Forecast:
        async def objections(self, _issuer: object, methods: object, labels: object) -> dict[str, str]:
            asked.append((methods, labels))
            return {f"{letter}.example.test": "let nobody issue" for letter in "abcde"}

    bench.dns.hidden = False
    tools = bench.reconciler._tools
    bench.reconciler._tools = dataclasses.replace(tools, caa=cast("CaaForecast", Forecast()))
    await bench.run(60)
    assert bench.condition().status == "True"
    assert asked == [({"a.example.test": "dns-01"}, {})]
    assert bench.events.count("CAAWarning") == 1
    assert bench.messages["CAAWarning"] == (
        "a.example.test: let nobody issue; b.example.test: let nobody issue; c.example.test: let nobody issue "
        "(2 more domains). The operator asks the CA anyway, but the CA will probably refuse. Add the record, or use "
        "an issuer whose CA "
        "the records name."
    )
