from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from certwright.dns import ResolutionFailed
from certwright.http01.addresses import MAX_ADDRESSES, Addresses, is_off_limits

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def leading(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Addresses]:
    """Addresses whose recursive server has these for every name."""

    def made(*found: str) -> Addresses:
        addresses = Addresses(["192.0.2.53"])

        async def answer(_host: str) -> tuple[str, ...]:
            return found

        monkeypatch.setattr(addresses._resolvers, "addresses", answer)
        return addresses

    return made


@pytest.mark.parametrize(
    ("address", "off_limits"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1", True),
        ("0.0.0.0", True),  # noqa: S104 - a name that leads there
        ("::", True),
        ("224.0.0.1", True),
        ("ff02::1", True),
        ("192.0.2.1", False),
        ("10.200.0.1", False),
        ("127.0.0.1", False),
        ("fd00::1", False),
        ("2001:db8::1", False),
    ],
)
def test_what_only_the_machine_or_link_knows_is_off_limits(address: str, *, off_limits: bool) -> None:
    assert is_off_limits(address) is off_limits


async def test_a_name_that_leads_to_the_metadata_service_leads_nowhere(leading: Callable[..., Addresses]) -> None:
    with pytest.raises(OSError, match=r"evil.test resolves to 169.254.169.254, which no CA can reach"):
        await leading("169.254.169.254").resolve("evil.test", 80)
    [one] = await leading("169.254.169.254", "192.0.2.1").resolve("evil.test", 80)
    assert (one["host"], one["port"]) == ("192.0.2.1", 80)


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
