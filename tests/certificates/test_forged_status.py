"""Statuses that somebody else wrote: whoever may write them gets nothing that the spec would not give."""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509

from certwright import acme
from certwright.certificates.plan import plan
from certwright.certificates.seal import seal_of
from certwright.certificates.steps.finalize import Finalize
from certwright.certificates.steps.resting import Sleep
from certwright.certificates.steps.start_order import StartOrder
from certwright.challenges.response import RecordResponse
from certwright.issuers.registry import ReadyIssuer
from certwright.resources import FINALIZER, ISSUING, OrderStatus
from tests.fakes.acme_client import PLACE

from .bench import CA, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.certificates.tools import Tools
    from tests.fakes.operator import Body, Build, FakeKubeApi

OWN = RecordResponse("_acme-challenge.a.example.test", "value-of-a-example-test")
SPF = RecordResponse("victim.example.test", "spf")
OTHERS_ORDER = f"{PLACE}/order/of-another-namespace"


class WatchedBench(Bench):
    """Writes down which orders are asked about; a Certificate waits for its record to be seen."""

    def __init__(self, build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> None:
        super().__init__(build, kube_api, now)
        self.dns.hidden = True
        self.asked: list[str] = []
        fetch = self.ca.fetch_order

        async def watched(url: str, *, known: acme.Order | None = None) -> acme.Order:
            self.asked.append(url)
            return await fetch(url, known=known)

        self.ca.fetch_order = watched  # type: ignore[method-assign]
        self.write()

    def forge(self, change: Callable[[Body], None]) -> None:
        """Somebody writes the status, and the watch brings it."""
        status = copy.deepcopy(self.cluster.body["status"])
        change(status)
        self.cluster.take({**self.cluster.body, "status": status})
        self.certificates.put(self.cluster.body)

    async def finish(self) -> None:
        self.dns.hidden = False
        await self.run(3600)
        assert self.condition().status == "True"
        assert (self.status.order, self.finalizers) == (None, [])


@pytest.fixture
async def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> WatchedBench:
    bench = WatchedBench(build, kube_api, now)
    await bench.run(5)
    assert bench.dns.records == {OWN}
    bench.dns.records.add(SPF)
    return bench


def name_the_spf_record(status: Body) -> None:
    status["order"]["authorizations"][0]["record"] = {"type": "TXT", "name": SPF.name, "value": SPF.value}


def name_another_order(status: Body) -> None:
    status["order"]["url"] = OTHERS_ORDER


def drop_order(status: Body) -> None:
    del status["order"]


def drop_records(status: Body) -> None:
    status["order"]["authorizations"] = []


def set_absurd_times(status: Body) -> None:
    status |= dict.fromkeys(("nextAttemptTime", "lastFailureTime", "notAfter"), "9999-12-31T23:59:59-23:00")
    status |= {"failedAttempts": 999_999_999, "revision": 999_999_999}
    status["order"] |= {"createdAt": "9999-12-31T23:59:59-23:00", "expires": "0001-01-01T00:00:00+23:00"}
    for condition in status["conditions"]:
        condition["lastTransitionTime"] = "0001-01-01T00:00:00+23:00"


FORGERIES = [name_the_spf_record, name_another_order, drop_order, drop_records, set_absurd_times]


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_the_process_that_placed_an_order_goes_on_with_it_whatever_the_status_says(
    bench: WatchedBench, forgery: Callable[[Body], None]
) -> None:
    bench.forge(forgery)
    await bench.run(60)
    assert bench.dns.records == {OWN, SPF}
    await bench.finish()
    assert bench.dns.records == {SPF}
    assert len(bench.ca.orders) == 1
    assert OTHERS_ORDER not in bench.asked
    assert "OrderNotOurs" not in bench.events


@pytest.mark.parametrize("forgery", [name_the_spf_record, name_another_order])
async def test_after_a_restart_an_order_that_was_changed_is_neither_continued_nor_cleaned_up_after(
    bench: WatchedBench, forgery: Callable[[Body], None]
) -> None:
    bench.restart()
    bench.forge(forgery)
    bench.asked.clear()
    await bench.run(60)
    assert bench.asked == []
    assert bench.events.count("OrderNotOurs") == 1
    assert len(bench.ca.orders) == 2
    assert bench.dns.records == {OWN, SPF}
    await bench.finish()
    assert SPF in bench.dns.records


@pytest.mark.parametrize("forgery", [name_the_spf_record, name_another_order])
async def test_a_deleted_certificate_removes_no_record_that_somebody_wrote_into_its_status(
    bench: WatchedBench, forgery: Callable[[Body], None]
) -> None:
    bench.restart()
    bench.forge(forgery)
    bench.write(metadata={"deletionTimestamp": bench.now.isoformat(), "finalizers": [FINALIZER]})
    await bench.run(60)
    assert SPF in bench.dns.records
    assert bench.finalizers == []


async def test_absurd_times_and_counts_hold_nothing_up(bench: WatchedBench) -> None:
    bench.restart()
    bench.forge(set_absurd_times)
    await bench.finish()
    assert len(bench.ca.orders) == 1
    assert "InternalError" not in bench.events
    assert bench.status.revision == 999_999_999


async def test_an_absurd_time_of_an_order_does_not_keep_a_failure_of_the_ca_from_being_told(
    bench: WatchedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any, **__: Any) -> Any:
        problem = acme.Problem(type="urn:ietf:params:acme:error:serverInternal", detail="no")
        raise acme.ServerInternal(problem, action="order", url=PLACE, status=500)

    monkeypatch.setattr(bench.ca, "fetch_order", failing)
    bench.restart()
    bench.forge(set_absurd_times)
    await bench.run(10)
    assert bench.condition(ISSUING).reason == "CAInternalError"


async def test_the_status_of_another_certificate_is_of_no_use(bench: WatchedBench) -> None:
    bench.restart()
    bench.write(metadata={"uid": "uid-other"})
    await bench.run(60)
    assert bench.events.count("OrderNotOurs") == 1
    assert bench.asked == []
    await bench.finish()


async def test_an_order_that_an_earlier_process_wrote_down_is_continued(bench: WatchedBench) -> None:
    bench.restart()
    await bench.finish()
    assert len(bench.ca.orders) == 1
    assert bench.dns.records == {SPF}
    assert "OrderNotOurs" not in bench.events


async def test_the_key_of_another_issuer_seals_nothing_for_this_one(bench: WatchedBench, build: Build) -> None:
    """A tenant holds the account key of an Issuer of his own, and lets the Certificate refer to it for a while."""
    own_key = acme.AccountKey.generate()
    shared, shared_key = bench.registry.ready(CA), bench.ca.key
    assert shared is not None
    bench.restart()

    def seal(status: Body) -> None:
        name_the_spf_record(status)
        order = OrderStatus.model_validate(status["order"])
        status["order"]["seal"] = seal_of(order, "uid-web", own_key)

    bench.forge(seal)
    bench.ca.key = own_key
    bench.registry.set_ready(ReadyIssuer(CA, "uid-own", 1, build.issuer(), shared.client, shared.account_url, "team"))
    bench.dns.broken = {"present", "clean_up"}
    bench.ca.orders.clear()
    bench.write("b.example.test", metadata={"generation": 2})
    await bench.run(1)
    bench.ca.key = shared_key
    bench.registry.set_ready(shared)
    bench.dns.broken = set()
    await bench.run(600)
    assert SPF in bench.dns.records
    assert "OrderNotOurs" in bench.events


async def test_an_order_that_is_for_other_names_at_the_ca_is_abandoned(bench: WatchedBench) -> None:
    [url] = bench.ca.orders
    bench.ca.orders[url] = replace(bench.ca.orders[url], identifiers=(acme.Identifier.dns("victim.example.test"),))
    bench.restart()
    await bench.run(60)
    assert "OrderChanged" in bench.events
    assert len(bench.ca.orders) == 2
    await bench.finish()


async def test_the_selectors_are_asked_again_when_an_order_is_resumed(bench: WatchedBench) -> None:
    bench.issuer_spec = {
        "solvers": [{**bench.build.issuer().to_json()["solvers"][0], "selector": {"dnsZones": ["b.test"]}}]
    }
    bench.ready()
    bench.restart()
    bench.asked.clear()
    await bench.run(60)
    assert bench.condition().reason == "NoSolver"
    assert bench.asked == []


async def test_an_order_elsewhere_is_not_asked_about_even_if_the_seal_is_right(bench: WatchedBench) -> None:
    bench.restart()

    def lead_elsewhere(status: Body) -> None:
        status["order"]["url"] = "https://metadata.example.test/order/1"
        status["order"]["seal"] = seal_of(OrderStatus.model_validate(status["order"]), "uid-web", bench.ca.key)

    bench.forge(lead_elsewhere)
    bench.asked.clear()
    await bench.run(60)
    assert "OrderElsewhere" in bench.events
    assert bench.asked == []
    await bench.finish()


async def test_attempts_that_failed_cannot_be_taken_back(bench: WatchedBench) -> None:
    bench.dns.hidden = False
    bench.ca.verdict = "invalid"
    await bench.run(30)

    def take_back(status: Body) -> None:
        for field in ("order", "failedAttempts", "lastFailureTime", "nextAttemptTime"):
            status.pop(field, None)

    for _ in range(20):
        bench.forge(take_back)
        await bench.run(60)
    assert len(bench.ca.orders) <= 3, "after 1 and 10 minutes, and not each minute"


@pytest.mark.parametrize(("ahead", "believed"), [(dt.timedelta(hours=20), True), (dt.timedelta(days=365), False)])
def test_a_next_attempt_later_than_any_pause_is_not_waited_for(
    build: Build, now: dt.datetime, ahead: dt.timedelta, *, believed: bool
) -> None:
    certificate = build.certificate()
    order = build.order_status(certificate, state="invalid", presented=False)
    status = certificate.status.replace(order=order, failed_attempts=3, next_attempt_time=now + ahead)
    step = plan(build.observation(certificate, status=status), now)
    assert isinstance(step, Sleep if believed else StartOrder)


async def test_the_csr_is_for_the_names_of_the_spec(build: Build, now: dt.datetime) -> None:
    sent: list[x509.CertificateSigningRequest] = []

    async def finalize(order: acme.Order, csr: bytes) -> acme.Order:
        sent.append(x509.load_der_x509_csr(csr))
        return order

    client: Any = type("Client", (), {"finalize": staticmethod(finalize)})
    issuer = ReadyIssuer(CA, "uid-ca", 1, build.issuer(), client, f"{PLACE}/account/1", "team")
    key = acme.AccountKey.generate()._private_key
    open_order = build.open_order("ready", ["victim.example.test"], key=key)
    observation = build.observation(issuer=issuer, open_order=open_order)
    tools = cast("Tools", type("Tools", (), {"kube_api": None, "clock": staticmethod(lambda: now)}))
    async for _ in Finalize().run(observation, tools):
        pass
    [request] = sent
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.test"]
