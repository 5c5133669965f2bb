"""Chains that are not what was asked for: found by the client or by the gate, and never let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.ordeal import Ordeal, check_outcome
from harness.outcomes import CHAINS
from testbed.faults import FAULTS

if TYPE_CHECKING:
    from testbed import TestBed


@pytest.fixture
def ordeal(bed: TestBed) -> Ordeal:
    return Ordeal(bed.pebble, bed.bind)


@pytest.mark.parametrize("name", CHAINS)
async def test_a_wrong_chain_is_refused_for_what_is_wrong(ordeal: Ordeal, name: str) -> None:
    check_outcome(FAULTS[name], await ordeal.suffer(FAULTS[name]))


async def test_a_foreign_block_is_named_by_its_kind(ordeal: Ordeal) -> None:
    error = await ordeal.suffer(FAULTS["private-key-in-chain"])
    assert "contains a block of type EC PRIVATE KEY" in str(error)


async def test_several_faults_at_once_end_in_the_first_that_is_met(ordeal: Ordeal) -> None:
    leaf, page = FAULTS["expired-leaf"], FAULTS["private-key-in-chain"]
    check_outcome(page, await ordeal.suffer(leaf, page))
