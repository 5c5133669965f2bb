"""Nonces, redirects, headers, directories, orders and links that contradict RFC 8555."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certwright.acme import BadNonce, MalformedResponse, PollTimedOut, RedirectRefused
from certwright.acme.server import MAX_NONCE_TRIES
from harness.ordeal import Ordeal, check_outcome
from harness.outcomes import LINKS, ORDERS, OUTCOMES, PROTOCOL
from testbed.faults import FAULTS

if TYPE_CHECKING:
    from testbed import TestBed


NONCES = ("always-the-same-nonce", "every-nonce-refused")
REDIRECTS = ("redirect-on-same-host", "redirect-to-other-host", "redirect-loop")
LOOKED_AT = {*NONCES, *REDIRECTS, "always-processing", "authorization-for-other-name"}
LOOKED_AT |= {"orders-in-circle", "orders-without-end"}
"""Those with tests of their own, here or among the features."""


@pytest.fixture
def ordeal(bed: TestBed) -> Ordeal:
    return Ordeal(bed.pebble, bed.bind)


def test_every_fault_has_an_outcome() -> None:
    assert set(OUTCOMES) == set(FAULTS)


@pytest.mark.parametrize("name", [name for name in {**PROTOCOL, **ORDERS, **LINKS} if name not in LOOKED_AT])
async def test_what_contradicts_the_protocol_is_told_or_does_not_matter(ordeal: Ordeal, name: str) -> None:
    check_outcome(FAULTS[name], await ordeal.suffer(FAULTS[name]))


@pytest.mark.parametrize("name", NONCES)
async def test_nonces_that_are_never_accepted_are_given_up_on(ordeal: Ordeal, name: str) -> None:
    check_outcome(FAULTS[name], error := await ordeal.suffer(FAULTS[name]))
    assert isinstance(error, BadNonce)
    # One newNonce for each try at most, and the directory.
    assert ordeal.struck <= 2 * MAX_NONCE_TRIES + 1


@pytest.mark.parametrize("name", REDIRECTS)
async def test_a_redirect_is_not_followed(ordeal: Ordeal, name: str) -> None:
    check_outcome(FAULTS[name], error := await ordeal.suffer(FAULTS[name]))
    assert isinstance(error, RedirectRefused)
    assert error.status == 307
    assert ordeal.struck == 1


async def test_an_order_that_never_ends_is_given_up_on(ordeal: Ordeal) -> None:
    fault = FAULTS["always-processing"]
    check_outcome(fault, error := await ordeal.suffer(fault))
    assert isinstance(error, PollTimedOut)
    assert error.status == "processing"
    assert "/my-order/" in error.url


async def test_records_for_a_foreign_name_are_never_made(ordeal: Ordeal) -> None:
    fault = FAULTS["authorization-for-other-name"]
    check_outcome(fault, error := await ordeal.suffer(fault))
    assert isinstance(error, MalformedResponse)
    assert "this authorization for other.example.test" in str(error)
