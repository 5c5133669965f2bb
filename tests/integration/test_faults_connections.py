"""Connections that break or hang: told in time, repeated only where that is safe, and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certwright.acme import ConnectionFailed
from certwright.acme.server import MAX_RECONNECTS
from harness.ordeal import Ordeal, check_outcome
from harness.outcomes import CONNECTIONS
from testbed.faults import FAULTS

if TYPE_CHECKING:
    from testbed import TestBed


@pytest.fixture
def ordeal(bed: TestBed) -> Ordeal:
    return Ordeal(bed.pebble, bed.bind)


@pytest.mark.parametrize("name", CONNECTIONS)
async def test_a_connection_that_fails_is_told_in_time(ordeal: Ordeal, name: str) -> None:
    check_outcome(FAULTS[name], await ordeal.suffer(FAULTS[name]))


@pytest.mark.parametrize("resource", ["directory", "newNonce", "newAccount", "order", "authorization", "certificate"])
async def test_what_can_be_repeated_is_repeated(ordeal: Ordeal, resource: str) -> None:
    resets = FAULTS["reset-before-answer"].at(resource).only(*range(1, MAX_RECONNECTS + 1))
    assert await ordeal.suffer(resets) is None
    assert ordeal.struck == MAX_RECONNECTS


async def test_what_may_have_taken_effect_is_not_repeated(ordeal: Ordeal) -> None:
    error = await ordeal.suffer(FAULTS["answer-lost"].at("newOrder"))
    assert isinstance(error, ConnectionFailed)
    assert error.request_sent
    assert ordeal.struck == 1


@pytest.mark.parametrize("fault", ["answer-lost", "reset-before-answer"])
@pytest.mark.parametrize("resource", ["finalize", "challenge"])
async def test_after_a_lost_answer_the_order_or_the_challenge_says_what_is_left_to_do(
    ordeal: Ordeal, resource: str, fault: str
) -> None:
    assert await ordeal.suffer(FAULTS[fault].at(resource).only(1)) is None
    assert ordeal.struck == 1


async def test_connections_that_break_now_and_then_do_no_harm(ordeal: Ordeal) -> None:
    # Not of newNonce, whose answer has no middle.
    readings = ("directory", "order", "authorization", "certificate")
    assert await ordeal.suffer(FAULTS["reset-in-answer"].at(*readings).sometimes(0.3, seed=13)) is None
