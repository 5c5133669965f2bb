"""A CA's 429, as a Certificate meets it: its own, and those of others who use the account."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from certwright import acme
from certwright.certificates.store import certificate_key
from certwright.issuers.rate_limits import AccountLimits, Asker
from certwright.resources import ISSUING
from tests.fakes.acme_client import PLACE

if TYPE_CHECKING:
    import pytest

    from tests.fakes.operator import FakeKubeApi

    from .bench import Bench

ACCOUNT = "too many new orders (300) from this account in the last 3h0m0s"
NAMES = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s"
OTHER = Asker("elsewhere", "uid-other")


def limit(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, action: str, detail: str) -> list[dt.datetime]:
    """Have the CA refuse what a method asks for until an hour from now; return the times at which it is asked."""
    asked: list[dt.datetime] = []
    until = bench.now + dt.timedelta(hours=1)
    really = getattr(bench.ca, name)

    async def refused(*arguments: Any, **options: Any) -> Any:
        asked.append(bench.now)
        if bench.now >= until:
            return await really(*arguments, **options)
        problem = acme.Problem(type="urn:ietf:params:acme:error:rateLimited", detail=detail)
        after = (until - bench.now).total_seconds()
        raise acme.RateLimited(problem, action=action, url=f"{PLACE}/{action}", status=429, retry_after=after)

    monkeypatch.setattr(bench.ca, name, refused)
    return asked


def limits(bench: Bench) -> AccountLimits:
    issuer = next(iter(bench.registry._ready.values()))
    return issuer.limits


async def test_the_refusal_of_one_holds_for_all_and_says_for_whom_and_until_when(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = limit(bench, monkeypatch, "new_order", "newOrder", ACCOUNT)
    result = await bench.look()
    assert bench.condition().reason == bench.condition(ISSUING).reason == "RateLimited"
    message = bench.condition().message
    assert "Issuer team/ca must not send more requests to https://ca.example.test/directory for now" in message
    assert "all its Certificates wait until 2026-06-01T13:00:00Z" in message
    assert ACCOUNT in message
    assert result.after == dt.timedelta(hours=1)
    assert limits(bench).orders.enter(OTHER, bench.now) is not None
    assert limits(bench).others.enter(OTHER, bench.now) is None, "what is placed already goes on"
    await bench.run(3599)
    await bench.look()
    assert len(asked) == 1
    await bench.run(120)
    assert (len(asked), bench.condition().status, bench.status.failed_attempts) == (2, "True", 0)
    assert bench.events.count("RateLimited") == 1


async def test_it_asks_nothing_while_others_wait(bench: Bench) -> None:
    limits(bench).orders.refused(bench.now + dt.timedelta(minutes=10), bench.now, ACCOUNT)
    await bench.run(599)
    assert bench.ca.orders == {}
    assert bench.condition().reason == "RateLimited"
    await bench.run(120)
    assert bench.condition().status == "True"


async def test_it_orders_at_once_when_it_is_told_that_the_limit_is_over(bench: Bench) -> None:
    usual, bench.ca.begins = bench.ca.begins, dt.timedelta(hours=2)
    await bench.run(30)
    bench.ca.begins = usual
    until = bench.now + dt.timedelta(hours=1)
    orders = limits(bench).orders
    orders.refused(until, bench.now, ACCOUNT)
    await bench.run(120)
    assert (bench.status.failed_attempts, bench.status.next_attempt_time) == (1, until)
    orders._open()
    await bench.run(60)
    assert len(bench.ca.orders) == 1, "it sleeps on"
    (certificate,) = bench.certificates
    assert bench.reconciler.release(["somebody else"]) == []
    assert bench.reconciler.release([certificate.metadata.uid]) == [certificate_key(certificate)]
    await bench.run(60)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 2)
    assert bench.reconciler.release([certificate.metadata.uid]) == []


async def test_the_wait_that_an_earlier_process_wrote_is_kept(bench: Bench) -> None:
    limits(bench).orders.refused(bench.now + dt.timedelta(minutes=10), bench.now, ACCOUNT)
    kept = limits(bench).kept(bench.now)
    bench.ready()
    limits(bench).restore(kept, bench.now)
    bench.restart()
    await bench.run(599)
    assert bench.ca.orders == {}
    await bench.run(120)
    assert bench.condition().status == "True"


async def test_a_limit_on_other_requests_stops_what_is_placed_as_well(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = limit(bench, monkeypatch, "finalize", "finalize", "slow down")
    await bench.run(600)
    assert len(asked) == 1
    assert bench.condition().reason == "RateLimited"
    assert limits(bench).others.enter(OTHER, bench.now) is not None
    await bench.run(3600)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 1)


async def test_a_limit_on_its_names_is_its_own_and_kept_for_the_next_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = limit(bench, monkeypatch, "new_order", "newOrder", NAMES)
    await bench.look()
    assert limits(bench).orders.enter(OTHER, bench.now) is None
    assert bench.status.next_attempt_time == bench.now + dt.timedelta(hours=1)
    bench.restart()
    await bench.run(3599)
    assert len(asked) == 1
    await bench.run(120)
    assert bench.condition().status == "True"


async def test_waiting_in_a_long_line_costs_few_reads_and_no_write_but_for_news(bench: Bench) -> None:
    orders = limits(bench).orders
    orders.refused(bench.now + dt.timedelta(minutes=1), bench.now, ACCOUNT)
    for number in range(600):
        orders.enter(Asker("team", f"uid-{number}"), bench.now)
    asked = bench.counting()
    await bench.look()
    assert asked == ["read_secret", "apply_status"]
    told = bench.status.next_attempt_time
    for _ in range(9):
        bench.now += dt.timedelta(minutes=1)
        orders.refused(bench.now + dt.timedelta(minutes=1), bench.now, ACCOUNT)  # the turn comes later each time
        await bench.look()
    assert asked == ["read_secret", "apply_status"]
    assert (bench.condition().reason, bench.status.next_attempt_time) == ("RateLimited", told)
    bench.now += dt.timedelta(minutes=1)
    orders.refused(bench.now + dt.timedelta(hours=1), bench.now, ACCOUNT)
    orders.went_well(Asker("team", "uid-0"), bench.now)
    orders._pace = dt.timedelta(minutes=5)
    await bench.look()
    assert asked[2:] == ["apply_status"], "that is news: it takes two days"
    assert told is not None
    assert bench.status.next_attempt_time is not None
    assert bench.status.next_attempt_time - told > dt.timedelta(days=1)


async def test_the_time_in_the_status_is_that_of_the_turn_and_not_of_the_next_look(bench: Bench) -> None:
    orders = limits(bench).orders
    orders.refused(bench.now + dt.timedelta(minutes=1), bench.now, ACCOUNT)
    for number in range(60):
        orders.enter(Asker("team", f"uid-{number}"), bench.now)
    result = await bench.look()
    turn = bench.now + dt.timedelta(minutes=1) + 60 * dt.timedelta(seconds=10)
    assert bench.status.next_attempt_time == turn
    assert result.after is not None
    assert bench.now + result.after > turn, "it is called before"


async def test_a_secret_that_appears_while_it_waits_is_found_before_anything_is_ordered(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    limits(bench).orders.refused(bench.now + dt.timedelta(minutes=5), bench.now, ACCOUNT)
    await bench.run(240)
    assert bench.condition().reason == "RateLimited"
    kube_api.put({"metadata": {"namespace": "team", "name": "web-tls"}, "type": "Opaque", "data": {"other": "Zm9v"}})
    await bench.run(120)
    assert bench.ca.orders == {}
    assert bench.condition().reason == "SecretNotOurs"
