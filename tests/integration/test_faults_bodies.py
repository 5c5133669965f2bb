"""Bodies that are damaged, foreign or too much: refused without being quoted, and never held whole."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from certwright.acme import ResponseTooLarge
from harness.ordeal import Ordeal, check_outcome
from harness.outcomes import BODIES
from testbed.faults import FAULTS

if TYPE_CHECKING:
    from testbed import TestBed

HEAVY = ("large-body", "endless-body", "unavailable-with-endless-page", "gzip-bomb")
MEGABYTE = 1_000_000
MOST_MEGABYTES = 6
"""What an issuance may hold at its peak, with the share of the proxy, which runs in the same process."""


@pytest.fixture
def ordeal(bed: TestBed) -> Ordeal:
    return Ordeal(bed.pebble, bed.bind)


@pytest.mark.parametrize("name", [name for name in BODIES if name not in HEAVY])
async def test_a_body_that_is_no_answer_is_refused(ordeal: Ordeal, name: str) -> None:
    check_outcome(FAULTS[name], await ordeal.suffer(FAULTS[name]))


@pytest.mark.parametrize("name", ["html-page", "large-body"])
@pytest.mark.parametrize(
    "resource", ["directory", "newAccount", "newOrder", "authorization", "finalize", "certificate"]
)
async def test_it_is_refused_at_every_resource(ordeal: Ordeal, name: str, resource: str) -> None:
    fault = FAULTS[name].at(resource)
    check_outcome(fault, await ordeal.suffer(fault))


@pytest.mark.parametrize("resource", ["order", "certificate"])
@pytest.mark.parametrize("name", HEAVY)
async def test_memory_stays_bounded(ordeal: Ordeal, name: str, resource: str) -> None:
    fault = FAULTS[name].at(resource)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        error = await ordeal.suffer(fault)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    check_outcome(fault, error)
    assert peak - before < MOST_MEGABYTES * MEGABYTE
    if isinstance(error, ResponseTooLarge):
        assert "sent more than 262144 bytes" in str(error)
