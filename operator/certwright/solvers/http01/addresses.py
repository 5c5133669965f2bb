"""Where a self-check goes: addresses from the DNS servers that an issuer names, kept to be told."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult

from certwright.dns import DnsError
from certwright.dns.query import DEFAULT_TIMEOUT, Questioner
from certwright.dns.resolvers import Resolvers

if TYPE_CHECKING:
    from collections.abc import Sequence


class Addresses(AbstractResolver):
    """Looks host names up at given recursive servers, for aiohttp.

    Args:
        nameservers: As `host`, `host:port` or `[IPv6]:port`.

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
            OSError: It has none, or no server could say; the message is in words.
        """
        try:
            found = await self._resolvers.addresses(host)
        except DnsError as error:
            raise OSError(None, str(error)) from error
        results = [_result(host, port, address) for address in found]
        fitting = [result for result in results if family in {socket.AF_UNSPEC, result["family"]}]
        if not fitting:
            raise OSError(None, f"{host} has no address in the DNS")
        return fitting

    async def close(self) -> None:
        """Nothing is kept open."""


class Remembered(AbstractResolver):
    """Remembers what another resolver found.

    Args:
        resolver: Is asked.
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
