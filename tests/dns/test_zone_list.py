"""The zones that an account has: each once, none that nothing could be asked about, and not too many in memory."""

from __future__ import annotations

from weakref import WeakSet

import pytest

from certwright.dns import ZoneNotFound
from certwright.dns.hosted import zones as module
from certwright.dns.hosted.listing import ListTooLong
from certwright.dns.hosted.zones import HostedZone, ZoneList


class Account:
    """An account and its clock."""

    def __init__(self, zones: list[HostedZone]) -> None:
        self.zones = zones
        self.now = 1000.0
        self.listed = 0
        self.list = ZoneList(self._fetch, whose="the account", hint="look there", monotonic=lambda: self.now)

    async def _fetch(self) -> list[HostedZone]:
        self.listed += 1
        self.now += 1
        return self.zones


async def test_a_zone_that_two_pages_have_is_one() -> None:
    account = Account([HostedZone("1", "example.com", 10), HostedZone("1", "example.com", 11)])
    assert (await account.list.find("www.example.com")).id == "1"


async def test_two_zones_of_one_name_are_none() -> None:
    account = Account([HostedZone("1", "example.com"), HostedZone("2", "example.com")])
    with pytest.raises(ZoneNotFound, match=r"2 public zones example\.com: look there"):
        await account.list.find("www.example.com")


@pytest.mark.parametrize("zone_id", ["", "a\nb", "a b", "é", "x" * 256])
async def test_what_no_request_could_name_is_no_zone(zone_id: str) -> None:
    account = Account([HostedZone(zone_id, "www.example.com"), HostedZone("1", "example.com")])
    assert (await account.list.find("www.example.com")).id == "1"
    assert account.list.count == 1


async def test_the_lists_that_were_read_first_are_forgotten_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 25)
    monkeypatch.setattr(module, "_LISTS", WeakSet())
    accounts = [Account([HostedZone(str(number), f"z{number}.example") for number in range(10)]) for _ in range(3)]
    for place, account in enumerate(accounts):
        account.now += place * 10
        await account.list.find("z1.example")
    assert [account.list.count for account in accounts] == [0, 10, 10]
    assert (await accounts[0].list.find("z1.example")).id == "1"
    assert [account.listed for account in accounts] == [2, 1, 1]


async def test_one_list_alone_may_be_longer_than_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 5)
    account = Account([HostedZone(str(number), f"z{number}.example") for number in range(10)])
    for _ in range(2):
        await account.list.find("z1.example")
    assert account.listed == 1


async def test_more_zones_than_can_be_remembered_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ITEMS", 5)
    account = Account([HostedZone(str(number), f"z{number}.example") for number in range(6)])
    for _ in range(2):
        with pytest.raises(ListTooLong, match="the account has more than 5 public zones"):
            await account.list.find("z1.example")
    assert account.listed == 1
