"""The addresses for a self-check: those from the DNS, one after the other, except for ones that no CA can reach."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from certwright.dns import DnsError
from certwright.dns.query import DEFAULT_TIMEOUT, Questioner
from certwright.dns.resolvers import Resolvers
from certwright.http.addresses import AddressPolicy, is_public
from certwright.http.url import MAX_SHOWN_HOST
from certwright.names import is_address

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
        policy: Which addresses may be connected to.

    Raises:
        InvalidServer: One of the texts is not a server.
    """

    def __init__(self, nameservers: Sequence[str], policy: AddressPolicy | None = None) -> None:
        self._policy = policy or AddressPolicy()
        self._resolvers = Resolvers(nameservers, Questioner(timeout=DEFAULT_TIMEOUT, addresses=policy))

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
        results = [_result(host, port, address) for address in found if self._policy.objection(address) is None]
        if found and not results:
            raise OSError(None, f"{host} resolves to {found[0]}, which no CA can reach")
        fitting = [result for result in results if family in {socket.AF_UNSPEC, result["family"]}]
        if not fitting:
            raise OSError(None, f"{host} has no address in the DNS{await self._hidden(host)}")
        return fitting[:MAX_ADDRESSES]

    async def _hidden(self, host: str) -> str:
        """Say if a record below a host keeps a wildcard from answering for it (RFC 4592 section 2.2.2)."""
        below = f"_acme-challenge.{host}"
        try:
            there = await self._resolvers.has(below, "TXT") and await self._resolvers.has(_sibling(host), "A", "AAAA")
        except DnsError:
            return ""
        if not there:
            return ""
        return (
            f": there is a TXT record at {below}, and while a name exists below it, the wildcard {_sibling(host)} does "
            "not answer for it. Remove that record, or give the host an address of its own"
        )

    async def close(self) -> None:
        """Nothing is kept open."""


class Remembered(AbstractResolver):
    """A resolver that asks another one once for each host, and remembers what it found.

    Args:
        resolver: The other one.
    """

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver
        self._results: dict[str, list[ResolveResult]] = {}

    @property
    def found(self) -> dict[str, tuple[str, ...]]:
        """The addresses of each host."""
        return {host: _addresses(results) for host, results in self._results.items()}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Ask the other one. Raises what it raises."""
        if host not in self._results:
            self._results[host] = await self._resolver.resolve(host, port, family)
        return [ResolveResult(**{**result, "port": port}) for result in self._results[host]]

    async def close(self) -> None:
        """Close the other one."""
        await self._resolver.close()


class Rounds(AbstractResolver):
    """Leads the requests for one file to one address of each host, in every round to another, until all were asked.

    A CA may ask any of them. A redirect is followed to an address inside only if the file's own host has it as well: a
    tenant must not choose which Service of the cluster the operator asks.

    Args:
        resolver: Finds the addresses of a host.
        host: The file's.
        every: Whether all addresses are asked; if not, the choice is left to the HTTP client.
    """

    def __init__(self, resolver: Remembered, host: str, *, every: bool) -> None:
        self._resolver = resolver
        self._host = host
        self._every = every
        self._asked: dict[str, list[str]] = {}
        self._now: dict[str, str] = {}
        self.unroutable: dict[str, list[str]] = {}
        """By host: the addresses to which there is no route from here."""

    def begin(self) -> None:
        """Begin a round."""
        self._now = {}

    @property
    def left(self) -> bool:
        """Whether there is an address that no round has asked, after one in which all was well."""
        for host, address in self._now.items():
            self._asked.setdefault(host, []).append(address)
        return self._every and any(self._open(host, self._resolver.found[host]) for host in self._now)

    def skip(self, host: str) -> bool:
        """Note that there is no route to the address of a host; tell whether it has another one that may be asked."""
        address = self._now.pop(host, None)
        if address is None:
            return False
        self.unroutable.setdefault(host, []).append(address)
        found = self._resolver.found[host]
        return bool(self._open(host, found) or self._asked.get(host))

    def at(self, host: str) -> tuple[str, ...]:
        """Return where a host is asked in this round."""
        return (self._now[host],) if host in self._now else self._resolver.found.get(host, ())

    def right(self, host: str) -> tuple[str, ...]:
        """Return at which addresses of a host all was well in earlier rounds."""
        return tuple(dict.fromkeys(self._asked.get(host, ())))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the address of this round.

        Raises:
            OSError: There is none; or it is an address inside to which no redirect is followed.
        """
        found = await self._resolver.resolve(host, port, family)
        if host != self._host:
            self._check_redirect(host, _addresses(found))
        if not self._every:
            return found
        open_ = self._open(host, _addresses(found))
        chosen = self._now.get(host) or next(iter([*open_, *self._asked.get(host, ()), _addresses(found)[0]]))
        self._now[host] = chosen
        return [result for result in found if result["host"] == chosen]

    async def close(self) -> None:
        """Nothing is kept open."""

    def _open(self, host: str, addresses: Sequence[str]) -> list[str]:
        done = {*self._asked.get(host, ()), *self.unroutable.get(host, ())}
        return [address for address in addresses if address not in done]

    def _check_redirect(self, host: str, addresses: Sequence[str]) -> None:
        own = (self._host,) if is_address(self._host) else self._resolver.found.get(self._host, ())
        inside = [address for address in addresses if address not in own and not is_public(address)]
        if inside:
            raise OSError(
                None,
                f"{host[:MAX_SHOWN_HOST]} has the private address {inside[0]}, which {self._host} does not have: "
                "Certwright does not follow redirects there",
            )


def _addresses(results: Sequence[ResolveResult]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(result["host"] for result in results))


def _sibling(host: str) -> str:
    """Return the wildcard that answers for a host as long as nothing exists at or below it."""
    return f"*.{host.partition('.')[2]}"


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
