"""The only list of addresses that are refused if a tenant, a CA or the DNS chose the target of a request."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA: Final = "the address of a cloud's metadata service"
LINK_LOCAL: Final = "a link-local address"
LOOPBACK: Final = "a loopback address"

_METADATA: Final = (
    "169.254.169.254/32",  # AWS, Google Cloud, Azure, OpenStack and most others
    "168.63.129.16/32",  # Azure's wire server
    "100.100.100.200/32",  # Alibaba Cloud
    "192.0.0.192/32",  # Oracle Cloud Classic
    "fd00:ec2::/64",  # AWS: the instance metadata service, and the agent of EKS pod identities
    "fd20:ce::254/128",  # Google Cloud
    "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud
    "fd00:42::42/128",  # Scaleway
    "fd00:a9fe:a9fe::/64",  # Akamai (Linode)
)
_REFUSED: Final = tuple(
    (ipaddress.ip_network(network), what)
    for what, networks in (
        (METADATA, _METADATA),
        (LINK_LOCAL, ("169.254.0.0/16", "fe80::/10")),
        ("an address of this host", ("0.0.0.0/8", "::/128")),
        ("a multicast address", ("224.0.0.0/4", "ff00::/8")),
        ("a reserved address", ("240.0.0.0/4",)),
    )
    for network in networks
)
_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_LOW_32_BITS: Final = (
    ipaddress.IPv6Network("::ffff:0:0/96"),  # IPv4-mapped
    ipaddress.IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated (RFC 2765)
    ipaddress.IPv6Network("64:ff9b::/96"),  # NAT64 (RFC 6052)
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # NAT64 of a local network (RFC 8215)
    ipaddress.IPv6Network("::/96"),  # IPv4-compatible
)
"""Prefixes whose last four bytes are an IPv4 address, which is where a packet goes in the end."""
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
"""The third quarter of an address whose last four bytes are an IPv4 address (RFC 5214)."""


@dataclass(frozen=True)
class AddressPolicy:
    """Decides whether an address may be connected to.

    Attributes:
        allow_loopback: Whether loopback addresses may be. In a pod nobody but the pod itself is there.
    """

    allow_loopback: bool = True

    def objection(self, address: str) -> str | None:
        """Return what keeps an address from being connected to, as in "a loopback address", or None.

        An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4, Teredo, ISATAP) is judged by both.

        Raises:
            ValueError: The text is no IP address.
        """
        return next(filter(None, map(self._objection, _meant(_parse(address)))), None)

    def _objection(self, address: Address) -> str | None:
        if not self.allow_loopback and any(address in network for network in _LOOPBACK):
            return LOOPBACK
        return next((what for network, what in _REFUSED if address in network), None)


def is_public(address: str) -> bool:
    """Whether an address is one of the internet, and no private, shared or special one.

    Raises:
        ValueError: The text is no IP address.
    """
    return all(one.is_global for one in _meant(_parse(address)))


def _parse(address: str) -> Address:
    return ipaddress.ip_address(address.partition("%")[0])  # the zone of a link-local address is no part of it


def _meant(address: Address) -> tuple[Address, ...]:
    """Return an address, or, in place of a form of an IPv4 address, what it stands for as well."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback or address.is_unspecified:
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    inner: list[Address] = []
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner += address.teredo
    third = int(address) >> 32 & 0xFFFFFFFF
    if third in _ISATAP or any(address in network for network in _LOW_32_BITS):
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return (address, *inner)
