"""Registered domains, by which CAs count certificates (https://publicsuffix.org)."""

from __future__ import annotations

import ipaddress
from functools import cache
from typing import TYPE_CHECKING

from publicsuffixlist import PublicSuffixList

if TYPE_CHECKING:
    from certwright.acme.identifier import Identifier


def registered_domain(identifier: Identifier) -> str:
    """Return the registered domain of an identifier.

    That is the public suffix and the label before it (`example.co.uk`), or the domain itself if it is a public suffix.
    An IPv4 address counts by itself, an IPv6 address by its /64.
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
    # Loaded on first use: it takes a tenth of a second, and only budgets need it.
    return PublicSuffixList()
