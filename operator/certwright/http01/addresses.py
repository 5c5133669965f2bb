"""Where a self-check goes: addresses from the DNS, except those that no CA can reach, remembered for messages."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from certwright.dns import DnsError
from certwright.dns.query import DEFAULT_TIMEOUT, Questioner
from certwright.dns.resolvers import Resolvers

if TYPE_CHECKING:
    from collections.abc import Sequence


MAX_ADDRESSES: Final = 8
"""Of one host; a CA tries two."""


class Addresses(AbstractResolver):
    """Looks host names up at recursive servers, for aiohttp.

    The C library is not asked: it does so in threads of the pool that keys are made in, ten seconds and more for a name
    whose servers are down, and tries every search domain of a pod first.

    Args:
        nameservers: As `host`, `host:port` or `[IPv6]:port`; empty for those of the system's resolv.conf.

    Raises:
        InvalidServer: One of the texts is no server.
    """

    def __init__(self, nameservers: Sequence[str]) -> None:
        self._resolvers = Resolvers(nameservers, Questioner(timeout=DEFAULT_TIMEOUT))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: It has none that a CA could get to, or no server could say; the message is in words.
        """
        try:
            found = await self._resolvers.addresses(host)
        except DnsError as error:
            raise OSError(None, str(error)) from error
        results = [_result(host, port, address) for address in found if not is_off_limits(address)]
        if found and not results:
            raise OSError(None, f"{host} resolves to {found[0]}, which no CA can reach")
        fitting = [result for result in results if family in {socket.AF_UNSPEC, result["family"]}]
        if not fitting:
            raise OSError(None, f"{host} has no address in the DNS")
        return fitting[:MAX_ADDRESSES]

    async def close(self) -> None:
        """Nothing is kept open."""


class Remembered(AbstractResolver):
    """A resolver that remembers what another one found.

    Args:
        resolver: The other one.
    """

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver
        self.found: dict[str, tuple[str, ...]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Ask the other one. Raises what it raises."""
        results = await self._resolver.resolve(host, port, family)
        self.found[host] = tuple(dict.fromkeys(result["host"] for result in results))
        return results

    async def close(self) -> None:
        """Close the other one."""
        await self._resolver.close()


def is_off_limits(address: str) -> bool:
    """Whether an address means something only on the machine or link that asks: a cloud's metadata service is there.

    Loopback and private ones are not: names may lead to an ingress controller by them, seen from inside.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified


def _result(host: str, port: int, address: str) -> ResolveResult:
    is_ipv6 = ipaddress.ip_address(address).version == 6  # noqa: PLR2004 - IP's own number
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST,
    )
