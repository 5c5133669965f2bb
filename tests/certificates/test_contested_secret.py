"""Something else spoils the Secret again and again, or the spec or issuer keeps changing: few orders, and why."""

from __future__ import annotations

import base64
import copy
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.certificates.order.budget import next_order_time, plausible, with_order
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.issued import MAX_KEPT
from certwright.pki import generate_private_key, private_key_to_pem
from certwright.resources import ISSUING, Certificate
from tests.fakes.operator import NOW

from .bench import CA, WEB, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.operator import Body, Build, FakeKubeApi

MINUTE: Final = dt.timedelta(minutes=1)
PLACE: Final = ("team", "web-tls")


async def disturbed(bench: Bench, disturb: Callable[[], None], *, for_seconds: float) -> None:
    """Run for a while; something is done to the Secret as soon as it is right, each time."""
    end = bench.now + dt.timedelta(seconds=for_seconds)
    while bench.now < end:
        result = await bench.look()
        secret = bench.cluster.secrets.secrets.get(PLACE, {"metadata": {}})
        if bench.condition().status == "True" and secret["metadata"].get("labels"):
            disturb()
            bench.now += dt.timedelta(seconds=0.1)
        elif result.after is not None:
            bench.now += min(result.after, end - bench.now)


def deleting(bench: Bench, kube_api: FakeKubeApi) -> None:
    secret = kube_api.secrets.pop(PLACE, None)
    if secret is not None:
        bench.secrets.remove(secret["metadata"])


def changing(change: Callable[[Body], None]) -> Callable[[Bench, FakeKubeApi], None]:
    def disturb(bench: Bench, kube_api: FakeKubeApi) -> None:
        secret = copy.deepcopy(kube_api.secrets[PLACE])
        change(secret)
        secret["metadata"]["managedFields"] = [{"manager": "mirror", "operation": "Update", "fieldsV1": {"f:data": {}}}]
        stored = kube_api.put(secret)
        if (secret["metadata"].get("labels") or {}).get("certwright.io/managed") == "true":
            bench.take_secret(SecretFacts.of(stored))
        else:
            bench.secrets.remove(stored["metadata"])

    return disturb


def empty(secret: Body) -> None:
    secret["data"] = {"tls.crt": "", "tls.key": ""}


def with_another_key(secret: Body) -> None:
    secret["data"]["tls.key"] = base64.b64encode(private_key_to_pem(generate_private_key())).decode()


def with_garbage(secret: Body) -> None:
    secret["data"]["tls.crt"] = base64.b64encode(b"garbage").decode()


def without_labels(secret: Body) -> None:
    secret["metadata"] |= {"labels": {}, "annotations": {}}


@pytest.mark.parametrize(
    "disturb", [deleting, changing(empty), changing(with_another_key), changing(with_garbage), changing(without_labels)]
)
async def test_a_secret_that_is_spoiled_whenever_it_is_written_costs_one_order_and_few_writes(
    bench: Bench, kube_api: FakeKubeApi, disturb: Callable[[Bench, FakeKubeApi], None]
) -> None:
    await disturbed(bench, lambda: disturb(bench, kube_api), for_seconds=6 * 3600)
    assert len(bench.ca.orders) == 1
    writes = kube_api.calls.count("apply web-tls")
    assert 50 < writes < 120, "at most once in five minutes, after a few quick ones"
    assert bench.events.count("SecretContested") < writes
    assert "deletes or changes Secret web-tls each time the operator writes it" in bench.messages["SecretContested"]
    if disturb is not deleting:
        assert "mirror" in bench.messages["SecretContested"]


async def test_the_condition_says_that_something_else_changes_the_secret(bench: Bench, kube_api: FakeKubeApi) -> None:
    await disturbed(bench, lambda: changing(empty)(bench, kube_api), for_seconds=3600)
    while bench.condition().status != "True":
        bench.now += (await bench.look()).after or dt.timedelta()
    assert (bench.condition(ISSUING).status, bench.condition(ISSUING).reason) == ("False", "SecretContested")
    assert "mirror" in bench.condition(ISSUING).message
    await bench.run(3600)
    assert bench.condition(ISSUING).reason == "NothingToDo", "what has stopped is still complained about"


async def test_what_is_restored_is_the_same_certificate_and_is_told_once(bench: Bench, kube_api: FakeKubeApi) -> None:
    await bench.run(60)
    before = kube_api.secrets[PLACE]["data"]
    deleting(bench, kube_api)
    await bench.run(60)
    assert kube_api.secrets[PLACE]["data"] == before
    assert (bench.status.revision, len(bench.ca.orders)) == (1, 1)
    assert bench.events.count("SecretRestored") == 1
    assert "Secret web-tls does not exist." in bench.messages["SecretRestored"]


async def test_a_secret_that_is_deleted_later_gets_another_certificate(bench: Bench, kube_api: FakeKubeApi) -> None:
    await bench.run(1200)
    deleting(bench, kube_api)
    await bench.run(60)
    assert (bench.status.revision, len(bench.ca.orders)) == (2, 2)
    assert "SecretRestored" not in bench.events


async def test_without_memory_the_budget_bounds_the_orders(bench: Bench, kube_api: FakeKubeApi) -> None:
    def delete_and_restart() -> None:
        deleting(bench, kube_api)
        bench.restart()

    await disturbed(bench, delete_and_restart, for_seconds=3600)
    assert len(bench.ca.orders) == 5
    assert (bench.condition().status, bench.condition().reason) == ("False", "OrderedTooOften")
    assert "Secret web-tls does not exist" in bench.condition().message
    assert bench.status.next_attempt_time is not None
    assert bench.finalizers == []
    await disturbed(bench, delete_and_restart, for_seconds=71 * 3600)
    assert 20 <= len(bench.ca.orders) <= 30, "ten a day"


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_spec_that_two_tools_change_back_and_forth_is_bounded(bench: Bench, *, restarts: bool) -> None:
    generation = 1
    for _ in range(200):
        generation += 1
        bench.write(f"{'ab'[generation % 2]}.example.test", metadata={"generation": generation})
        if restarts:
            bench.restart()
        await bench.run(17)
    assert len(bench.ca.orders) == 5
    assert bench.condition(ISSUING).reason == "OrderedTooOften"
    assert "has b.example.test" in bench.condition().message or "lacks" in bench.condition().message


async def test_an_issuer_that_changes_back_and_forth_is_bounded(bench: Bench) -> None:
    for turn in range(200):
        bench.issuer_spec = {"server": f"https://{'ab'[turn % 2]}.example.test/directory"}
        bench.ready()
        bench.reconciler.issuer_changed(WEB)
        await bench.run(17)
    assert len(bench.ca.orders) <= 6
    assert CA == ("Issuer", "team", "ca")


async def test_refused_orders_count_as_well(bench: Bench) -> None:
    bench.ca.verdict = "invalid"
    generation = 1
    for _ in range(100):
        generation += 1
        bench.write(f"{'ab'[generation % 2]}.example.test", metadata={"generation": generation})
        await bench.run(17)
    assert len(bench.ca.orders) == 5


async def test_scheduled_renewals_do_not_count(bench: Bench) -> None:
    bench.ca.life = {"life": dt.timedelta(hours=2)}
    await bench.run(86400)
    assert len(bench.ca.orders) > 20
    assert "OrderedTooOften" not in bench.events
    assert len(bench.status.recent_orders) <= 1


async def test_an_old_certificate_that_is_put_back_is_not_a_scheduled_renewal(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    await bench.run(60)
    old = copy.deepcopy(kube_api.secrets[PLACE])
    bench.now += dt.timedelta(days=70)

    def put_back() -> None:
        bench.take_secret(SecretFacts.of(kube_api.put(copy.deepcopy(old))))
        bench.restart()
        bench.take_secret(SecretFacts.of(kube_api.secrets[PLACE]))

    for _ in range(300):
        await bench.run(10)
        put_back()
    assert len(bench.ca.orders) <= 1 + 1 + 5


async def test_a_status_that_says_otherwise_holds_nothing_up_for_long(bench: Bench) -> None:
    ahead = [(bench.now + dt.timedelta(days=300 + n)).isoformat() for n in range(10)]
    bench.cluster.body["status"] = {"recentOrders": ahead}
    bench.restart()
    await bench.run(60)
    assert bench.condition().status == "True", "times to come are believed"


def test_the_budget_lets_five_an_hour_and_ten_a_day_pass() -> None:
    times: tuple[dt.datetime, ...] = ()
    placed = []
    for minute in range(3 * 1440):
        now = NOW + minute * MINUTE
        if next_order_time(times, now) is None:
            placed.append(minute)
            times = with_order(times, now)
    assert placed[:11] == [0, 1, 2, 3, 4, 60, 61, 62, 63, 64, 1440]
    assert len(times) == 10


def test_the_times_in_a_status_are_bounded() -> None:
    times = [NOW + n * MINUTE for n in range(-2000, 2000)]
    assert len(plausible(times, NOW)) == 10
    assert all(NOW - dt.timedelta(days=1) < time <= NOW for time in plausible(times, NOW))
    until = next_order_time(times, NOW)
    assert until is not None
    assert until <= NOW + dt.timedelta(days=1)


async def test_only_some_keys_are_kept_in_memory_and_none_for_long(bench: Bench, build: Build) -> None:
    await bench.run(60)
    memory: Any = bench.reconciler._memories["uid-web"]
    assert memory.issued is not None
    assert "PRIVATE KEY" not in repr(memory)
    for number in range(MAX_KEPT):
        bench.reconciler._memories[f"uid-{number}"] = memory
        bench.reconciler._bound_issued(f"uid-{number}", memory)
    kept = [uid for uid, one in bench.reconciler._memories.items() if one.issued is not None]
    assert len(kept) == MAX_KEPT
    assert "uid-web" not in kept
    bench.reconciler._memories["uid-web"] = memory
    await bench.run(1200)
    assert bench.reconciler._memories["uid-web"].issued is None
    assert isinstance(build.certificate(), Certificate)


async def test_a_secret_that_was_deleted_with_its_certificate_stays_deleted_although_its_watch_is_ahead(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    await bench.run(60)
    deleting(bench, kube_api)
    bench.cluster.gone = True
    result = await bench.look()
    assert PLACE not in kube_api.secrets
    assert result.after is None, "what is gone is looked at again"
    assert bench.certificates.get(WEB) is None
