"""Changes that a provider is still distributing."""

from __future__ import annotations

import asyncio

import pytest

from certwright.dns import ProviderRefused, ProviderUnreachable, TxtRecord
from certwright.dns.hosted import changes as module
from certwright.dns.hosted.changes import EVERY_SECONDS, GAP_SECONDS, KEPT_SECONDS, MAX_FAILURES, PendingChanges

ONE, TWO = TxtRecord("a.example", "one"), TxtRecord("b.example", "two")


class Api:
    """Says of each change what it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.said: dict[str, str] = {}
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.changes = PendingChanges(self.ask, said="first", monotonic=lambda: self.now)

    async def ask(self, change: str) -> str:
        self.asked.append(change)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.said.get(change, "")

    def note(self, change: str, *records: TxtRecord) -> None:
        self.changes.note(change, [(record.name, record.value) for record in records])

    async def waiting(self, *records: TxtRecord) -> dict[TxtRecord, str]:
        return dict(await self.changes.pending(records))


@pytest.fixture
def api() -> Api:
    return Api()


async def test_a_record_is_pending_until_its_change_is_served_and_others_are_unknown(api: Api) -> None:
    api.note("c1", ONE)
    api.said["c1"] = "PENDING"
    assert await api.waiting(ONE, TWO) == {ONE: "first"}
    assert api.asked == [], "not sooner than a change can be served"
    api.now += EVERY_SECONDS
    assert await api.waiting(ONE) == {ONE: "PENDING"}
    api.said.clear()
    assert await api.waiting(ONE) == {ONE: "PENDING"}
    api.now += EVERY_SECONDS
    assert await api.waiting(ONE) == {}
    api.now += EVERY_SECONDS
    assert await api.waiting(ONE) == {}
    assert api.asked == ["c1", "c1"]


async def test_however_many_look_a_change_is_asked_for_once_and_others_not_all_at_once(api: Api) -> None:
    api.note("c1", ONE)
    api.note("c2", TWO)
    api.said |= {"c1": "PENDING", "c2": "PENDING"}
    api.now += EVERY_SECONDS
    await asyncio.gather(*(api.waiting(ONE, TWO) for _ in range(20)))
    assert len(api.asked) == 1
    api.now += GAP_SECONDS
    await asyncio.gather(*(api.waiting(ONE, TWO) for _ in range(20)))
    assert sorted(api.asked) == ["c1", "c2"]


async def test_a_later_change_of_the_same_value_counts(api: Api) -> None:
    api.note("c1", ONE)
    api.note("c2", ONE)
    api.said["c2"] = "PENDING"
    api.now += EVERY_SECONDS
    assert await api.waiting(ONE) == {ONE: "PENDING"}
    assert api.asked == ["c2"]


@pytest.mark.parametrize("error", [ProviderRefused("no"), ProviderUnreachable("away", host="h")])
async def test_a_question_that_fails_again_and_again_does_no_harm(api: Api, error: Exception) -> None:
    api.note("c1", ONE)
    api.error = error
    for _ in range(MAX_FAILURES - 1):
        api.now += EVERY_SECONDS
        assert await api.waiting(ONE) == {ONE: "first"}
    api.now += EVERY_SECONDS
    assert await api.waiting(ONE) == {}
    assert len(api.asked) == MAX_FAILURES


async def test_a_change_that_is_never_served_is_not_believed_for_ever(api: Api) -> None:
    api.note("c1", ONE)
    api.said["c1"] = "PENDING"
    api.now += KEPT_SECONDS + 1
    assert await api.waiting(ONE) == {}
    assert api.asked == []


async def test_what_is_remembered_is_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECORDS", 3)
    records = [TxtRecord(f"w{number}.example", "v") for number in range(5)]
    for record in records:
        api.note("c1", record)
    assert list(await api.waiting(*records)) == records[2:]
