"""Whole passes with a step that fails, or is overtaken by news, in its middle: what went well before is not lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright import acme
from certwright.certificates.order.responses import presented_responses
from certwright.resources import FINALIZER
from tests.fakes.solvers import SILENCE, FakeDns

from .bench import WEB, Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from certwright.challenges.response import RecordResponse


class WatchedDns(FakeDns):
    """Calls back before it presents."""

    def __init__(self, before: Callable[[Sequence[RecordResponse]], None]) -> None:
        super().__init__()
        self.before = before

    async def present(self, records: Sequence[RecordResponse]) -> None:
        self.before(records)
        await super().present(records)


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_spec_that_comes_back_after_half_a_clean_up_has_nothing_presented_that_is_not_written_down(
    bench: Bench, *, restarted: bool
) -> None:
    def written_down(records: Sequence[RecordResponse]) -> None:
        assert set(records) <= set(presented_responses(bench.status).values())
        assert bench.finalizers == [FINALIZER]
        presented.append(len(records))

    presented: list[int] = []
    bench.dns = WatchedDns(written_down)
    bench.dns.hidden = True
    await bench.run(5)
    bench.cluster.failing = {"delete_secret"}
    bench.write("b.example.test", metadata={"generation": 2})
    await bench.run(3)
    assert not bench.dns.records, "the records are gone, and the pending key is not"
    bench.write(metadata={"generation": 3})
    if restarted:
        bench.restart()
    await bench.run(300)
    bench.cluster.failing = set()
    bench.dns.hidden = False
    await bench.run(600)
    assert bench.condition().status == "True"
    assert presented == [1, 1]
    assert (bench.dns.records, bench.finalizers, bench.status.order) == (set(), [], None)


async def test_an_issuer_that_changes_during_a_look_is_tried_at_once_by_the_next(bench: Bench) -> None:
    def correct(_: Sequence[RecordResponse]) -> None:
        bench.reconciler.issuer_changed(WEB)
        bench.dns = FakeDns()
        raise SILENCE

    bench.dns = WatchedDns(correct)
    await bench.look()
    assert not bench.dns.records
    await bench.look()
    assert bench.dns.records


async def test_what_is_forgotten_during_a_look_stays_forgotten(bench: Bench) -> None:
    bench.dns = WatchedDns(lambda _: bench.reconciler.forget(WEB, "uid-web"))
    await bench.look()
    assert not bench.reconciler._memories


async def test_a_lost_answer_to_the_csr_costs_no_key(bench: Bench) -> None:
    """All authorizations are valid already, so that nothing but finalizing makes the key."""
    finalize, new_order = bench.ca.finalize, bench.ca.new_order

    async def ready(identifiers: Sequence[acme.Identifier], **_: Any) -> acme.Order:
        order = replace(await new_order(identifiers), status=acme.OrderStatus.READY)
        bench.ca.orders[order.url] = order
        bench.ca.proved.update(f"https://ca.example.test/challenge/{one.value}" for one in identifiers)
        return order

    async def lose_answer(order: acme.Order, csr: bytes) -> acme.Order:
        await finalize(order, csr)
        bench.ca.not_ready = 1
        bench.ca.finalize = finalize  # type: ignore[method-assign]  # the network is well again
        raise acme.ConnectionFailed("reset", host="ca.example.test", request_sent=True)

    bench.ca.new_order, bench.ca.finalize = ready, lose_answer  # type: ignore[method-assign]
    await bench.run(60)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1
    assert sum(call.startswith("apply certwright-pending-") for call in bench.cluster.secrets.calls) == 1
