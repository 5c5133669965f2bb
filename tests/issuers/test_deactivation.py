"""An issuer whose account is to be deactivated when it is deleted."""

from __future__ import annotations

import datetime as dt

import pytest

from certwright.acme import AccountKey
from certwright.issuers.deactivation import DEACTIVATION_PATIENCE
from certwright.resources import ISSUER_FINALIZER
from certwright.runtime.key import Key
from certwright.runtime.result import Result
from certwright.text import rfc3339
from tests.fakes.issuers import CA, ORIGIN, SHARED, Bench
from tests.fakes.killing import Killed

OTHER = Key("Issuer", "shop", "other")
TENANT = Key("Issuer", "tenant", "mine")


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


def state_of(bench: Bench, url: str) -> str:
    return next(str(one["status"]) for one in bench.ca.accounts.values() if one["location"] == url)


def claim(bench: Bench) -> None:
    """Write the account of the issuer into the status of a tenant's."""
    body = bench.cluster.objects["issuers", "tenant", "mine"]
    bench.cluster.version += 1
    body["metadata"]["resourceVersion"] = str(bench.cluster.version)
    body["status"] = {**body.get("status", {}), "acme": bench.status()["acme"]}
    bench.watch(TENANT)


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


async def test_a_namespace_that_goes_with_its_secrets_first_has_its_account_closed_all_the_same(bench: Bench) -> None:
    """Kubernetes deletes the Secrets of a namespace while the issuer is still held."""
    del bench.cluster.secrets["shop", "account"]
    delete(bench)
    await bench.reconciler.reconcile(CA)
    assert state(bench) == "deactivated"
    assert not held(bench)


async def test_the_way_to_the_ca_may_have_gone_with_the_namespace_too(bench: Bench) -> None:
    bench.cluster.put_secret("shop", "proxy", {"username": b"user", "password": b"password"})
    bench.write(
        deactivateOnDelete=True,
        proxy={"url": "http://proxy.test:3128", "credentialsSecretRef": {"name": "proxy"}},
    )
    await bench.reconciler.reconcile(CA)
    bench.cluster.secrets.clear()
    delete(bench)
    await bench.reconciler.reconcile(CA)
    assert state(bench) == "deactivated"
    assert not held(bench)


async def test_a_key_that_was_being_rotated_is_not_taken_for_one_without_an_account(bench: Bench) -> None:
    def die() -> None:
        raise Killed

    bench.ca.after_key_change = die
    bench.write(deactivateOnDelete=True, accountKeyRotation={"request": "incident-7"})
    with pytest.raises(Killed):
        await bench.reconciler.reconcile(CA)
    bench.ca.after_key_change = lambda: None
    bench.restart()
    delete(bench)
    await bench.reconciler.reconcile(CA)
    assert state(bench) == "deactivated"


async def test_a_claim_in_the_status_of_another_issuer_does_not_keep_an_account_open(bench: Bench) -> None:
    """Whoever may write the status of an issuer of his own writes a ClusterIssuer's account into it."""
    bench.cluster.put_key("tenant", AccountKey.generate(), "mine")
    bench.write(TENANT, uid="u-2", privateKeySecretRef={"name": "mine"})
    await bench.reconciler.reconcile(TENANT)
    claim(bench)
    delete(bench)
    await bench.reconciler.reconcile(CA)
    assert state_of(bench, f"{ORIGIN}/account/1") == "deactivated"
    assert state_of(bench, f"{ORIGIN}/account/2") == "valid"


async def test_a_claim_of_an_issuer_that_was_not_looked_at_yet_is_looked_into(bench: Bench) -> None:
    """Right after a restart nothing but the status tells; what is closed cannot be opened again."""
    bench.cluster.put_key("tenant", AccountKey.generate(), "mine")
    bench.write(TENANT, uid="u-2", privateKeySecretRef={"name": "mine"})
    await bench.reconciler.reconcile(TENANT)
    claim(bench)
    delete(bench)
    bench.restart()
    for key in (CA, TENANT):
        bench.watch(key)
    result = await bench.reconciler.reconcile(CA)
    assert held(bench)
    assert result.after is not None
    await bench.reconciler.reconcile(TENANT)
    bench.now += result.after
    await bench.reconciler.reconcile(CA)
    assert not held(bench)
    assert state_of(bench, f"{ORIGIN}/account/1") == "deactivated"


async def test_an_issuer_whose_use_is_never_known_holds_no_deletion_for_ever(bench: Bench) -> None:
    bench.write(TENANT, uid="u-2", disableAccountKeyGeneration=True, privateKeySecretRef={"name": "missing"})
    claim(bench)
    delete(bench)
    began = bench.now
    while held(bench) and bench.now - began < dt.timedelta(hours=1):
        await bench.reconciler.reconcile(TENANT)
        result = await bench.reconciler.reconcile(CA)
        bench.now += result.after or dt.timedelta()
    assert bench.now - began <= DEACTIVATION_PATIENCE + dt.timedelta(minutes=1)
    assert "Issuer tenant/mine uses it too" in bench.events[-1][2]
    assert state(bench) == "valid"


async def test_an_issuer_with_the_same_key_is_noticed_whatever_its_status_says(bench: Bench) -> None:
    bench.write(OTHER, uid="u-2")
    await bench.reconciler.reconcile(OTHER)
    body = bench.cluster.objects["issuers", "shop", "other"]
    body["status"] = {}
    bench.watch(OTHER)
    delete(bench)
    await bench.reconciler.reconcile(CA)
    assert state(bench) == "valid"
    assert "Issuer shop/other uses it too" in bench.events[-1][2]


async def test_an_issuer_that_waits_for_its_ca_says_why_it_is_still_there(bench: Bench) -> None:
    bench.ca.unheard["/account/1"] = lambda: bench.ca.problem("serverInternal", 500)
    delete(bench)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "AccountNotDeactivated")
    [said] = [one["message"] for one in bench.status()["conditions"] if one["type"] == "Ready"]
    assert "the CA says serverInternal" in said
    assert rfc3339(bench.now + DEACTIVATION_PATIENCE) in said
    assert "deactivateOnDelete" in said
    bench.ca.requests.clear()
    for _ in range(40):
        await bench.reconciler.reconcile(CA)
    assert bench.ca.requests == [], "events, such as those of its own writes, use up no tries"
    assert held(bench)
    bench.cluster.objects["issuers", "shop", "ca"]["spec"]["acme"]["deactivateOnDelete"] = False
    bench.cluster.version += 1
    bench.cluster.objects["issuers", "shop", "ca"]["metadata"]["resourceVersion"] = str(bench.cluster.version)
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert not held(bench), "as the message says"
    assert state(bench) == "valid"


async def test_without_the_choice_an_issuer_is_not_held_and_its_account_stays() -> None:
    bench = Bench()
    bench.write(SHARED)
    await bench.reconciler.reconcile(SHARED)
    body = bench.cluster.objects["clusterissuers", None, "ca"]
    assert body["metadata"].get("finalizers", []) == []
