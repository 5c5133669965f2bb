"""Certificates with a single issuer whose CA has failed: who tries it, and who waits."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.after_outage import APART, LONGEST, AwaitTurn, Returns
from certwright.certificates.issuer_trials import MAX_TIMES, TRIERS, Triers
from certwright.certificates.steps.resting import ISSUER_PAUSE_SECONDS
from certwright.issuers.circuits import FAILURES, FIRST_PAUSE, NEXT_TRIAL
from certwright.issuers.rate_limits import Asker
from tests.certificates.bench import CA, WEB
from tests.certificates.test_fallback import OTHER, TwoIssuers, down, healed

if TYPE_CHECKING:
    from tests.fakes.operator import Build, FakeKubeApi

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> TwoIssuers:
    bench = TwoIssuers(build, kube_api, now)
    bench.write()
    return bench


def fail(bench: TwoIssuers) -> None:
    """Others find out that the CA does not work."""
    for number in range(FAILURES):
        who = Asker("team", f"uid-of-{number}")
        bench.circuits.failed(CA, who, "order", "CAUnreachable", "no answer", now=bench.now)
        bench.now += 20 * SECOND
    bench.now -= 20 * SECOND
    assert not bench.circuits.is_available(CA)


async def test_it_waits_while_its_ca_is_known_to_fail_and_says_so(bench: TwoIssuers) -> None:
    fail(bench)
    result = await bench.look()
    assert (len(bench.ca.orders), bench.condition("Issuing").reason) == (0, "IssuerUnavailable")
    message = bench.condition().message
    assert message.startswith(
        "Issuer team/ca is currently not used: it has failed since 2026-06-01T12:00:00Z: no answer. "
    )
    assert result.after is not None
    assert FIRST_PAUSE <= result.after <= FIRST_PAUSE + 15 * SECOND
    assert bench.reconciler.waiting_for(CA) == [WEB]
    assert bench.reconciler.waiting_for(OTHER) == []


async def test_it_is_the_one_that_tries_when_the_pause_is_over(bench: TwoIssuers) -> None:
    fail(bench)
    await bench.settle()
    assert bench.issued_by == "ca"
    assert bench.circuits.is_available(CA)


async def test_it_does_not_try_while_another_one_does(bench: TwoIssuers) -> None:
    fail(bench)
    bench.now += FIRST_PAUSE
    other = Asker("team", "uid-of-another")
    assert bench.circuits.enter(CA, other, bench.now) is None
    await bench.look()
    assert (len(bench.ca.orders), bench.condition("Issuing").reason) == (0, "IssuerUnavailable")
    bench.circuits.answered(CA, other, "order", bench.now)
    bench.now += NEXT_TRIAL
    await bench.look()
    assert len(bench.ca.orders) == 1


async def test_its_own_failures_alone_leave_it_its_own_pauses(bench: TwoIssuers) -> None:
    down(bench)
    await bench.run(3600)
    assert bench.condition("Issuing").reason == "CAUnreachable"
    assert bench.circuits.is_available(CA)
    healed(bench)
    await bench.run(360)
    assert bench.issued_by == "ca"


async def test_those_who_waited_go_on_in_their_turn_and_write_nothing_meanwhile(bench: TwoIssuers) -> None:
    fail(bench)
    await bench.look()
    bench.circuits.proved(CA, Asker("team", "uid-of-another"))
    turns = bench.reconciler._returns
    turns.begin(CA, [f"uid-{number}" for number in range(20)] + [bench.cluster.body["metadata"]["uid"]], bench.now)
    version = bench.cluster.body["metadata"]["resourceVersion"]
    result = await bench.look()
    assert result.after == 20 * APART
    assert bench.cluster.body["metadata"]["resourceVersion"] == version
    assert not bench.ca.orders
    bench.now += result.after
    await bench.settle()
    assert bench.issued_by == "ca"
    bench.reconciler.forget(WEB, "uid-3")
    assert len(turns) == 19


async def test_whoever_let_it_go_on_is_told_when(bench: TwoIssuers) -> None:
    fail(bench)
    await bench.look()
    assert bench.reconciler.go_on(CA) == [(WEB, 0.0)]
    assert bench.reconciler.go_on(OTHER) == []


def test_thousands_have_gone_on_after_five_minutes() -> None:
    turns = Returns().begin(CA, [str(number) for number in range(6000)], NOW)
    assert max(turns.values()) < LONGEST
    assert len(set(turns.values())) == 6000


@pytest.mark.parametrize(
    ("issuer", "at", "waits"),
    [
        (CA, NOW, True),
        (CA, NOW + APART, False),
        (CA, NOW - dt.timedelta(days=1), False),
        (OTHER, NOW, False),
    ],
    ids=["it is not its turn yet", "it is its turn", "the clock was set back", "it uses another issuer by now"],
)
def test_a_turn_is_waited_for(issuer: Any, at: dt.datetime, *, waits: bool) -> None:
    turns = Returns()
    turns.begin(CA, ["first", "second"], NOW)
    assert turns.wait("second", issuer, at) == (AwaitTurn(NOW + APART) if waits else None)
    assert turns.wait("never waited", CA, NOW) is None


async def test_of_all_who_wait_only_a_few_look_when_it_may_be_tried(bench: TwoIssuers) -> None:
    fail(bench)
    triers = bench.reconciler._triers
    until = bench.now + FIRST_PAUSE
    assert sum(triers.is_one(f"uid-{number}", CA, until) for number in range(1000)) == TRIERS
    result = await bench.look()
    assert result.after == dt.timedelta(seconds=ISSUER_PAUSE_SECONDS)
    assert bench.condition("Issuing").reason == "IssuerUnavailable"
    assert bench.reconciler.waiting_for(CA) == [WEB], "and it is told when the CA works"
    bench.now += result.after
    await bench.settle()
    assert bench.issued_by == "ca", "although none of the others has looked"


def test_whoever_looks_then_stays_the_same_for_that_time_and_is_chosen_for_each_issuer_and_time() -> None:
    triers = Triers()
    first = {uid for uid in map(str, range(100)) if triers.is_one(uid, CA, NOW)}
    assert first == {str(number) for number in range(TRIERS)}
    assert {uid for uid in map(str, reversed(range(100))) if triers.is_one(uid, CA, NOW)} == first
    assert triers.is_one("99", OTHER, NOW)
    assert triers.is_one("99", CA, NOW + SECOND)


def test_the_times_that_are_kept_are_bounded() -> None:
    triers = Triers()
    for number in range(2 * MAX_TIMES):
        assert triers.is_one("web", CA, NOW + number * SECOND)
    assert len(triers) == MAX_TIMES
