"""Whose domain a name is in: what CAs count certificates by (https://publicsuffix.org)."""

from __future__ import annotations

import ipaddress
from functools import cache
from typing import TYPE_CHECKING

from publicsuffixlist import PublicSuffixList

if TYPE_CHECKING:
    from certwright.acme.identifier import Identifier


def registered_domain(identifier: Identifier) -> str:
    """Return what an identifier is counted under.

    For a name that is the public suffix and the label before it (`example.co.uk`), or the name itself where it is a
    public suffix. An IPv4 address is counted by itself, an IPv6 address by its /64.
    """
    value = identifier.value.removeprefix("*.")
    if identifier.type == "ip":
        address = ipaddress.ip_address(value)
        width = 32 if address.version == 4 else 64  # noqa: PLR2004 - IPv4
        return str(ipaddress.ip_network((address, width), strict=False))
    found = _list().privatesuffix(value)
    return found if isinstance(found, str) else value


@cache
def _list() -> PublicSuffixList:
    # Read on first use: it takes a tenth of a second, and who keeps no budget needs none of it.
    return PublicSuffixList()
