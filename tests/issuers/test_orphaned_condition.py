"""The condition of an issuer that says which records of its orders are left in the DNS."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.issuers import CA, Bench

LEFT = "Left behind in the DNS, and not removed yet: _acme-challenge.a.example TXT x."


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    bench.write()
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")
    return bench


def condition(bench: Bench) -> dict[str, Any] | None:
    return next((one for one in bench.status()["conditions"] if one["type"] == "OrphanedRecords"), None)


async def test_it_is_there_while_records_are_left_and_the_issuer_stays_ready(bench: Bench) -> None:
    bench.orphaned[CA] = LEFT
    await bench.reconciler.reconcile(CA)
    shown = condition(bench)
    assert shown is not None
    assert (shown["status"], shown["reason"], shown["message"]) == ("True", "OrphanedRecordFound", LEFT)
    assert bench.ready() == ("True", "AccountRegistered")
    bench.orphaned[CA] = ""
    await bench.reconciler.reconcile(CA)
    assert condition(bench) is None


async def test_after_a_restart_it_stays_until_the_list_was_looked_at(bench: Bench) -> None:
    bench.orphaned[CA] = LEFT
    await bench.reconciler.reconcile(CA)
    bench.orphaned.clear()
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    await bench.reconciler.reconcile(CA)
    assert condition(bench) is not None
    bench.orphaned[CA] = ""
    await bench.reconciler.reconcile(CA)
    assert condition(bench) is None


async def test_an_issuer_without_such_records_never_has_it_and_nothing_is_written(bench: Bench) -> None:
    before = bench.cluster.version
    bench.orphaned[CA] = ""
    await bench.reconciler.reconcile(CA)
    assert condition(bench) is None
    assert bench.cluster.version == before
