"""Issuers that share the Secret of an account key, or the account: a rotation by one loses nothing of the other's."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.acme import AccountKey
from certwright.issuers.account_key import (
    DISPLACED,
    FORMER,
    FORMER_REQUESTS_ANNOTATION,
    MAX_FORMER_REQUESTS,
    REQUEST_ANNOTATION,
    UPCOMING,
)
from certwright.issuers.key_rotation import RETRY
from certwright.issuers.upkeep import KEY_INTERVAL
from certwright.runtime.key import Key
from tests.fakes.issuers import CA, ORIGIN, Bench
from tests.fakes.killing import Killed

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRY: Final = "tls.key"
ACCOUNT: Final = f"{ORIGIN}/account/1"
OTHER: Final = Key("Issuer", "shop", "other")


def rotation(request: str) -> dict[str, Any]:
    return {"accountKeyRotation": {"request": request}}


@pytest.fixture
async def bench() -> Bench:
    """Two issuers with one Secret, both ready."""
    made = Bench()
    for key in (CA, OTHER):
        made.write(key, uid=f"u-{key.name}")
        await made.reconciler.reconcile(key)
    assert len(made.ca.accounts) == 1
    return made


def key_in(bench: Bench, entry: str = ENTRY) -> AccountKey | None:
    content = bench.cluster.entry("shop", "account", entry)
    return None if content is None else AccountKey.from_pem(content)


def reason(bench: Bench, key: Key, kind: str) -> str | None:
    return next((one["reason"] for one in bench.status(key)["conditions"] if one["type"] == kind), None)


async def settle(bench: Bench, keys: Sequence[Key] = (CA, OTHER), *, looks: int = 12) -> None:
    """Look at each issuer as the queue would, until none asks for a look at once."""
    waiting = list(keys)
    for _ in range(looks):
        if not waiting:
            return
        bench.looked_again.clear()
        key = waiting.pop(0)
        result = await bench.reconciler.reconcile(key)
        if result.seconds == 0:
            waiting.append(key)
        waiting += [one for one in bench.looked_again if one not in waiting]
    pytest.fail(f"{len(bench.ca.asked('/keyChange'))} changes of the key, and no end")


def assert_one_account(bench: Bench) -> None:
    """The CA, the Secret and both issuers agree on one account and its key."""
    present = key_in(bench)
    assert present is not None
    assert bench.ca.knows(present) == ACCOUNT
    assert len(bench.ca.accounts) == 1
    assert key_in(bench, ENTRY + UPCOMING) is None
    for key in (CA, OTHER):
        assert bench.ready(key) == ("True", "AccountRegistered")
        ready = bench.registry.ready(key)
        assert ready is not None
        assert (ready.client.key, ready.account_url) == (present, ACCOUNT)


async def test_one_request_of_both_at_the_same_moment_replaces_the_key_once(bench: Bench) -> None:
    for key in (CA, OTHER):
        bench.write(key, uid=f"u-{key.name}", **rotation("incident-7"))
    bench.ca.requests.clear()
    await asyncio.gather(*(bench.reconciler.reconcile(key) for key in (CA, OTHER)))
    await settle(bench)
    assert_one_account(bench)
    assert len(bench.ca.asked("/keyChange")) == 1


async def test_two_requests_replace_the_key_twice_and_no_more(bench: Bench) -> None:
    """Each would see the other's request as one that is not carried out, for ever."""
    bench.ca.requests.clear()
    for key, request in ((CA, "incident-7"), (OTHER, "incident-8")):
        bench.write(key, uid=f"u-{key.name}", **rotation(request))
    await settle(bench)
    assert_one_account(bench)
    assert len(bench.ca.asked("/keyChange")) == 2
    for _ in range(3):
        bench.restart()
        for key in (CA, OTHER):
            bench.watch(key)
        await settle(bench)
    assert bench.ca.asked("/keyChange") == [], "nor after a restart"
    assert_one_account(bench)


async def test_more_requests_than_are_remembered_replace_the_key_once_a_day(bench: Bench) -> None:
    keys = [Key("Issuer", "shop", f"ca-{number}") for number in range(MAX_FORMER_REQUESTS + 3)]
    for key in keys:
        bench.write(key, uid=f"u-{key.name}", **rotation(f"of-{key.name}"))
    bench.ca.requests.clear()
    await settle(bench, keys, looks=2000)
    at_once = len(bench.ca.asked("/keyChange"))
    assert at_once <= len(keys)
    for _ in range(4):
        bench.now += dt.timedelta(hours=12)
        await settle(bench, keys, looks=2000)
    assert len(bench.ca.asked("/keyChange")) <= at_once + 3
    assert len(bench.ca.accounts) == 1


async def test_a_request_of_before_is_carried_out_again_when_its_owner_sets_it_again(bench: Bench) -> None:
    """Better once too often than a leaked key that is believed to be replaced."""
    bench.write(OTHER, uid="u-other", **rotation("of-another"))
    await settle(bench)
    bench.ca.requests.clear()
    for request in ("a", "b", "a"):
        bench.write(uid="u-ca", **rotation(request))
        await settle(bench)
    assert len(bench.ca.asked("/keyChange")) == 3
    assert_one_account(bench)


async def test_the_next_key_of_a_rotation_under_way_is_not_taken_away_by_another_issuer(bench: Bench) -> None:
    """The CA is about to take the key; a kill then would leave an account of which nobody has the key."""
    bench.write(uid="u-ca", **rotation("incident-7"))
    bench.ca.gate = asyncio.Event()
    arrived = asyncio.Event()
    plain = bench.ca.request

    async def request(method: str, url: str, **rest: Any) -> Any:
        if url.endswith("/keyChange"):
            arrived.set()
            await asyncio.Event().wait()
        return await plain(method, url, **rest)

    bench.ca.gate = None
    bench.ca.request = request  # type: ignore[method-assign]  # one request is on its way for ever
    rotating = asyncio.ensure_future(bench.reconciler.reconcile(CA))
    await arrived.wait()
    upcoming = key_in(bench, ENTRY + UPCOMING)
    assert upcoming is not None
    bench.now += KEY_INTERVAL
    looking = asyncio.ensure_future(bench.reconciler.reconcile(OTHER))
    await asyncio.wait({looking}, timeout=0.3)
    assert key_in(bench, ENTRY + UPCOMING) == upcoming
    for task in (rotating, looking):
        task.cancel()
    await asyncio.gather(rotating, looking, return_exceptions=True)


async def test_the_next_key_of_a_rotation_that_was_killed_is_not_taken_away_by_another_issuer(bench: Bench) -> None:
    """The request is still on its way to the CA when the next process begins with the other issuer."""

    def die() -> None:
        raise Killed

    bench.cluster.after_write = die
    bench.write(uid="u-ca", **rotation("incident-7"))
    with pytest.raises(Killed):
        await bench.reconciler.reconcile(CA)
    bench.cluster.after_write = lambda: None
    upcoming = key_in(bench, ENTRY + UPCOMING)
    assert upcoming is not None
    bench.restart()
    for key in (CA, OTHER):
        bench.watch(key)
    await bench.reconciler.reconcile(OTHER)
    assert key_in(bench, ENTRY + UPCOMING) == upcoming
    [account] = bench.ca.accounts.values()
    bench.ca.accounts.clear()
    bench.ca.add_account(upcoming)
    bench.ca.accounts = dict.fromkeys(bench.ca.accounts, account)
    await settle(bench)
    assert key_in(bench) == upcoming
    bench.now += KEY_INTERVAL
    await settle(bench)
    assert_one_account(bench)


@pytest.mark.parametrize("first", [CA, OTHER])
async def test_a_kill_anywhere_is_finished_by_whoever_is_looked_at_first(first: Key) -> None:
    places = 0
    while await killed_at(places, first):
        places += 1
    assert places > 10


async def killed_at(place: int, first: Key) -> bool:
    """Rotate the shared key, with a kill before one of the writes or after one of the CA's answers."""
    bench = Bench()
    for key in (CA, OTHER):
        bench.write(key, uid=f"u-{key.name}")
        await bench.reconciler.reconcile(key)
    before, steps = key_in(bench), 0

    def count() -> None:
        nonlocal steps
        steps += 1
        if steps == place:
            raise Killed

    plain = bench.ca.request

    async def request(method: str, url: str, **rest: Any) -> Any:
        count()
        answer = await plain(method, url, **rest)
        count()
        return answer

    bench.ca.request = request  # type: ignore[method-assign]
    bench.cluster.before_change = bench.cluster.after_write = count
    for key in (CA, OTHER):
        bench.write(key, uid=f"u-{key.name}", **rotation("incident-7"))
    try:
        for key in (first, CA, OTHER, CA, OTHER):
            await bench.reconciler.reconcile(key)
    except Killed:
        bench.restart()
        for key in (CA, OTHER):
            bench.watch(key)
        for key in (first, CA, OTHER, CA, OTHER):
            await bench.reconciler.reconcile(key)
    assert key_in(bench) != before
    assert key_in(bench, ENTRY + FORMER) == before
    assert_one_account(bench)
    return place <= steps


async def test_two_keys_in_one_secret_are_not_rotated_under_one_note(bench: Bench) -> None:
    """The Secret says once which request was carried out, and when: for the second key it would be wrong."""
    second = AccountKey.generate()
    first = key_in(bench)
    assert first is not None
    bench.cluster.put_secret("shop", "account", {ENTRY: first.to_pem(), "second.key": second.to_pem()})
    wanted: dict[str, Any] = {"accountKeyRotation": {"request": "incident-7", "replaceProvidedKey": True}}
    bench.write(uid="u-ca", **wanted)
    bench.write(OTHER, uid="u-other", privateKeySecretRef={"name": "account", "key": "second.key"}, **wanted)
    await settle(bench)
    for key in (CA, OTHER):
        assert bench.ready(key) == ("True", "AccountRegistered")
        assert reason(bench, key, "AccountKeyRotated") == "KeyRotationRefused"
    message = next(one["message"] for one in bench.status()["conditions"] if one["type"] == "AccountKeyRotated")
    assert "Issuer shop/other has its account key in the entry second.key of Secret shop/account" in message
    bench.cluster.put_key("shop", second, "second")
    bench.write(OTHER, uid="u-other", privateKeySecretRef={"name": "second"}, **wanted)
    bench.now += RETRY
    await settle(bench)
    for key in (CA, OTHER):
        assert reason(bench, key, "AccountKeyRotated") is None
    assert bench.ca.knows(first) is None
    assert bench.ca.knows(second) is None
    assert len(bench.ca.accounts) == 2


async def test_an_issuer_that_goes_on_with_the_old_key_says_what_became_of_it(bench: Bench) -> None:
    """The other is at work, and has not looked at the Secret yet, when the CA refuses its old key."""
    bench.write(uid="u-ca", **rotation("incident-7"))
    await bench.reconciler.reconcile(CA)
    bench.reconciler.account_refused(OTHER, "refused")
    await bench.reconciler.reconcile(OTHER)
    assert_one_account(bench)
    bench.now += dt.timedelta(days=9)
    await settle(bench)
    assert key_in(bench, ENTRY + FORMER) is None
    assert_one_account(bench)


async def test_a_key_that_a_person_puts_there_in_the_middle_is_kept(bench: Bench) -> None:
    """It may be the only copy of an imported account's."""
    imported = AccountKey.generate()

    def meddle() -> None:
        bench.cluster.put_key("shop", imported)
        bench.ca.after_key_change = lambda: None

    bench.ca.after_key_change = meddle
    bench.write(uid="u-ca", **rotation("incident-7"))
    await bench.reconciler.reconcile(CA)
    present = key_in(bench)
    assert present is not None
    assert bench.ca.knows(present) == ACCOUNT, "the account is not lost"
    assert key_in(bench, ENTRY + DISPLACED) == imported
    said = next(message for _, reason, message in bench.events if reason == "AccountKeyRotated")
    assert "tls.key.displaced" in said


@pytest.mark.parametrize("answered", [False, True], ids=["before the CA", "after the CA"])
async def test_a_new_leader_and_the_last_ones_late_request_agree_on_one_key(*, answered: bool) -> None:
    old = Bench()
    old.write()
    await old.reconciler.reconcile(CA)
    plain, gate, arrived = old.ca.request, asyncio.Event(), asyncio.Event()

    async def late(method: str, url: str, **rest: Any) -> Any:
        if not url.endswith("/keyChange") or arrived.is_set():
            return await plain(method, url, **rest)
        arrived.set()
        answer = await plain(method, url, **rest) if answered else None
        await gate.wait()
        return answer or await plain(method, url, **rest)

    old.ca.request = late  # type: ignore[method-assign]
    old.write(**rotation("incident-7"))
    last = asyncio.ensure_future(old.reconciler.reconcile(CA))
    await arrived.wait()
    new = Bench(ca=old.ca, cluster=old.cluster)
    new.watch()
    await new.reconciler.reconcile(CA)
    gate.set()
    await last
    new.watch()
    await new.reconciler.reconcile(CA)
    present = key_in(new)
    assert present is not None
    assert new.ca.knows(present) == ACCOUNT
    assert len(new.ca.accounts) == 1
    ready = new.registry.ready(CA)
    assert ready is not None
    assert ready.client.key == present
    assert key_in(new, ENTRY + UPCOMING) is None


async def test_the_key_of_a_certificate_is_not_rotated(bench: Bench) -> None:
    """Somebody named the Secret of a web server's certificate: a new key there would not fit the certificate."""
    key = key_in(bench)
    assert key is not None
    bench.cluster.put_secret("shop", "account", {ENTRY: key.to_pem(), "tls.crt": b"a certificate"})
    bench.write(uid="u-ca", accountKeyRotation={"request": "incident-7", "replaceProvidedKey": True})
    await settle(bench)
    assert key_in(bench) == key
    assert bench.ready() == ("True", "AccountRegistered")
    message = next(one["message"] for one in bench.status()["conditions"] if one["type"] == "AccountKeyRotated")
    assert "Secret shop/account has a certificate for it" in message


async def test_another_ca_at_the_same_host_that_is_not_looked_at_yet_keeps_the_key_from_being_rotated() -> None:
    """A CA may have an authority for each path; the other issuer was applied a moment ago."""
    bench = Bench()
    bench.write()
    await bench.reconciler.reconcile(CA)
    before = key_in(bench)
    bench.write(OTHER, uid="u-other", server=f"{ORIGIN}/other/directory")
    bench.write(**rotation("incident-7"))
    await bench.reconciler.reconcile(CA)
    assert key_in(bench) == before
    assert reason(bench, CA, "AccountKeyRotated") == "KeyRotationRefused"
    bench.write(OTHER, uid="u-other", server=f"{ORIGIN}/other/directory", privateKeySecretRef={"name": "own"})
    bench.now += RETRY
    await bench.reconciler.reconcile(CA)
    assert key_in(bench) != before


async def test_notes_of_any_length_in_the_secret_keep_no_rotation_from_being_finished(bench: Bench) -> None:
    """Annotations have 256 KiB together, and a write beyond that is refused when the CA knows the new key already."""
    notes = bench.cluster.secrets["shop", "account"]["metadata"].setdefault("annotations", {})
    former = " ".join(["y" * 100_000, *map(str, range(99))])
    notes |= {REQUEST_ANNOTATION: "x" * 100_000, FORMER_REQUESTS_ANNOTATION: former}
    bench.write(uid="u-ca", **rotation("incident-7"))
    await settle(bench)
    assert_one_account(bench)
    written = bench.cluster.secrets["shop", "account"]["metadata"]["annotations"]
    assert written[REQUEST_ANNOTATION] == "incident-7"
    assert len(written[FORMER_REQUESTS_ANNOTATION]) < 200
