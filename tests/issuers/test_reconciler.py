from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import logging

import pytest

from certwright.acme import AccountKey
from certwright.issuers.rate_limits import Asker
from certwright.kube.errors import Conflict, NotFound, Unavailable
from certwright.runtime.key import Key
from certwright.runtime.result import Result
from tests.fakes.issuers import CA, NOW, ORIGIN, SETTLED, SHARED, Bench, Body


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_new_account(bench: Bench) -> None:
    bench.write(email="ops@example.test")
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert bench.ca.asked("/newAccount") == [{"contact": ["mailto:ops@example.test"], "termsOfServiceAgreed": True}]
    assert [path for path, _ in bench.ca.requests] == ["/directory", "/newAccount"], "an account costs two requests"
    key = AccountKey.from_pem(base64.b64decode(bench.cluster.secrets["shop", "account"]["data"]["tls.key"]))
    assert bench.ready() == ("True", "AccountRegistered")
    assert bench.status()["acme"] == {
        "uri": f"{ORIGIN}/account/1",
        "server": f"{ORIGIN}/directory",
        "termsOfService": f"{ORIGIN}/terms",
        "lastRegisteredEmail": "ops@example.test",
        "keyThumbprint": key.thumbprint,
        "formerServers": [],
        "offers": {"externalAccountRequired": False, "caaIdentities": [], "profiles": [], "challenges": []},
    }
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    assert (issuer.account_url, issuer.secrets_namespace, issuer.uid) == (f"{ORIGIN}/account/1", "shop", "u-1")
    assert bench.woken == [CA]
    assert [event[:2] for event in bench.events] == [("Normal", "AccountRegistered")]


async def test_an_issuer_that_is_ready_costs_nothing(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.ca.requests.clear()
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert (bench.ca.requests, len(bench.cluster.statuses)) == ([], 1)


async def test_the_key_is_kept_before_the_ca_hears_of_it(bench: Bench) -> None:
    bench.write()
    seen: list[int] = []
    bench.cluster.before_create = lambda: seen.append(len(bench.ca.requests))
    await bench.reconciler.reconcile(CA)
    assert seen == [0]


async def test_after_a_restart_the_account_is_known_without_asking(bench: Bench) -> None:
    bench.write(email="ops@example.test")
    await bench.reconciler.reconcile(CA)
    bench.restart()
    bench.watch()
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert [path for path, _ in bench.ca.requests] == ["/directory"]
    assert bench.registry.ready(CA) is not None
    assert len(bench.cluster.statuses) == 1, "nothing new to write"
    assert len(bench.events) == 1


@pytest.mark.parametrize(
    ("email", "contact"), [("new@example.test", ["mailto:new@example.test"]), (None, [])], ids=["changed", "removed"]
)
async def test_a_change_of_the_address_is_sent_to_the_ca(bench: Bench, email: str | None, contact: list[str]) -> None:
    bench.write(email="old@example.test")
    await bench.reconciler.reconcile(CA)
    bench.ca.requests.clear()
    bench.write(email=email)
    await bench.reconciler.reconcile(CA)
    assert bench.ca.requests == [("/account/1", {"contact": contact})]
    assert bench.status()["acme"].get("lastRegisteredEmail") == email


@pytest.mark.parametrize("uri", ["https://metadata.example.test/account/1", f"{ORIGIN}:8443/account/1", "nonsense"])
async def test_an_account_url_that_somebody_wrote_into_the_status_is_used_only_at_the_ca(
    bench: Bench, uri: str
) -> None:
    bench.write(email="old@example.test")
    await bench.reconciler.reconcile(CA)
    bench.status()["acme"]["uri"] = uri
    bench.restart()
    bench.write(email="new@example.test")
    bench.ca.requests.clear()
    await bench.reconciler.reconcile(CA)
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    assert issuer.account_url == bench.status()["acme"]["uri"] == f"{ORIGIN}/account/1"
    assert len(bench.ca.asked("/newAccount")) == 1


async def test_an_account_that_was_there_gets_the_address_of_this_issuer(bench: Bench) -> None:
    bench.write(Key("Issuer", "shop", "first"), email="old@example.test")
    await bench.reconciler.reconcile(Key("Issuer", "shop", "first"))
    bench.write(email="new@example.test")
    await bench.reconciler.reconcile(CA)
    assert bench.ca.asked("/account/1") == [{"contact": ["mailto:new@example.test"]}]
    assert bench.status()["acme"]["uri"] == f"{ORIGIN}/account/1"


async def test_a_closed_account_is_no_success(bench: Bench) -> None:
    key = AccountKey.generate()
    bench.cluster.put_key("shop", key)
    closed = {"status": "deactivated", "location": f"{ORIGIN}/account/1"}
    bench.ca.accounts[json.dumps(dict(key.jwk), sort_keys=True)] = closed
    bench.write()
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "AccountNotValid")
    assert bench.registry.ready(CA) is None


async def test_a_change_of_the_ca_is_a_new_account_and_the_old_connection_is_closed(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.ca.accounts.clear()
    bench.write(skipTLSVerify=True, server=f"{ORIGIN}/other/directory")
    await bench.reconciler.reconcile(CA)
    assert len(bench.ca.asked("/newAccount")) == 2
    assert [authority.server for authority in bench.connections.open] == [f"{ORIGIN}/other/directory"]


async def test_the_connection_of_an_issuer_that_is_being_loaded_is_left_open(bench: Bench) -> None:
    slow = Key("Issuer", "shop", "slow")
    bench.write(slow, server=f"{ORIGIN}/slow/directory")
    bench.ca.gate = asyncio.Event()
    loading = asyncio.create_task(bench.reconciler.reconcile(slow))
    await bench.ca.held.wait()
    gate, bench.ca.gate = bench.ca.gate, None
    bench.write()
    await bench.reconciler.reconcile(CA)
    assert len(bench.connections.open) == 2
    in_use: list[int] = []
    bench.cluster.before_status = lambda: in_use.append(len(bench.reconciler._authorities_in_use()))
    gate.set()
    await loading
    assert in_use == [2], "also while its status is being written"
    assert bench.registry.ready(slow) is not None


async def test_an_issuer_that_fails_another_way_each_time_leaves_no_connections_behind(bench: Bench) -> None:
    """As a tenant who rotates what tells connections apart, such as a client certificate, while his CA is down."""
    for number in range(20):
        bench.write(server=f"{ORIGIN}/nowhere-{number}/directory")
        await bench.reconciler.reconcile(CA)
    assert bench.registry.ready(CA) is None
    assert len(bench.connections.open) == 0


@pytest.mark.parametrize(
    ("secret", "reason", "words"),
    [
        (None, "AccountKeyMissing", "Secret shop/account does not exist, and disableAccountKeyGeneration forbids"),
        ({}, "AccountKeyMissing", "Secret shop/account exists, but has no entry tls.key. It was left untouched"),
        ({"tls.key": "bm8gUEVN"}, "AccountKeyUnusable", "tls.key of Secret shop/account cannot be used"),
    ],
    ids=["no Secret", "no entry", "no key"],
)
async def test_an_account_key_that_is_not_to_be_had_is_said(
    bench: Bench, secret: dict[str, str] | None, reason: str, words: str
) -> None:
    if secret is not None:
        bench.cluster.secrets["shop", "account"] = {"metadata": {}, "data": secret}
    bench.write(disableAccountKeyGeneration=True)
    pause = (await bench.reconciler.reconcile(CA)).seconds
    assert pause is not None
    assert bench.ready() == ("False", reason)
    assert words in bench.status()["conditions"][0]["message"]
    assert "bm8gUEVN" not in json.dumps(bench.status())
    assert bench.cluster.secrets.get(("shop", "account"), {}).get("data") == secret
    assert bench.ca.requests == []


async def test_of_two_that_make_the_key_at_once_the_first_ones_counts(bench: Bench) -> None:
    other = AccountKey.generate()
    bench.cluster.before_create = lambda: bench.cluster.put_key("shop", other)
    bench.write()
    await bench.reconciler.reconcile(CA)
    assert bench.status()["acme"]["keyThumbprint"] == other.thumbprint


async def test_an_account_that_the_ca_lost_is_registered_again_with_the_same_key(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    thumbprint = bench.status()["acme"]["keyThumbprint"]
    bench.ca.accounts.clear()
    bench.ca.requests.clear()
    bench.reconciler.account_lost(CA)
    assert bench.registry.view(CA).state == "not-ready"
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert len(bench.ca.asked("/newAccount")) == 1
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    assert issuer.account_url == bench.status()["acme"]["uri"] == f"{ORIGIN}/account/2"
    assert bench.status()["acme"]["keyThumbprint"] == thumbprint
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert bench.ca.asked("/newAccount") == [], "once is enough"


async def test_a_failure_is_told_once_and_tried_again_with_longer_pauses(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.write()
    pauses = []
    for _ in range(4):
        bench.ca.refuse("serverInternal", 500)
        pause = (await bench.reconciler.reconcile(CA)).seconds
        assert pause is not None
        pauses.append(pause)
        bench.now += dt.timedelta(seconds=pause)
    assert pauses == sorted(pauses)
    assert [1.6 * 2**n <= pause <= 2.4 * 2**n for n, pause in enumerate(pauses)] == [True] * 4
    assert bench.ready() == ("False", "CAInternalError")
    assert "the CA says serverInternal" in bench.status()["conditions"][0]["message"]
    assert bench.status()["failedAttempts"] == 4
    assert [event[:2] for event in bench.events] == [("Warning", "CAInternalError")]
    assert bench.registry.view(CA).message.startswith("Issuer shop/ca is not ready (CAInternalError): ")
    assert bench.woken == [CA], "the same again is no news for its Certificates, which may be thousands"
    assert not any(record.exc_info for record in caplog.records)
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert bench.ready() == ("True", "AccountRegistered")
    assert "nextAttemptTime" not in bench.status()
    assert bench.status()["failedAttempts"] == 0


async def test_a_defect_of_ours_goes_to_the_log_and_is_tried_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.write()
    bench.ca.refusals.append(ZeroDivisionError("something private"))
    assert await bench.reconciler.reconcile(CA) != Result.ON_EVENT
    assert bench.ready() == ("False", "InternalError")
    assert "something private" not in json.dumps(bench.status())
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]


async def test_events_do_not_cut_the_pause_short(bench: Bench) -> None:
    bench.write()
    bench.ca.refuse("serverInternal", 500)
    pause = (await bench.reconciler.reconcile(CA)).seconds
    asked, written = len(bench.ca.requests), len(bench.cluster.statuses)
    bench.watch()
    bench.now += dt.timedelta(seconds=1)
    again = (await bench.reconciler.reconcile(CA)).seconds
    assert pause is not None
    assert again == pytest.approx(pause - 1)
    assert (len(bench.ca.requests), len(bench.cluster.statuses)) == (asked, written)


async def test_a_correction_does_cut_the_pause_short(bench: Bench) -> None:
    bench.write()
    bench.ca.refuse("serverInternal", 500)
    await bench.reconciler.reconcile(CA)
    bench.write(email="ops@example.test")
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert bench.ready() == ("True", "AccountRegistered")


async def test_a_rate_limit_is_waited_out(bench: Bench) -> None:
    bench.write()
    bench.ca.refuse("rateLimited", 429, **{"Retry-After": "3600"})
    assert (await bench.reconciler.reconcile(CA)).seconds == pytest.approx(3600, abs=2)
    assert bench.ready() == ("False", "RateLimited")
    assert bench.status()["nextAttemptTime"] == "2026-06-01T13:00:00Z"


async def test_a_failure_that_could_not_be_written_is_written_at_the_next_look(bench: Bench) -> None:
    bench.write()
    bench.ca.refuse("rateLimited", 429, **{"Retry-After": "3600"})
    bench.cluster.failures.append(Unavailable("write the status", status=503))
    with pytest.raises(Unavailable):
        await bench.reconciler.reconcile(CA)
    assert bench.registry.view(CA).state == "not-ready"
    assert bench.woken == [CA]
    asked = len(bench.ca.requests)
    bench.now += dt.timedelta(seconds=10)
    assert (await bench.reconciler.reconcile(CA)).seconds == pytest.approx(3590, abs=2)
    assert bench.ready() == ("False", "RateLimited")
    assert len(bench.ca.requests) == asked, "the CA is not asked before its time for that"


async def test_an_account_is_not_used_before_it_is_written_down(bench: Bench) -> None:
    bench.write()
    bench.cluster.failures.append(Unavailable("write the status", status=503))
    with pytest.raises(Unavailable):
        await bench.reconciler.reconcile(CA)
    assert bench.registry.ready(CA) is None
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert bench.registry.ready(CA) is not None
    assert len(bench.ca.accounts) == 1


@pytest.mark.parametrize("error", [NotFound("write", status=404), Conflict("write", status=409)])
async def test_an_issuer_that_goes_meanwhile_is_left_to_its_event(bench: Bench, error: Exception) -> None:
    bench.write()
    bench.cluster.failures.append(error)
    assert await bench.reconciler.reconcile(CA) == SETTLED


@pytest.mark.parametrize("refused", [True, False], ids=["failure", "success"])
async def test_a_change_that_comes_with_the_answer_to_our_own_write_is_looked_at(
    bench: Bench, *, refused: bool
) -> None:
    """Its event is older than the answer, and no news then."""
    bench.write()
    if refused:
        bench.ca.refuse("serverInternal", 500)
    bench.cluster.before_status = lambda: bench.write(email="new@example.test", watched=False)
    assert await bench.reconciler.reconcile(CA) == Result.again_in(0)
    bench.cluster.before_status = None
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert bench.status()["acme"]["lastRegisteredEmail"] == "new@example.test"


async def test_an_issuer_made_anew_under_its_name_is_another_one(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.write(uid="u-2", email="new@example.test")
    assert await bench.reconciler.reconcile(CA) == SETTLED
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    assert (issuer.uid, issuer.generation) == ("u-2", 1)
    assert bench.ready() == ("True", "AccountRegistered")


async def test_the_secrets_of_a_cluster_issuer_are_the_operators(bench: Bench) -> None:
    bench.write(SHARED)
    await bench.reconciler.reconcile(SHARED)
    assert list(bench.cluster.secrets) == [("tools", "account")]
    issuer = bench.registry.ready(SHARED)
    assert issuer is not None
    assert issuer.secrets_namespace == "tools"
    assert bench.ready(SHARED) == ("True", "AccountRegistered")


async def test_an_issuer_that_the_watch_has_not_told_of_yet_is_read(bench: Bench) -> None:
    bench.write(watched=False)
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert bench.registry.ready(CA) is not None


async def test_a_missing_issuer_is_told_to_those_who_wait_for_it(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    body = bench.cluster.objects.pop(("issuers", "shop", "ca"))
    bench.issuers.remove({**body["metadata"], "resourceVersion": "999"})
    bench.woken.clear()
    assert await bench.reconciler.reconcile(CA) == Result.ON_EVENT
    view = bench.registry.view(CA)
    assert (view.state, view.message) == (
        "missing",
        "Issuer shop/ca does not exist. Create it, or correct spec.issuerRef.",
    )
    assert bench.registry.ready(CA) is None
    assert bench.woken == [CA]
    assert bench.connections.open == {}


async def test_an_account_that_was_closed_at_the_ca_is_not_believed_in_after_a_restart_either(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")
    bench.reconciler.account_refused(CA, "The CA says that the account is deactivated.")
    assert bench.registry.view(CA).state == "not-ready"
    for _ in range(2):
        bench.ca.requests.clear()
        bench.ca.refuse("unauthorized", 403)
        assert (await bench.reconciler.reconcile(CA)).seconds is not None
        assert bench.ready() == ("False", "AccountNotValid")
        message = bench.status()["conditions"][0]["message"]
        assert "the CA says unauthorized" in message
        assert "delete the Secret account" in message
        assert bench.registry.ready(CA) is None
        assert bench.ca.asked("/newAccount") == [{"onlyReturnExisting": True}]
        bench.restart()
        bench.watch()
    await bench.reconciler.reconcile(CA)
    assert bench.ca.asked("/account/1") == [None], "it is read, and found to be valid again"
    assert bench.ready() == ("True", "AccountRegistered")
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert [path for path, _ in bench.ca.requests] == ["/directory"]


async def test_an_account_that_is_not_valid_any_more_says_so(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    for account in bench.ca.accounts.values():
        account["status"] = "revoked"
    bench.reconciler.account_refused(CA, "refused")
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "AccountNotValid")
    assert "/account/1 is revoked" in bench.status()["conditions"][0]["message"]


async def test_a_new_account_for_a_key_whose_account_was_closed_says_so(bench: Bench) -> None:
    bench.write()
    bench.ca.refuse("unauthorized", 403)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "AccountNotValid")


async def test_a_ca_that_forgets_its_accounts_again_and_again_is_not_asked_without_end(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.ca.requests.clear()
    end = bench.now + dt.timedelta(hours=1)
    while bench.now < end:
        bench.ca.accounts.clear()
        bench.reconciler.account_lost(CA)
        pause = (await bench.reconciler.reconcile(CA)).seconds
        while pause and bench.registry.ready(CA) is None:
            bench.now += dt.timedelta(seconds=pause)
            pause = (await bench.reconciler.reconcile(CA)).seconds
        bench.now += dt.timedelta(seconds=1)
        if len(bench.ca.asked("/newAccount")) > 100:
            break
    assert 5 < len(bench.ca.asked("/newAccount")) < 30
    bench.now += dt.timedelta(hours=2)
    bench.ca.accounts.clear()
    bench.reconciler.account_lost(CA)
    assert await bench.reconciler.reconcile(CA) == SETTLED, "the first time, it is registered at once"


FORGED = {
    "conditions": [{"type": "Ready", "status": "False", "reason": "Forged", "message": "no", "observedGeneration": 1}],
    "observedGeneration": 1,
    "acme": {"uri": f"{ORIGIN}/account/666"},
    "failedAttempts": 1_000_000,
    "nextAttemptTime": "9999-12-31T23:59:59Z",
}


@pytest.mark.parametrize("forged", [FORGED, {}], ids=["forged", "emptied"])
async def test_the_status_of_a_ready_issuer_that_somebody_changed_is_put_right(bench: Bench, forged: Body) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    written = bench.status()
    bench.ca.requests.clear()
    bench.forge(forged)
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert bench.status() == written
    assert bench.ca.requests == [], "what the process knows of the account, no status changes"


async def test_a_status_that_something_changes_again_and_again_is_put_right_with_growing_pauses(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    pause = None
    for _ in range(20):
        bench.forge(FORGED)
        pause = (await bench.reconciler.reconcile(CA)).after
    assert len(bench.cluster.statuses) == 2, "the account, and one correction"
    assert pause is not None
    bench.now += pause
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")


async def test_conditions_that_others_keep_in_the_status_of_an_issuer_are_no_reason_to_write_it(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    theirs = {"type": "Audited", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    bench.forge({**bench.status(), "conditions": [theirs, *bench.status()["conditions"]]})
    assert await bench.reconciler.reconcile(CA) == SETTLED
    assert len(bench.cluster.statuses) == 1


@pytest.mark.parametrize("said", ["unauthorized", "malformed", "accountDoesNotExist"])
async def test_the_url_of_another_account_that_somebody_wrote_into_the_status_is_replaced_by_the_keys_own(
    bench: Bench, said: str
) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.forge({**bench.status(), "acme": {**bench.status()["acme"], "uri": f"{ORIGIN}/account/666"}})
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    forged = bench.registry.ready(CA)
    assert forged is not None
    assert forged.account_url.endswith("/666"), "at the CA, so it is believed until the CA refuses a request"
    bench.reconciler.account_refused(CA, "The CA refused an order.")
    bench.ca.requests.clear()
    bench.ca.refuse(said, 400 if said == "malformed" else 403)
    await bench.reconciler.reconcile(CA)
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    assert issuer.account_url == bench.status()["acme"]["uri"] == f"{ORIGIN}/account/1"
    finds = {"termsOfServiceAgreed": True} if said == "accountDoesNotExist" else {"onlyReturnExisting": True}
    assert bench.ca.asked("/newAccount") == [finds], "the CA returns the key's account"
    assert len(bench.ca.accounts) == 1, "no second account is made"


async def test_the_waits_of_its_rate_limits_are_in_the_status_until_they_are_over(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    issuer.limits.orders.refused(bench.now + dt.timedelta(minutes=10), bench.now, "rateLimited: too many new orders")
    assert await bench.reconciler.reconcile(CA) == Result.again_in(600)
    assert bench.status()["rateLimits"] == [
        {
            "requests": "newOrder",
            "since": "2026-06-01T12:00:00Z",
            "until": "2026-06-01T12:10:00Z",
            "message": "rateLimited: too many new orders",
        }
    ]
    assert bench.ready() == ("True", "AccountRegistered")
    bench.restart()
    bench.watch()
    bench.now += dt.timedelta(minutes=1)
    await bench.reconciler.reconcile(CA)
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    turn = issuer.limits.orders.enter(Asker("shop", "uid"), bench.now)
    assert turn is not None
    assert turn.at == turn.look == NOW + dt.timedelta(minutes=10)
    assert len(bench.status()["rateLimits"]) == 1
    bench.now += dt.timedelta(minutes=9)
    await bench.reconciler.reconcile(CA)
    assert not bench.status().get("rateLimits")


async def test_issuers_that_share_an_account_share_its_limits(bench: Bench) -> None:
    key = AccountKey.generate()
    bench.cluster.put_key("shop", key)
    bench.cluster.put_key("tools", key)
    for issuer in (CA, SHARED):
        bench.write(issuer, uid=f"u-{issuer.kind}")
        await bench.reconciler.reconcile(issuer)
    one, other = bench.registry.ready(CA), bench.registry.ready(SHARED)
    assert one is not None
    assert other is not None
    assert one.limits is other.limits


@pytest.mark.parametrize(("minutes", "asked"), [(0, 0), (9, 0), (10, 1), (-60, 1)])
async def test_a_rate_limit_on_new_accounts_is_respected_after_a_restart(
    bench: Bench, minutes: int, asked: int
) -> None:
    bench.write()
    bench.ca.refuse("rateLimited", 429, **{"Retry-After": "600"})
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "RateLimited")
    before = bench.status()["conditions"][0]["message"]
    bench.restart()
    bench.watch()
    bench.now += dt.timedelta(minutes=minutes)
    await bench.reconciler.reconcile(CA)
    assert len(bench.ca.asked("/newAccount")) == asked
    if not asked:
        assert bench.status()["conditions"][0]["message"] == before


async def test_an_issuer_whose_status_names_another_ones_account_does_not_share_its_limits(bench: Bench) -> None:
    bench.write(SHARED, uid="u-shared")
    await bench.reconciler.reconcile(SHARED)
    shared = bench.registry.ready(SHARED)
    assert shared is not None
    bench.write()
    await bench.reconciler.reconcile(CA)
    wait = {"requests": "newOrder", "since": "2026-06-01T12:00:00Z", "until": "2026-06-01T12:50:00Z", "message": "no"}
    stolen = {**bench.status()["acme"], "uri": shared.account_url}
    bench.forge({**bench.status(), "acme": stolen, "rateLimits": [wait]})
    bench.write(profile=None)
    await bench.reconciler.reconcile(CA)
    own = bench.registry.ready(CA)
    assert own is not None
    assert own.account_url == f"{ORIGIN}/account/2", "the process that registered it knows better"
    bench.forge({**bench.status(), "acme": stolen, "rateLimits": [wait]})
    bench.restart()
    for key in (SHARED, CA):
        bench.watch(key)
        await bench.reconciler.reconcile(key)
    shared, own = bench.registry.ready(SHARED), bench.registry.ready(CA)
    assert shared is not None
    assert own is not None
    assert own.account_url == shared.account_url, "after a restart, the status is believed"
    assert own.limits is not shared.limits
    assert shared.limits.orders.enter(Asker("victim", "uid"), bench.now) is None
