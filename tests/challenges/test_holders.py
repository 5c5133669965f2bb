from __future__ import annotations

import asyncio

import pytest

from certwright.challenges.holders import Holders
from certwright.challenges.response import RecordResponse
from certwright.dns import TxtRecord

Records = Holders[RecordResponse]

A = RecordResponse("_acme-challenge.a.test", "one")
A_TOO = RecordResponse("_acme-challenge.a.test", "two")
B = RecordResponse("_acme-challenge.b.test", "one")


@pytest.fixture
def ledger() -> Records:
    return Holders()


async def release(ledger: Records, holder: str, *records: RecordResponse) -> list[RecordResponse]:
    async with ledger.releasing(holder, records) as removable:
        return list(removable)


async def test_the_last_holder_removes_a_shared_value(ledger: Records) -> None:
    await ledger.hold("first", [A, B])
    await ledger.hold("second", [A, A_TOO])
    assert await release(ledger, "first", A, B) == [B]
    assert await release(ledger, "second", A, A_TOO) == [A, A_TOO]
    assert not ledger._holders
    assert not ledger._locks._locks


async def test_holding_twice_is_holding_once(ledger: Records) -> None:
    await ledger.hold("first", [A, A])
    await ledger.hold("first", [A])
    assert await release(ledger, "first", A, A) == [A]


async def test_records_of_an_earlier_process_are_removed_unless_somebody_holds_them(
    ledger: Holders[RecordResponse],
) -> None:
    assert await release(ledger, "restarted", A) == [A]
    await ledger.hold("other", [A])
    assert await release(ledger, "restarted", A) == []


async def test_holding_waits_for_a_removal_under_way(ledger: Records) -> None:
    await ledger.hold("first", [A])
    async with ledger.releasing("first", [A]) as removable:
        assert removable == [A]
        waiting = asyncio.create_task(ledger.hold("second", [A_TOO]))
        elsewhere = asyncio.create_task(ledger.hold("third", [B]))
        await asyncio.sleep(0.01)
        assert not waiting.done(), "a value at this name would be presented during a removal there"
        assert elsewhere.done()
    await asyncio.wait_for(waiting, 60)
    assert await release(ledger, "second", A_TOO) == [A_TOO]


async def test_a_removal_that_fails_keeps_the_records(ledger: Records) -> None:
    await ledger.hold("first", [A, B])
    await ledger.hold("second", [A])
    with pytest.raises(RuntimeError):
        async with ledger.releasing("first", [A, B]):
            raise RuntimeError
    assert await release(ledger, "second", A) == [], "the first one still has to remove it"
    assert await release(ledger, "first", A, B) == [A, B]


async def test_a_cancelled_wait_leaves_no_lock(ledger: Records) -> None:
    async with ledger.releasing("first", [A]):
        waiting = asyncio.create_task(ledger.hold("second", [A]))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    assert not ledger._locks._locks
    assert not ledger._holders


async def test_many_releases_of_the_same_names_do_not_wait_for_each_other_in_a_ring(
    ledger: Holders[RecordResponse],
) -> None:
    records = [RecordResponse(f"n{number}.test", "v") for number in range(10)]
    holders = [f"holder-{number}" for number in range(10)]
    for holder in holders:
        await ledger.hold(holder, records)
    shuffled = [records[number:] + records[:number] for number in range(10)]
    calls = [release(ledger, holder, *order) for holder, order in zip(holders, shuffled, strict=True)]
    removed = await asyncio.wait_for(asyncio.gather(*calls), 60)
    assert sorted(map(len, removed)) == [0] * 9 + [10]


async def test_what_is_gone_holds_nothing(ledger: Records) -> None:
    await ledger.hold("gone", [A, B])
    await ledger.hold("other", [A])
    ledger.forget("gone")
    ledger.forget("never seen")
    assert await release(ledger, "other", A) == [A]
    assert not ledger._holders


async def test_several_holders_can_release_at_once(ledger: Records) -> None:
    await ledger.hold("first", [A, A_TOO])
    await ledger.hold("second", [A, B])
    await ledger.hold("third", [B])
    assert set(ledger) == {A, A_TOO, B}
    assert set(ledger.at(A.name)) == {A, A_TOO}
    assert set(ledger.held_by(["first", "third"])) == {A, A_TOO, B}
    async with ledger.releasing_all(["first", "second"], ledger.held_by(["first", "second"])) as removable:
        assert set(removable) == {A, A_TOO}
    assert list(ledger) == [B]
    assert ledger.at(A.name) == ()


def test_a_record_that_answers_a_challenge_is_that_record() -> None:
    plain = TxtRecord(A.name, A.value)
    assert plain == A
    assert plain == A
    assert {plain, A, A_TOO} == {A, A_TOO}
    assert TxtRecord(A.name, "other") != A
    assert (A.name, A.value) != A


async def test_what_a_holder_keeps_is_held_and_the_rest_is_given_up(ledger: Records) -> None:
    await ledger.hold("first", [A, A_TOO])
    await ledger.hold("second", [A_TOO])
    ledger.keep_only("first", [A, B])
    assert ledger.held_by(["first"]) == (A,)
    assert await release(ledger, "second", A_TOO) == [A_TOO]
    ledger.keep_only("first", [])
    assert not ledger._holders
