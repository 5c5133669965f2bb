"""A CA that refuses and says until when: the error knows it in either form, whatever else comes with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from certwright.acme import RateLimited, ServerInternal, ServiceUnavailable
from harness.ordeal import Ordeal, check_outcome
from harness.outcomes import REFUSALS
from testbed.faults import FAULTS
from testbed.faults.refusals import HELP, WAIT

if TYPE_CHECKING:
    from testbed import TestBed

SOON = timedelta(minutes=2)


@pytest.fixture
def ordeal(bed: TestBed) -> Ordeal:
    return Ordeal(bed.pebble, bed.bind)


@pytest.mark.parametrize("name", [name for name in REFUSALS if name.startswith("rate-limited")])
async def test_a_rate_limit_says_when_it_is_over(ordeal: Ordeal, name: str) -> None:
    check_outcome(FAULTS[name], error := await ordeal.suffer(FAULTS[name]))
    assert isinstance(error, RateLimited)
    assert error.retry_at is not None
    assert abs(error.retry_at - datetime.now(UTC) - WAIT) < SOON
    assert f"again at {error.retry_at:%Y-%m-%dT%H:%M:%SZ}" in str(error)
    assert error.help_url == (HELP if name == "rate-limited-for-seconds" else None)
    assert ordeal.struck == 1, "who is over a limit does not ask again at once"


@pytest.mark.parametrize("name", [name for name in REFUSALS if name.startswith("unavailable")])
async def test_a_ca_out_of_service_says_when_to_come_back(ordeal: Ordeal, name: str) -> None:
    check_outcome(FAULTS[name], error := await ordeal.suffer(FAULTS[name]))
    assert isinstance(error, ServiceUnavailable)
    assert error.status == 503
    assert error.retry_after is not None
    assert abs(timedelta(seconds=error.retry_after) - WAIT) < SOON


async def test_an_internal_error_says_what_the_ca_said_if_it_said_it(ordeal: Ordeal) -> None:
    page, problem = FAULTS["internal-error-in-html"], FAULTS["internal-error"]
    check_outcome(page, await ordeal.suffer(page))
    check_outcome(problem, error := await ordeal.suffer(problem))
    assert isinstance(error, ServerInternal)
    assert (error.action, error.status, error.problem.detail) == ("finalize", 500, "the signer is out of order")


@pytest.mark.parametrize(
    "resource", ["directory", "newNonce", "newAccount", "authorization", "challenge", "certificate"]
)
async def test_a_refusal_is_the_same_error_at_every_resource(ordeal: Ordeal, resource: str) -> None:
    fault = FAULTS["unavailable-for-seconds"].at(resource)
    check_outcome(fault, await ordeal.suffer(fault))
