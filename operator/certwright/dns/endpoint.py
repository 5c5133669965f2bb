"""Addresses of DNS servers: parsed from a configuration, resolved for sockets."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.dns.errors import InvalidServer, NameserverUnreachable
from certwright.http.addresses import AddressPolicy
from certwright.http.host_names import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DNS_PORT = 53
# More addresses of one server add delay, but no information.
MAX_ADDRESSES = 4

# Labels as resolvers accept them: not empty, and at most 63 characters.
_HOST = re.compile(
    r"(?=.{1,254}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
_MAX_PORT = 65535
_ADDRESSES = AddressPolicy()


@dataclass(frozen=True)
class Endpoint:
    """One address of one server.

    Attributes:
        name: The server's host name, or its address and port as they were configured.
        address: An IPv4 or IPv6 address.
        port: The UDP and TCP port.
    """

    name: str
    address: str
    port: int = DNS_PORT

    def __str__(self) -> str:
        """Write it for people: `ns1.example.test (192.0.2.1)`, the port only when it is not 53."""
        full = join_host_port(self.address, self.port)
        where = self.address if self.port == DNS_PORT else full
        return where if self.name == full else f"{self.name} ({where})"


@dataclass(frozen=True)
class Server:
    """A server as it was configured.

    Attributes:
        host: A host name or an address.
        port: The UDP and TCP port.
    """

    host: str
    port: int = DNS_PORT

    @classmethod
    def parse(cls, text: str) -> Server:
        """Read `host`, `host:port`, `192.0.2.1:53`, `[2001:db8::1]:53` or `2001:db8::1`; 53 is the default.

        Raises:
            InvalidServer: It is none of these, or the port is not in 1..65535.
        """
        stripped = text.strip()
        if stripped.startswith("["):
            host, bracket, rest = stripped[1:].partition("]")
            if not bracket or not _is_ipv6(host) or (rest and not rest.startswith(":")):
                raise _invalid(text, "an IPv6 address with a port is written [2001:db8::1]:53")
            return cls(host, _port(rest[1:], text) if rest else DNS_PORT)
        if _is_ipv6(stripped):
            return cls(stripped)
        host, colon, port = stripped.partition(":")
        if not _HOST.fullmatch(host):
            raise _invalid(text, "write a host name or an address, with :port if it is not 53")
        return cls(host, _port(port, text) if colon else DNS_PORT)

    def __str__(self) -> str:
        """Write it as `parse` reads it, with the port."""
        return join_host_port(self.host, self.port)

    async def endpoints(self, *, seconds: float, policy: AddressPolicy | None = None) -> tuple[Endpoint, ...]:
        """Look up its addresses (with the system's resolver, if it is a host name; see `host_names`), at most four.

        Args:
            seconds: The time limit of the lookup.
            policy: Which addresses a host name may resolve to; a configured address is used unchanged.

        Raises:
            NameserverUnreachable: The host name has no address, or the lookup takes longer than `seconds`.
        """
        if _is_address(self.host):
            return (Endpoint(str(self), self.host, self.port),)
        try:
            async with asyncio.timeout(seconds):
                found = await resolve(self.host, self.port)
        except TimeoutError:
            raise NameserverUnreachable(str(self), "looking up its address took too long", timed_out=True) from None
        except (OSError, UnicodeError):
            # The second one is raised for text that the system's resolver does not accept as a name.
            raise NameserverUnreachable(str(self), "its host name has no address") from None
        addresses = usable_addresses((str(sockaddr[0]) for *_, sockaddr in found), policy)
        if not addresses:
            raise NameserverUnreachable(str(self), "its host name leads to an address that no DNS server can have")
        return tuple(Endpoint(str(self), address, self.port) for address in addresses[:MAX_ADDRESSES])


def usable_addresses(found: Iterable[str], policy: AddressPolicy | None = None) -> list[str]:
    """Return addresses from the DNS, without duplicates and addresses at which no public DNS server can be.

    Configured addresses are not checked here, because a node's own DNS cache has a link-local one.

    Args:
        found: The addresses.
        policy: Which of them may be connected to; None to also allow loopback addresses.
    """
    return [address for address in dict.fromkeys(found) if (policy or _ADDRESSES).objection(address) is None]


def objection_to(text: str, policy: AddressPolicy) -> str | None:
    """Return why a configured server's address must not be connected to, or None; host names are checked later.

    Raises:
        InvalidServer: The text is not a server.
    """
    host = Server.parse(text).host
    return policy.objection(host) if _is_address(host) else None


def parse_servers(texts: Sequence[str]) -> tuple[Server, ...]:
    """Parse several, without duplicates.

    Raises:
        InvalidServer: One of them is not a server.
    """
    return tuple(dict.fromkeys(map(Server.parse, texts)))


def join_host_port(host: str, port: int) -> str:
    """Return `host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    return ":" in text and _is_address(text)


def _port(text: str, whole: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_PORT)) else 0
    if not 1 <= port <= _MAX_PORT:
        raise _invalid(whole, f"the port is a number from 1 to {_MAX_PORT}")
    return port


def _invalid(text: str, remedy: str) -> InvalidServer:
    return InvalidServer(f"{text[:300]!r} is not the address of a DNS server: {remedy}")
