"""One order for one attempt: what is wrong before it costs none, and what goes wrong after it costs no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright import acme
from certwright.certificates.order.responses import presented_responses
from certwright.challenges.dns01 import Dns01Presenter
from certwright.dns import ResolutionFailed
from certwright.failures import IssuanceError
from certwright.resources import FINALIZER
from tests.fakes.acme_client import PLACE

from .bench import Bench

if TYPE_CHECKING:
    import datetime as dt

    from tests.fakes.operator import Build, FakeKubeApi

LONG = ".".join(["a" * 60] * 3 + ["b" * 49, "example.test"])


class Aliases:
    """The DNS: every challenge is delegated."""

    async def follow_cname(self, name: str) -> str:
        if "broken" in name:
            raise ResolutionFailed("none of the resolvers had an answer")
        return "www.victim.test"


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    return Bench(build, kube_api, now)


def present_with(bench: Bench, presenter: Any) -> None:
    async def solver(*_: Any) -> Any:
        if isinstance(presenter, Exception):
            raise presenter
        return presenter

    bench.solver = solver  # type: ignore[method-assign]
    bench.restart()


RFC2136 = {"dns01": {"rfc2136": {"nameserver": "127.0.0.1:53"}}}
UNREACHABLE = Dns01Presenter(cast("Any", None), cast("Any", None), follow_cname=False)
STRICT = Dns01Presenter(cast("Any", None), cast("Any", Aliases()), allowed_targets=["acme.test"])


@pytest.mark.parametrize(
    ("name", "presenter", "solver", "reason"),
    [
        (LONG, UNREACHABLE, RFC2136, "InvalidName"),
        ("a.example.test", STRICT, RFC2136, "CNAMENotAllowed"),
        ("broken.example.test", STRICT, RFC2136, "DNSLookupFailed"),
        ("a.example.test", UNREACHABLE, {**RFC2136, "selector": {"dnsZones": ["b.test"]}}, "NoSolver"),
        ("*.example.test", UNREACHABLE, {"http01": {"ingress": {}}}, "WildcardNeedsDNS01"),
        ("a.example.test", IssuanceError("CredentialsMissing", "There is no Secret."), RFC2136, "CredentialsMissing"),
    ],
)
async def test_what_can_be_known_before_an_order_costs_none(
    bench: Bench, name: str, presenter: Any, solver: dict[str, Any], reason: str
) -> None:
    bench.issuer_spec = {"solvers": [solver]}
    bench.ready()
    present_with(bench, presenter)
    bench.write(name)
    await bench.run(24 * 3600)
    assert bench.condition().reason == reason
    assert not bench.ca.orders
    assert bench.status.failed_attempts == 0


async def test_authorizations_that_cannot_be_read_yet_cost_no_other_order(bench: Bench) -> None:
    fetch, failures = bench.ca.fetch_authorizations, 8

    async def behind(order: acme.Order) -> tuple[acme.Authorization, ...]:
        nonlocal failures
        if failures:
            failures -= 1
            raise acme.ServiceUnavailable("a replica behind", url=order.url, status=503)
        return await fetch(order)

    bench.ca.fetch_authorizations = behind  # type: ignore[method-assign]
    bench.write()
    await bench.run(10)
    assert bench.status.order is not None
    assert bench.status.order.url == f"{PLACE}/order/1", "it is written down whatever happens next"
    bench.restart()
    await bench.run(7200)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1
    assert (bench.dns.records, bench.finalizers) == (set(), [])


@pytest.mark.parametrize("verb", ["apply_status", "add_finalizer"])
async def test_an_order_that_cannot_be_written_down_is_remembered_and_nothing_is_presented_before(
    bench: Bench, verb: str
) -> None:
    bench.cluster.failing = {verb}
    bench.write()
    await bench.run(3600)
    assert len(bench.ca.orders) == 1
    assert not bench.dns.records
    bench.cluster.failing = set()
    bench.dns.hidden = True
    await bench.run(400)
    assert bench.dns.records == set(presented_responses(bench.status).values())
    assert bench.finalizers == [FINALIZER]
    bench.dns.hidden = False
    await bench.run(3600)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_answers_to_orders_that_cannot_be_used_are_not_asked_for_without_end(bench: Bench) -> None:
    new_order, placed = bench.ca.new_order, 0

    async def unusable(*_: Any, **__: Any) -> acme.Order:
        nonlocal placed
        placed += 1
        raise acme.MalformedResponse("the order has no finalize", url=f"{PLACE}/order", status=201)

    bench.ca.new_order = unusable  # type: ignore[method-assign]
    bench.write()
    await bench.run(24 * 3600)
    assert bench.condition().reason == "CAMalformedResponse"
    assert 5 < placed <= 10
    bench.ca.new_order = new_order  # type: ignore[method-assign]
    await bench.run(24 * 3600)
    assert bench.condition().status == "True"


async def test_an_order_without_a_challenge_for_us_is_written_down_and_not_repeated_at_once(bench: Bench) -> None:
    fetch = bench.ca.fetch_authorizations

    async def others(order: acme.Order) -> tuple[acme.Authorization, ...]:
        return tuple(
            replace(one, challenges=tuple(replace(each, type="tls-alpn-01") for each in one.challenges))
            for one in await fetch(order)
        )

    bench.ca.fetch_authorizations = others  # type: ignore[method-assign]
    bench.write()
    await bench.run(3600)
    assert bench.condition().reason == "NoChallenge"
    assert bench.status.order is not None
    assert (bench.status.order.url, bench.status.order.state) == (f"{PLACE}/order/3", "invalid")
    assert bench.status.failed_attempts == len(bench.ca.orders) == 3
