from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.http.addresses import AddressPolicy, is_public

METADATA = ["169.254.169.254", "168.63.129.16", "100.100.100.200"]
EVERYWHERE = AddressPolicy()
IN_A_POD = AddressPolicy(allow_loopback=False)


def forms(address: str) -> list[str]:
    """Every IPv6 address that stands for an IPv4 one."""
    low = int(ipaddress.IPv4Address(address))
    high_low = f"{low >> 16:x}:{low & 0xFFFF:x}"
    flipped = low ^ 0xFFFFFFFF
    return [
        f"::ffff:{high_low}",
        f"::ffff:0:{high_low}",
        f"64:ff9b::{high_low}",
        f"64:ff9b:1::{high_low}",
        f"2002:{high_low}::1",
        f"2001:0:{high_low}::",
        f"2001:0:203.0.113.1::{flipped >> 16:x}:{flipped & 0xFFFF:x}".replace("203.0.113.1", "cb00:7101"),
        f"::{high_low}",
        f"2001:db8::5efe:{high_low}",
        f"2001:db8::200:5efe:{high_low}",
    ]


@pytest.mark.parametrize(
    "address",
    [*METADATA, "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "192.0.0.192", "fd00:c1::a9fe:a9fe", "fd00:42::42"],
)
def test_metadata_services_of_every_cloud_are_refused_everywhere(address: str) -> None:
    for policy in (EVERYWHERE, IN_A_POD):
        assert policy.objection(address) == "the address of a cloud's metadata service"


@pytest.mark.parametrize("address", [form for address in METADATA for form in forms(address)])
def test_no_form_of_a_metadata_service_passes(address: str) -> None:
    assert EVERYWHERE.objection(address) == "the address of a cloud's metadata service"


@pytest.mark.parametrize(
    "address",
    [
        "169.254.170.2",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "0.0.0.0",  # noqa: S104 - a name that leads there
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
    ],
)
def test_what_means_something_only_here_or_on_this_link_is_refused(address: str) -> None:
    assert EVERYWHERE.objection(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.0.1", "::1", *forms("127.0.0.1")])
def test_loopback_is_refused_where_it_is_not_allowed(address: str) -> None:
    assert IN_A_POD.objection(address) == "a loopback address"


def test_loopback_passes_where_it_is_allowed() -> None:
    assert [EVERYWHERE.objection(address) for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1")] == [None] * 3


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.1",
        "10.96.0.10",
        "172.16.0.1",
        "100.64.0.1",
        "fd00::1",
        "2001:db8::1",
        "2606:4700::1111",
        "64:ff9b::102:304",
    ],
)
def test_other_addresses_private_ones_among_them_are_not(address: str) -> None:
    assert IN_A_POD.objection(address) is None


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("127.0.0.1", False),
    ],
)
def test_public_addresses_are_those_of_the_internet(address: str, *, public: bool) -> None:
    assert is_public(address) is public


@given(st.ip_addresses())
def test_every_address_is_judged(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    EVERYWHERE.objection(str(address))
    is_public(str(address))
