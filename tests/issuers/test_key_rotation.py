"""An account key is replaced, by request or by age, and a kill at any write loses neither key nor account."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from certwright.acme import AccountKey
from certwright.acme.server import MAX_RECONNECTS
from certwright.issuers.account_key import CREATED_ANNOTATION, FORMER, REQUEST_ANNOTATION, UPCOMING
from certwright.issuers.key_rotation import FORMER_KEPT, PATIENCE, RETRY, WAIT
from certwright.issuers.upkeep import DIRECTORY_INTERVAL
from certwright.kube.errors import Conflict, Forbidden, Unavailable
from certwright.runtime.key import Key
from certwright.text import rfc3339
from tests.fakes.issuers import CA, NOW, ORIGIN, SETTLED, SHARED, Bench
from tests.fakes.killing import Killed

if TYPE_CHECKING:
    from certwright.issuers.registry import ReadyIssuer

ENTRY = "tls.key"
ROTATE: dict[str, Any] = {"accountKeyRotation": {"request": "incident-7"}}
LEAKED = Key("Issuer", "shop", "other")


@pytest.fixture
async def bench() -> Bench:
    """An issuer with an account, whose key nobody has asked to replace yet."""
    made = Bench()
    made.write()
    await made.reconciler.reconcile(CA)
    return made


def key_in(bench: Bench, entry: str = ENTRY, place: tuple[str, str] = ("shop", "account")) -> AccountKey | None:
    content = bench.cluster.entry(*place, entry)
    return None if content is None else AccountKey.from_pem(content)


def account_key(bench: Bench) -> AccountKey:
    key = key_in(bench)
    assert key is not None
    return key


def ready_issuer(bench: Bench, key: Key = CA) -> ReadyIssuer:
    issuer = bench.registry.ready(key)
    assert issuer is not None
    return issuer


def condition(bench: Bench, kind: str) -> dict[str, Any] | None:
    return next((one for one in bench.status()["conditions"] if one["type"] == kind), None)


def notes_of(bench: Bench) -> dict[str, str]:
    found: dict[str, str] = bench.cluster.secrets["shop", "account"]["metadata"]["annotations"]
    return found


def assert_rotated(bench: Bench, before: AccountKey) -> None:
    """The CA, the Secret, the status and the process agree on a new key for the same account."""
    after = account_key(bench)
    assert after.thumbprint != before.thumbprint
    assert bench.ca.knows(after) == f"{ORIGIN}/account/1"
    assert bench.ca.knows(before) is None
    assert len(bench.ca.accounts) == 1
    assert key_in(bench, ENTRY + UPCOMING) is None
    assert bench.ready() == ("True", "AccountRegistered")
    assert bench.status()["acme"]["uri"] == ready_issuer(bench).account_url == f"{ORIGIN}/account/1"
    assert bench.status()["acme"]["keyThumbprint"] == ready_issuer(bench).client.key.thumbprint == after.thumbprint
    assert bench.status()["acme"]["keyRotation"]["formerThumbprint"] == before.thumbprint


async def test_a_request_replaces_the_key_once(bench: Bench) -> None:
    before = account_key(bench)
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)
    assert notes_of(bench) == {CREATED_ANNOTATION: rfc3339(NOW), REQUEST_ANNOTATION: "incident-7"}
    assert ("Normal", "AccountKeyRotated") in [event[:2] for event in bench.events]
    rotated = account_key(bench)
    for _ in range(2):
        bench.write(email="ops@example.test", **ROTATE)
        await bench.reconciler.reconcile(CA)
        bench.restart()
        bench.watch()
        await bench.reconciler.reconcile(CA)
    assert account_key(bench) == rotated, "the request stays in the spec, as GitOps has it"
    bench.write(accountKeyRotation={"request": "incident-8"})
    await bench.reconciler.reconcile(CA)
    assert account_key(bench) != rotated


async def test_the_next_key_is_in_the_secret_before_the_ca_hears_of_it(bench: Bench) -> None:
    before, seen = account_key(bench), []
    bench.ca.after_key_change = lambda: seen.append((key_in(bench), key_in(bench, ENTRY + UPCOMING)))
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    [(present, upcoming)] = seen
    assert present == before
    assert upcoming == account_key(bench)


async def test_a_key_that_is_made_now_needs_no_rotation() -> None:
    bench = Bench()
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    first = account_key(bench)
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert account_key(bench) == first
    assert bench.ca.asked("/keyChange") == []


async def test_a_key_is_replaced_when_it_is_old_enough(bench: Bench) -> None:
    before = account_key(bench)
    bench.write(accountKeyRotation={"interval": "48h"})
    await bench.reconciler.reconcile(CA)
    bench.now = NOW + dt.timedelta(hours=47, minutes=30)
    assert (await bench.reconciler.reconcile(CA)).after == dt.timedelta(minutes=30), "the age is the first to be due"
    assert account_key(bench) == before
    bench.now = NOW + dt.timedelta(hours=48)
    await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)
    bench.restart()
    bench.watch()
    bench.now += dt.timedelta(hours=47)
    await bench.reconciler.reconcile(CA)
    assert len(bench.ca.accounts) == 1
    assert bench.ca.asked("/keyChange") == [], "its age counts from the rotation, after a restart too"


async def test_a_kill_at_any_write_of_a_rotation_loses_neither_key_nor_account() -> None:
    places = 0
    while await killed_at(places):
        places += 1
    assert places > 4, "the next key, the CA, the new key, the status: each was a place to die"


async def killed_at(place: int) -> bool:
    """Rotate a key with a kill at one place; return whether there was such a place."""
    bench = Bench()
    bench.write()
    await bench.reconciler.reconcile(CA)
    before, writes = account_key(bench), 0

    def count() -> None:
        nonlocal writes
        writes += 1
        if writes == place:
            raise Killed

    bench.cluster.after_write = bench.ca.after_key_change = count
    bench.write(**ROTATE)
    try:
        await bench.reconciler.reconcile(CA)
    except Killed:
        bench.restart()
        bench.watch()
        await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)
    assert notes_of(bench)[REQUEST_ANNOTATION] == "incident-7"
    return place <= writes


async def test_a_kill_during_a_rotation_and_then_no_more_rotation_in_the_spec(bench: Bench) -> None:
    before = account_key(bench)

    def die() -> None:
        raise Killed

    bench.cluster.after_write = die
    bench.write(**ROTATE)
    with pytest.raises(Killed):
        await bench.reconciler.reconcile(CA)
    assert key_in(bench, ENTRY + UPCOMING) is not None
    bench.cluster.after_write = lambda: None
    bench.restart()
    bench.write()
    assert (await bench.reconciler.reconcile(CA)).after == RETRY
    assert key_in(bench, ENTRY + UPCOMING) is not None, "a request with it may be on its way"
    bench.now += RETRY
    await bench.reconciler.reconcile(CA)
    assert account_key(bench) == before
    assert key_in(bench, ENTRY + UPCOMING) is None, "the CA never knew it"
    assert notes_of(bench) == {}
    assert bench.ready() == ("True", "AccountRegistered")


async def test_a_lost_answer_is_settled_by_asking_the_ca(bench: Bench) -> None:
    before = account_key(bench)
    bench.ca.lost_answers["/keyChange"] = 1
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)


async def test_a_ca_that_is_gone_after_the_request_leaves_both_keys_until_it_tells(bench: Bench) -> None:
    before = account_key(bench)
    bench.ca.lost_answers.update({"/keyChange": 1, "/account/1": 1 + MAX_RECONNECTS})
    bench.write(**ROTATE)
    pause = (await bench.reconciler.reconcile(CA)).seconds
    assert bench.ready()[0] == "False"
    assert (key_in(bench), key_in(bench, ENTRY + UPCOMING) is not None) == (before, True)
    assert pause is not None
    bench.now += dt.timedelta(seconds=pause)
    await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)


async def test_a_refusal_of_the_ca_leaves_the_old_key_in_use_and_is_told(bench: Bench) -> None:
    before = account_key(bench)
    bench.ca.refuse("serverInternal", 500)
    bench.write(**ROTATE)
    assert (await bench.reconciler.reconcile(CA)).after == RETRY
    assert account_key(bench) == ready_issuer(bench).client.key == before
    assert bench.ready() == ("True", "AccountRegistered"), "certificates are issued all the same"
    shown = condition(bench, "AccountKeyRotated")
    assert shown is not None
    assert (shown["status"], shown["reason"]) == ("False", "KeyRotationFailed")
    assert "the CA says serverInternal" in shown["message"]
    assert ("Warning", "KeyRotationFailed") in [event[:2] for event in bench.events]
    bench.now += RETRY
    await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)
    assert condition(bench, "AccountKeyRotated") is None


async def test_a_ca_without_key_rollover_costs_no_key_and_no_write(bench: Bench) -> None:
    before = account_key(bench)
    bench.ca.without.add("keyChange")
    bench.now += DIRECTORY_INTERVAL
    bench.write(**ROTATE)
    writes = bench.cluster.secrets["shop", "account"]["metadata"]["resourceVersion"]
    for _ in range(3):
        assert (await bench.reconciler.reconcile(CA)).after == RETRY
        bench.now += RETRY
    assert (account_key(bench), ready_issuer(bench).client.key) == (before, before)
    assert bench.cluster.secrets["shop", "account"]["metadata"]["resourceVersion"] == writes
    shown = condition(bench, "AccountKeyRotated")
    assert shown is not None
    assert "does not offer key rollover" in shown["message"]


async def test_a_key_that_the_ca_has_for_this_account_already_is_a_success(bench: Bench) -> None:
    """An earlier request was carried out; the CA refuses the repetition with 409 and the URL of the account."""
    before = account_key(bench)
    bench.ca.refuse("malformed", 409, Location=f"{ORIGIN}/account/1")

    def carried_out() -> None:
        upcoming = key_in(bench, ENTRY + UPCOMING)
        if upcoming is not None:
            [account] = bench.ca.accounts.values()
            bench.ca.accounts.clear()
            bench.ca.add_account(upcoming)
            bench.ca.accounts = dict.fromkeys(bench.ca.accounts, account)

    bench.cluster.after_write = carried_out
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)


async def test_a_key_that_another_account_has_is_given_up_for_a_new_one(bench: Bench) -> None:
    before = account_key(bench)
    bench.ca.refuse("malformed", 409, Location=f"{ORIGIN}/account/99")
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert account_key(bench) == before
    assert key_in(bench, ENTRY + UPCOMING) is None
    bench.now += RETRY
    await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)


@pytest.mark.parametrize("error", [Conflict("change", status=409), Forbidden("change", status=403)])
async def test_a_secret_that_cannot_be_written_keeps_the_ca_from_being_asked(bench: Bench, error: Exception) -> None:
    before = account_key(bench)

    def refuse() -> None:
        raise error

    bench.cluster.before_change = refuse
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert bench.ca.asked("/keyChange") == []
    assert ready_issuer(bench).client.key == before
    shown = condition(bench, "AccountKeyRotated")
    assert shown is not None
    assert shown["reason"] == "KeyRotationFailed"


async def test_a_new_key_that_cannot_be_written_at_once_is_written_later(bench: Bench) -> None:
    before = account_key(bench)

    def unavailable() -> None:
        if key_in(bench, ENTRY + UPCOMING) is not None:
            raise Unavailable("change Secret", status=503)

    bench.cluster.before_change = unavailable
    bench.write(**ROTATE)
    pause = (await bench.reconciler.reconcile(CA)).seconds
    assert bench.registry.ready(CA) is None, "the old key is of no use, and the new one is not stored as the account's"
    assert pause is not None
    bench.now += dt.timedelta(seconds=pause)
    bench.cluster.before_change = None
    await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)


@pytest.mark.parametrize("deleted", [False, True], ids=["changed", "deleted"])
async def test_a_confirmed_key_is_written_whatever_became_of_the_secret(bench: Bench, *, deleted: bool) -> None:
    before = account_key(bench)

    def meddle() -> None:
        if deleted:
            del bench.cluster.secrets["shop", "account"]
        else:
            bench.cluster.put_key("shop", before)

    bench.ca.after_key_change = meddle
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert bench.ca.knows(account_key(bench)) == f"{ORIGIN}/account/1"
    assert bench.ready() == ("True", "AccountRegistered")


@pytest.mark.parametrize("kind", ["provided", "owned", "immutable"])
async def test_a_key_that_something_else_manages_is_not_rotated_unless_that_is_allowed(kind: str) -> None:
    bench = Bench()
    key = AccountKey.generate()
    bench.ca.add_account(key)
    bench.cluster.put_key("shop", key)
    secret = bench.cluster.secrets["shop", "account"]
    if kind != "provided":
        secret["metadata"]["labels"] = {"certwright.io/component": "account-key"}
    if kind == "owned":
        secret["metadata"]["ownerReferences"] = [{"kind": "ExternalSecret", "name": "account"}]
    secret["immutable"] = kind == "immutable"
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert account_key(bench) == key
    assert bench.ready() == ("True", "AccountRegistered")
    shown = condition(bench, "AccountKeyRotated")
    assert shown is not None
    assert shown["reason"] == "KeyRotationRefused"
    assert bench.ca.asked("/keyChange") == []
    bench.write(accountKeyRotation={"request": "incident-7", "replaceProvidedKey": True})
    await bench.reconciler.reconcile(CA)
    assert (account_key(bench) != key) is (kind != "immutable")


async def test_a_key_that_another_ca_knows_too_is_not_rotated(bench: Bench) -> None:
    bench.ca.directories.add("https://elsewhere.test/directory")
    bench.write(LEAKED, uid="u-2", server="https://elsewhere.test/directory")
    before = account_key(bench)
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert account_key(bench) == before
    shown = condition(bench, "AccountKeyRotated")
    assert shown is not None
    assert "Issuer shop/other uses Secret shop/account" in shown["message"]


async def test_another_issuer_with_the_same_secret_takes_up_the_new_key(bench: Bench) -> None:
    before = account_key(bench)
    bench.write(LEAKED, uid="u-2")
    await bench.reconciler.reconcile(LEAKED)
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert bench.looked_again == [LEAKED]
    assert bench.registry.ready(LEAKED) is None, "it must not send what the CA refuses"
    assert await bench.reconciler.reconcile(LEAKED) == SETTLED
    assert ready_issuer(bench, LEAKED).client.key == account_key(bench)
    assert ready_issuer(bench, LEAKED).account_url == f"{ORIGIN}/account/1"
    assert ready_issuer(bench, LEAKED).limits is ready_issuer(bench).limits, "nor does a rotation lift any limit"
    assert_rotated(bench, before)


async def test_another_issuer_with_a_copy_of_the_key_registers_no_account_with_it(bench: Bench) -> None:
    before = account_key(bench)
    bench.cluster.put_key("tools", before)
    bench.write(SHARED, uid="u-2")
    await bench.reconciler.reconcile(SHARED)
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert bench.looked_again == [SHARED]
    for _ in range(2):
        await bench.reconciler.reconcile(SHARED)
        assert bench.ready(SHARED) == ("False", "AccountKeyReplaced")
        assert len(bench.ca.accounts) == 1
        bench.restart()
        bench.watch(SHARED)
        bench.watch(CA)
    bench.cluster.put_key("tools", account_key(bench))
    bench.now += dt.timedelta(hours=1)
    await bench.reconciler.reconcile(SHARED)
    assert bench.ready(SHARED) == ("True", "AccountRegistered")


async def test_a_replaced_key_that_something_writes_back_is_never_used_again(bench: Bench) -> None:
    before = account_key(bench)
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    bench.cluster.put_key("shop", before)
    for restart in (False, True):
        bench.now += dt.timedelta(hours=1)
        if restart:
            bench.restart()
            bench.watch()
        await bench.reconciler.reconcile(CA)
        assert bench.ready() == ("False", "AccountKeyReplaced")
        assert len(bench.ca.accounts) == 1
        assert bench.ca.knows(before) is None


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_rotation_waits_for_orders_that_are_being_validated_but_not_for_ever(
    bench: Bench, *, restarts: bool
) -> None:
    before = account_key(bench)
    bench.validating.add(CA)
    bench.write(**ROTATE)
    assert (await bench.reconciler.reconcile(CA)).after == WAIT
    assert bench.ready() == ("True", "AccountRegistered")
    until = rfc3339(bench.now + PATIENCE)
    for waits in (True, True, False):
        bench.now += WAIT if not waits else (PATIENCE - WAIT) / 2
        if restarts:
            bench.restart()
            bench.watch()
        await bench.reconciler.reconcile(CA)
        if waits:
            assert account_key(bench) == before
            said = condition(bench, "AccountKeyRotated")
            assert said is not None
            assert (said["status"], said["reason"]) == ("False", "KeyRotationWaiting")
            assert until in said["message"]
    assert_rotated(bench, before)
    assert [event[:2] for event in bench.events].count(("Normal", "KeyRotationWaiting")) == 1


async def test_a_rotation_that_waits_comes_as_soon_as_the_orders_are_done(bench: Bench) -> None:
    before = account_key(bench)
    bench.validating.add(CA)
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    bench.validating.clear()
    bench.now += WAIT
    await bench.reconciler.reconcile(CA)
    assert_rotated(bench, before)
    assert condition(bench, "AccountKeyRotated") is None


async def test_orders_before_a_rotation_was_due_do_not_shorten_its_wait(bench: Bench) -> None:
    before = account_key(bench)
    bench.validating.add(CA)
    await bench.reconciler.reconcile(CA)
    bench.now += PATIENCE
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert account_key(bench) == before


async def test_the_former_key_is_kept_for_as_long_as_it_may_have_sealed_an_order(bench: Bench) -> None:
    before = account_key(bench)
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert key_in(bench, ENTRY + FORMER) == ready_issuer(bench).former_key == before
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert ready_issuer(bench).loaded.seal_keys == (account_key(bench), before)
    bench.now += FORMER_KEPT + dt.timedelta(minutes=1)
    await bench.reconciler.reconcile(CA)
    assert key_in(bench, ENTRY + FORMER) is None
    assert ready_issuer(bench).former_key is None
    assert bench.status()["acme"]["keyRotation"]["formerThumbprint"] == before.thumbprint, "it is never used again"


async def test_no_key_is_in_a_status_an_event_or_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    assert "PRIVATE" not in str(bench.status()) + str(bench.events) + caplog.text + repr(ready_issuer(bench))


async def test_a_large_rsa_key_is_followed_by_one_of_its_size() -> None:
    bench = Bench()
    large: dict[str, Any] = {"accountKeyAlgorithm": "RS256", "accountKeySize": 3072}
    bench.write(**large)
    await bench.reconciler.reconcile(CA)
    bench.write(**large, **ROTATE)
    await bench.reconciler.reconcile(CA)
    public = serialization.load_pem_private_key(account_key(bench).to_pem(), None).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 3072


async def test_a_time_of_the_last_rotation_at_the_end_of_the_calendar_stops_nothing(bench: Bench) -> None:
    bench.write(**ROTATE)
    await bench.reconciler.reconcile(CA)
    notes_of(bench)[CREATED_ANNOTATION] = "9999-12-31T23:59:59Z"
    bench.restart()
    bench.watch()
    result = await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")
    assert result.after is not None
    assert result.after <= FORMER_KEPT
