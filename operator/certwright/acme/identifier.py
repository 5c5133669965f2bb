"""Identifiers: the names and addresses that a certificate is for (RFC 8555 section 9.7.7, RFC 8738)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Identifier:
    """A name or an address.

    Attributes:
        type: `dns` or `ip`; a server may know more.
        value: The name in ASCII (A-labels), possibly with a leading `*.` in an order, or the address.
    """

    type: str
    value: str

    @classmethod
    def dns(cls, name: str) -> Identifier:
        """Make an identifier of a domain name, in lower case and without a trailing dot."""
        return cls("dns", name.removesuffix(".").lower())

    @classmethod
    def ip(cls, address: str) -> Identifier:
        """Make an identifier of an address in the canonical text form that RFC 8738 section 3 asks for.

        Raises:
            ValueError: It is no IPv4 or IPv6 address.
        """
        return cls("ip", ipaddress.ip_address(address).compressed)

    def to_json(self) -> dict[str, str]:
        """Return the object that a newOrder request carries."""
        return {"type": self.type, "value": self.value}

    def __str__(self) -> str:
        return self.value
