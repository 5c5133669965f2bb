# ruff: noqa: ARG002
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.dns import ProviderRefused, TxtRecord
from certwright.dns.hosted.provider import TRIES, Outdated
from certwright.dns.hosted.record import FoundRecord, RecordProvider
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider, Swap
from certwright.dns.hosted.zones import HostedZone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAME = "_acme-challenge.example.com"
ZONE = HostedZone("1", "example.com")


class Contested:
    """What somebody else changes at the worst time: as often as `quicker` says, while it is read."""

    host = "api.dns.example"

    def __init__(self, quicker: int) -> None:
        super().__init__()
        self.quicker = quicker
        self.written: list[Any] = []

    async def find_zone(self, name: str) -> HostedZone:
        return ZONE

    def look(self) -> None:
        if self.quicker:
            self.quicker -= 1
            raise Outdated


class Sets(Contested, RecordSetProvider):
    async def read(self, zone: HostedZone, names: Sequence[str]) -> list[RecordSet]:
        self.look()
        return [RecordSet(NAME, frozenset({"foreign"}), ttl=7)]

    async def swap(self, zone: HostedZone, swaps: Sequence[Any]) -> None:
        self.written += swaps


class Records(Contested, RecordProvider):
    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[Any]:
        self.look()
        return []

    async def write(self, zone: HostedZone, create: Sequence[TxtRecord], delete: Sequence[Any]) -> None:
        self.written += create


@pytest.mark.parametrize("make", [Sets, Records])
async def test_what_changes_while_it_is_read_is_read_again(make: Callable[[int], Sets | Records]) -> None:
    provider = make(TRIES - 1)
    await provider.present([TxtRecord(NAME, "v")])
    assert len(provider.written) == 1


@pytest.mark.parametrize("make", [Sets, Records])
async def test_what_never_stands_still_is_told_with_its_zone(make: Callable[[int], Sets | Records]) -> None:
    with pytest.raises(ProviderRefused, match=r"api\.dns\.example refused a change of the zone example\.com 5 times"):
        await make(TRIES).present([TxtRecord(NAME, "v")])


async def test_the_set_of_somebody_else_keeps_its_ttl_and_its_values() -> None:
    provider = Sets(0)
    await provider.present([TxtRecord(NAME, "v", ttl=300)])
    (swap,) = provider.written
    assert (swap.values, swap.ttl) == (["foreign", "v"], 7)


def test_values_of_others_are_given_back_as_they_were_written() -> None:
    texts = ['"a" "b"', '"ab"', '"\\195\\188"', "plain", '"ours"', '"o" "urs"']
    read = RecordSet.of(NAME, texts, 300)
    assert read.values >= {"ab", "plain", "ours"}
    swap = Swap(read, frozenset({'new "one"'}), frozenset({"ours"}), 60)
    assert swap.texts == ['"a" "b"', '"ab"', '"\\195\\188"', "plain", '"new \\"one\\""']


@pytest.mark.parametrize("texts", [None, 5, True, "text", {"a": 1}])
def test_what_is_no_list_of_values_is_an_empty_set(texts: Any) -> None:
    assert RecordSet.of(NAME, texts, "soon") == RecordSet(NAME)


async def test_a_record_that_two_pages_have_is_deleted_once() -> None:
    class Twice(Records):
        async def find(self, zone: HostedZone, names: Sequence[str]) -> list[Any]:
            return [FoundRecord("1", TxtRecord(NAME, "ours")), FoundRecord("1", TxtRecord(NAME, "ours"))]

        async def write(self, zone: HostedZone, create: Sequence[TxtRecord], delete: Sequence[Any]) -> None:
            self.written += delete

    provider = Twice(0)
    await provider.clean_up([TxtRecord(NAME, "ours")])
    assert [one.id for one in provider.written] == ["1"]
