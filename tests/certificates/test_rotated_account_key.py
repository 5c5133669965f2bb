"""Orders that are open while the account key is replaced: they go on, in this process and in the next one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from certwright import acme

from .bench import CA, WEB, Bench

if TYPE_CHECKING:
    import datetime as dt

    from tests.fakes.operator import Build, FakeKubeApi


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    return Bench(build, kube_api, now)


def rotate(bench: Bench) -> None:
    """The issuer has a new key, and tells its Certificates."""
    former, bench.ca.key = bench.ca.key, acme.AccountKey.generate()
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    bench.registry.set_ready(replace(issuer, former_key=former))
    bench.reconciler.issuer_changed(WEB)


async def presented(bench: Bench) -> str:
    """Have an order whose record is in the DNS and not seen yet; return its value."""
    bench.dns.hidden = True
    bench.write()
    await bench.run(60)
    [record] = bench.dns.records
    return record.value


@pytest.mark.parametrize("restart", [False, True], ids=["this process", "the next process"])
async def test_a_record_of_the_former_key_gives_way_to_one_of_the_new_key_in_the_same_order(
    bench: Bench, *, restart: bool
) -> None:
    before = await presented(bench)
    rotate(bench)
    if restart:
        bench.restart()
    await bench.run(400)
    [record] = bench.dns.records
    assert record.value != before
    assert record.value.endswith(bench.ca.key.thumbprint[:8])
    bench.dns.hidden = False
    await bench.run()
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1
    assert bench.status.failed_attempts == 0
    assert "OrderNotOurs" not in bench.events
    assert (bench.dns.records, bench.finalizers) == (set(), [])


async def test_a_restart_between_the_removal_and_the_new_record_costs_no_order(bench: Bench) -> None:
    await presented(bench)
    rotate(bench)
    bench.dns.broken = {"present"}
    await bench.run(60)
    bench.restart()
    bench.dns.broken = set()
    bench.dns.hidden = False
    await bench.run()
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1
    assert (bench.dns.records, bench.finalizers) == (set(), [])


@pytest.mark.parametrize("restart", [False, True])
async def test_a_challenge_that_is_answered_keeps_its_record(bench: Bench, *, restart: bool) -> None:
    bench.ca.undecided = True
    bench.write()
    await bench.run(60)
    [record] = bench.dns.records
    rotate(bench)
    if restart:
        bench.restart()
    await bench.run(60)
    assert bench.dns.records == {record}, "the CA has begun to look for it"
    bench.ca.undecided = False
    for url, order in bench.ca.orders.items():
        bench.ca.orders[url] = replace(order, status=acme.OrderStatus.READY)
    await bench.run()
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_without_the_former_key_an_order_of_an_earlier_process_is_not_continued(bench: Bench) -> None:
    await presented(bench)
    bench.ca.key = acme.AccountKey.generate()
    bench.restart()
    bench.dns.hidden = False
    await bench.run()
    assert "OrderNotOurs" in bench.events
    assert bench.condition().status == "True"
