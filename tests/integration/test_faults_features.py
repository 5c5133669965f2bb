"""Faults beside an issuance, and through `certwright.client`: chains, lists, renewal, revocation, rollover."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from certwright.acme import (
    AccountKey,
    ConnectionFailed,
    HeldKey,
    MalformedResponse,
    RateLimited,
    ResponseTooLarge,
    TimedOut,
    probe_keys,
)
from certwright.client import Dns01, IssuanceTimedOut, NoSolver, UnusableCertificate, issue
from harness.acme import provider_of
from harness.ordeal import Ordeal, check_outcome
from harness.outcomes import OUTCOMES
from testbed.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.acme_user import AcmeUser
    from testbed import TestBed
    from testbed.parts.pebble import Pebble

MOST_ALTERNATES = 10


@pytest.fixture
def ordeal(bed: TestBed) -> Ordeal:
    return Ordeal(bed.pebble, bed.bind)


async def test_chains_that_name_themselves_are_fetched_once(ordeal: Ordeal) -> None:
    async def all_chains(user: AcmeUser) -> None:
        chain = await user.client.download_chain(user.issued.url)
        assert await user.client.download_alternates(chain) == ()

    assert await ordeal.suffer(FAULTS["alternates-in-circle"], doing=all_chains) is None
    assert ordeal.struck == 1


async def test_chains_without_end_are_not_all_asked_for(make_pebble: Callable[..., Pebble], bed: TestBed) -> None:
    ordeal = Ordeal(make_pebble(alternate_roots=1, nonce_reject_percent=0), bed.bind)
    counted: list[str] = []

    async def all_chains(user: AcmeUser) -> None:
        chain = await user.client.download_chain(user.issued.url)
        counted.extend(chain.alternate_urls)
        await user.client.download_alternates(chain)

    error = await ordeal.suffer(FAULTS["alternates-without-end"], doing=all_chains)
    assert error is None, "they are not there, as Pebble says, and the default chain is still good"
    assert len(counted) == MOST_ALTERNATES


async def test_a_list_of_orders_that_goes_in_circles_is_malformed(ordeal: Ordeal) -> None:
    fault = FAULTS["orders-in-circle"]
    error = await ordeal.suffer(fault, doing=lambda user: user.client.list_orders())
    check_outcome(fault, error)
    assert ordeal.struck <= 2


async def test_a_list_of_orders_without_end_is_read_as_far_as_wanted(ordeal: Ordeal) -> None:
    listed: list[str] = []

    async def list_some(user: AcmeUser) -> None:
        listed.extend(await user.client.list_orders(limit=20))

    check_outcome(FAULTS["orders-without-end"], await ordeal.suffer(FAULTS["orders-without-end"], doing=list_some))
    assert len(listed) == ordeal.struck == 20


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("html-page", MalformedResponse),
        ("truncated-json", MalformedResponse),
        ("large-body", ResponseTooLarge),
        ("rate-limited-until-date", RateLimited),
        ("hang-before-answer", TimedOut),
        ("reset-before-answer", ConnectionFailed),
    ],
)
async def test_renewal_information_fails_by_itself(ordeal: Ordeal, name: str, error: type[Exception]) -> None:
    async def ask(user: AcmeUser) -> None:
        await user.client.fetch_renewal_info(user.issued.certificates[0])

    assert type(await ordeal.suffer(FAULTS[name].at("renewalInfo"), doing=ask)) is error


async def test_a_revocation_whose_answer_is_lost_is_found_to_be_done(ordeal: Ordeal) -> None:
    revoked: list[bool] = []

    async def revoke(user: AcmeUser) -> None:
        revoked.append(await user.client.revoke_certificate(user.issued.certificates[0]))

    assert await ordeal.suffer(FAULTS["answer-lost"].at("revokeCert").only(1), doing=revoke) is None
    assert revoked == [False], "the first request did it, and the second one heard so"


async def test_a_rollover_whose_answer_is_lost_can_be_looked_up(ordeal: Ordeal) -> None:
    held: list[HeldKey] = []

    async def roll_over(user: AcmeUser) -> None:
        old, new = user.client.key, AccountKey.generate()
        try:
            await user.client.change_key(new)
        finally:
            assert user.client.key == old
            held.append(await probe_keys(user.client, old=old, new=new))
            user.client.key = new

    error = await ordeal.suffer(FAULTS["answer-lost"].at("keyChange"), doing=roll_over)
    assert isinstance(error, ConnectionFailed)
    assert held == [HeldKey.NEW]


@pytest.fixture
def solver(bed: TestBed) -> Dns01:
    return Dns01(provider_of(bed.bind))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("leaf-for-another-key", UnusableCertificate),
        ("expired-leaf", UnusableCertificate),
        ("private-key-in-chain", MalformedResponse),
        ("endless-body", ResponseTooLarge),
        ("authorization-for-other-name", MalformedResponse),
        ("no-challenges", NoSolver),
        ("always-processing", IssuanceTimedOut),
    ],
)
async def test_one_call_for_all_of_it_ends_in_the_same_errors(
    ordeal: Ordeal,
    bed: TestBed,
    solver: Dns01,
    name: str,
    error: type[Exception],
) -> None:
    host = f"{secrets.token_hex(6)}.{bed.bind.zones[0]}"
    found = await ordeal.suffer(
        FAULTS[name], doing=lambda user: issue(user.client, [host], solvers=[solver], profile="default", timeout=3.0)
    )
    assert type(found) is error
    if isinstance(found, UnusableCertificate):
        assert type(found.__cause__) is OUTCOMES[name].error
    assert not [record for record in bed.bind.txt_records(bed.bind.zones[0]) if record.endswith(host)]


async def test_one_call_for_all_of_it_lives_through_a_lost_answer_to_finalize(
    ordeal: Ordeal, bed: TestBed, solver: Dns01
) -> None:
    host = f"{secrets.token_hex(6)}.{bed.bind.zones[0]}"
    lost = FAULTS["answer-lost"].only(1)
    error = await ordeal.suffer(
        lost, doing=lambda user: issue(user.client, [host], solvers=[solver], profile="default")
    )
    assert error is None
