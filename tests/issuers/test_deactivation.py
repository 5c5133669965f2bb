"""An issuer whose account is to be deactivated when it is deleted."""

from __future__ import annotations

import datetime as dt

import pytest

from certwright.issuers.deactivation import DEACTIVATION_PATIENCE
from certwright.resources import ISSUER_FINALIZER
from certwright.runtime.key import Key
from certwright.runtime.result import Result
from certwright.text import rfc3339
from tests.fakes.issuers import CA, SHARED, Bench

OTHER = Key("Issuer", "shop", "other")


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    made.write(deactivateOnDelete=True)
    await made.reconciler.reconcile(CA)
    assert held(made)
    return made


def held(bench: Bench) -> bool:
    body = bench.cluster.objects.get(("issuers", "shop", "ca"))
    return body is not None and ISSUER_FINALIZER in body["metadata"].get("finalizers", ())


def delete(bench: Bench) -> None:
    body = bench.cluster.objects["issuers", "shop", "ca"]
    bench.cluster.version += 1
    body["metadata"] |= {
        "deletionTimestamp": rfc3339(bench.now),
        "resourceVersion": str(bench.cluster.version),
        "generation": body["metadata"]["generation"] + 1,
    }
    bench.watch()


def state(bench: Bench) -> str:
    [account] = bench.ca.accounts.values()
    return str(account["status"])


async def test_the_account_is_deactivated_and_the_issuer_let_go(bench: Bench) -> None:
    delete(bench)
    assert await bench.reconciler.reconcile(CA) == Result.ON_EVENT
    assert state(bench) == "deactivated"
    assert ("issuers", "shop", "ca") not in bench.cluster.objects
    assert bench.events[-1][:2] == ("Normal", "AccountDeactivated")


async def test_a_restart_before_it_makes_no_difference(bench: Bench) -> None:
    delete(bench)
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert state(bench) == "deactivated"
    assert not held(bench)


async def test_the_choice_can_be_taken_back(bench: Bench) -> None:
    bench.write()
    assert held(bench)
    await bench.reconciler.reconcile(CA)
    assert not held(bench)


async def test_an_account_that_another_issuer_uses_stays(bench: Bench) -> None:
    bench.write(OTHER, uid="u-2")
    await bench.reconciler.reconcile(OTHER)
    delete(bench)
    await bench.reconciler.reconcile(CA)
    assert state(bench) == "valid"
    assert not held(bench)
    assert "Issuer shop/other uses it too" in bench.events[-1][2]


async def test_an_issuer_is_held_for_ten_minutes_at_most_by_a_ca_that_is_down(bench: Bench) -> None:
    delete(bench)
    began = bench.now
    while held(bench) and bench.now - began < dt.timedelta(hours=1):
        bench.ca.refuse("serverInternal", 500)
        pause = (await bench.reconciler.reconcile(CA)).after
        bench.ca.refusals.clear()
        bench.now += pause or dt.timedelta(minutes=5)
    assert not held(bench)
    assert bench.now - began <= DEACTIVATION_PATIENCE + dt.timedelta(minutes=6)
    assert bench.events[-1][:2] == ("Warning", "AccountNotDeactivated")
    assert state(bench) == "valid"


async def test_a_key_that_went_with_its_namespace_makes_no_new_one(bench: Bench) -> None:
    del bench.cluster.secrets["shop", "account"]
    delete(bench)
    bench.now += DEACTIVATION_PATIENCE
    await bench.reconciler.reconcile(CA)
    assert not held(bench)
    assert ("shop", "account") not in bench.cluster.secrets
    assert len(bench.ca.accounts) == 1


async def test_without_the_choice_an_issuer_is_not_held_and_its_account_stays() -> None:
    bench = Bench()
    bench.write(SHARED)
    await bench.reconciler.reconcile(SHARED)
    body = bench.cluster.objects["clusterissuers", None, "ca"]
    assert body["metadata"].get("finalizers", []) == []
