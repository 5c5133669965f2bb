from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from certwright.dns import ResolutionFailed
from certwright.http01.addresses import MAX_ADDRESSES, Addresses

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def leading(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Addresses]:
    """Addresses whose recursive server has these for every name."""

    def made(*found: str) -> Addresses:
        addresses = Addresses(["192.0.2.53"])

        async def answer(_host: str) -> tuple[str, ...]:
            return found

        async def has(_name: str, *_types: str) -> bool:
            return False

        monkeypatch.setattr(addresses._resolvers, "addresses", answer)
        monkeypatch.setattr(addresses._resolvers, "has", has)
        return addresses

    return made


async def test_a_name_that_leads_to_the_metadata_service_leads_nowhere(leading: Callable[..., Addresses]) -> None:
    with pytest.raises(OSError, match=r"evil.test resolves to 169.254.169.254, which no CA can reach"):
        await leading("169.254.169.254").resolve("evil.test", 80)
    [one] = await leading("169.254.169.254", "192.0.2.1").resolve("evil.test", 80)
    assert (one["host"], one["port"]) == ("192.0.2.1", 80)


@pytest.mark.parametrize("address", ["fd00:ec2::254", "168.63.129.16", "100.100.100.200", "64:ff9b::a9fe:a9fe"])
async def test_so_does_one_that_leads_to_another_form_of_it(leading: Callable[..., Addresses], address: str) -> None:
    with pytest.raises(OSError, match=f"evil.test resolves to {address}, which no CA can reach"):
        await leading(address).resolve("evil.test", 80)


async def test_a_host_that_vanished_behind_a_record_below_it_is_explained(
    leading: Callable[..., Addresses], monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses, there = leading(), {("_acme-challenge.shop.example.test", "TXT"), ("*.example.test", "AAAA")}

    async def has(name: str, *types: str) -> bool:
        return any((name, kind) in there for kind in types)

    monkeypatch.setattr(addresses._resolvers, "has", has)
    with pytest.raises(OSError, match=r"the wildcard \*\.example\.test does not answer for it. Remove that record"):
        await addresses.resolve("shop.example.test")
    there.clear()
    with pytest.raises(OSError, match=r"no address in the DNS$"):
        await addresses.resolve("shop.example.test")


async def test_families_and_their_number_are_bounded(leading: Callable[..., Addresses]) -> None:
    addresses = leading("192.0.2.1", "2001:db8::1")
    both = await addresses.resolve("a.test", 80)
    assert [one["family"] for one in both] == [socket.AF_INET, socket.AF_INET6]
    [only] = await addresses.resolve("a.test", 80, socket.AF_INET6)
    assert only["host"] == "2001:db8::1"
    assert len(await leading(*(f"192.0.2.{number}" for number in range(100))).resolve("a.test")) == MAX_ADDRESSES


async def test_no_address_and_no_answer_are_told_apart(
    leading: Callable[..., Addresses], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match=r"a.test has no address in the DNS"):
        await leading().resolve("a.test")
    addresses = leading()

    async def fail(_host: str) -> tuple[str, ...]:
        raise ResolutionFailed("no resolver could say")

    monkeypatch.setattr(addresses._resolvers, "addresses", fail)
    with pytest.raises(OSError, match=r"no resolver could say"):
        await addresses.resolve("a.test")
