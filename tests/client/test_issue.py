"""What `issue` does around the protocol; the whole of it is shown on Pebble in tests/integration."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.acme.conftest import DIRECTORY_URL, ORIGIN, FakeCa, FakeTime
from tests.client.test_proving import Recorder

from certwright.acme import (
    AccountKey,
    AcmeServer,
    Budget,
    BudgetExhausted,
    Client,
    InvalidIdentifier,
    Limit,
    LimitProfile,
    OrderFailed,
    RateLimited,
)
from certwright.client import BudgetWaited, CaaObjected, Event, InvalidPrivateKey, KeyReused, KeySpec, issue
from certwright.dns import CaaRecord, CaaSet, ResolutionFailed

if TYPE_CHECKING:
    from certwright.dns import DnsView


@pytest.fixture
def ca() -> FakeCa:
    return FakeCa()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(ca: FakeCa, time: FakeTime) -> Client:
    key = AccountKey.generate()
    ca.keys[f"{ORIGIN}/account/1"] = dict(key.jwk)
    return Client(AcmeServer(DIRECTORY_URL, ca, clock=time.clock()), key, account_url=f"{ORIGIN}/account/1")


@pytest.mark.parametrize(
    ("names", "options", "error"),
    [
        (["a b"], {}, InvalidIdentifier),
        ([], {}, InvalidIdentifier),
        (["a.example"], {"common_name": "b.example"}, InvalidIdentifier),
        (["a.example"], {"key": b"hunter2"}, InvalidPrivateKey),
        (["a.example"], {"key": KeySpec("ECDSA", 123)}, InvalidPrivateKey),
    ],
)
async def test_mistakes_show_before_anything_is_ordered(
    client: Client, ca: FakeCa, names: list[str], options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        await issue(client, names, solvers=[Recorder()], **options)
    assert "hunter2" not in str(caught.value)
    assert ca.paths() == []


async def test_the_account_key_is_refused_before_anything_is_ordered(client: Client, ca: FakeCa) -> None:
    """RFC 8555 section 11.1."""
    with pytest.raises(KeyReused):
        await issue(client, ["a.example"], solvers=[Recorder()], key=client.key.to_pem())
    assert ca.paths() == []


async def test_a_failed_order_counts_in_the_budget(client: Client, ca: FakeCa, time: FakeTime) -> None:
    budget = Budget(LimitProfile(failed_validations=Limit(1, timedelta(hours=1))), clock=time.clock())
    solver = Recorder()
    ca.order_states.extend(["invalid"])

    ca.reply(
        "/authz/0",
        lambda _: ca.json(ca.authorization(0)),
        lambda _: ca.json(ca.authorization(0, status="invalid", error={"type": "x", "detail": "no"})),
    )
    with pytest.raises(OrderFailed):
        await issue(client, ["*.a.example"], solvers=[solver], budget=budget)
    assert solver.calls[-1] == "clean_up *.a.example"
    with pytest.raises(BudgetExhausted, match=r"failed validations of \*\.a\.example"):
        await issue(client, ["*.a.example"], solvers=[solver], budget=budget, timeout=60)


async def test_it_waits_for_room_in_the_budget(client: Client, ca: FakeCa, time: FakeTime) -> None:
    budget = Budget(LimitProfile(orders_per_account=Limit(1, timedelta(seconds=30))), clock=time.clock())
    assert budget.reserve(account=client.account_url or "", identifiers=()).granted
    events: list[Event] = []
    ca.reply(
        "/new-order", lambda request: ca.problem("rateLimited", "slow down", request, headers={"Retry-After": "90"})
    )
    with pytest.raises(RateLimited):
        await issue(client, ["a.example"], solvers=[Recorder()], budget=budget, on_event=events.append)
    assert time.slept == [30]
    (waited,) = events
    assert isinstance(waited, BudgetWaited)
    assert str(waited) == "Waiting 30 s for the number of new orders of this account"
    # What the CA said is remembered: not even asked again.
    with pytest.raises(BudgetExhausted, match="what the CA allows for these names"):
        await issue(client, ["a.example"], solvers=[Recorder()], budget=budget, timeout=60)
    assert ca.paths().count("/new-order") == 1


class Records:
    def __init__(self, *records: CaaRecord | Exception) -> None:
        self.records = records

    async def find_caa(self, name: str) -> CaaSet | None:
        for record in self.records:
            if isinstance(record, Exception):
                raise record
        return CaaSet(name, tuple(record for record in self.records if isinstance(record, CaaRecord)))

    @property
    def view(self) -> DnsView:
        return self  # type: ignore[return-value]  # as far as it is used


@pytest.mark.parametrize(
    ("records", "objections"),
    [
        (Records(CaaRecord("issue", "other.example")), 1),
        (Records(CaaRecord("issue", "ca.test")), 0),
        (Records(ResolutionFailed("SERVFAIL")), 0),
    ],
)
async def test_caa_records_are_looked_at_and_stop_nothing(
    client: Client, ca: FakeCa, records: Records, objections: int
) -> None:
    events: list[Event] = []
    ca.reply("/new-order", lambda request: ca.problem("rateLimited", "enough of this test", request))
    with pytest.raises(RateLimited):
        await issue(
            client, ["a.example", "192.0.2.1"], solvers=[Recorder()], caa_view=records.view, on_event=events.append
        )
    found = [event for event in events if isinstance(event, CaaObjected)]
    assert len(found) == objections
    assert all("let other.example issue, not ca.test" in str(event) for event in found)
