"""Recursive resolvers, for CNAMEs, zones and name servers, and in a recursive view also for records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver

from certwright.dns.cache import ExpiringCache
from certwright.dns.endpoint import DNS_PORT, Endpoint, Server
from certwright.dns.errors import DnsError, ResolutionFailed
from certwright.dns.https import SCHEME, HttpsResolver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns.query import Questioner

Resolver: TypeAlias = Endpoint | HttpsResolver
"""One resolver: an address for UDP and TCP, or a URL."""

_ADDRESS_SECONDS = 60.0
_USABLE = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def parse_resolver(text: str) -> Server | HttpsResolver:
    """Read `https://HOST/PATH` for DNS over HTTPS, or a server as `Server.parse` does.

    Raises:
        InvalidServer: It is neither.
    """
    return HttpsResolver.parse(text) if text.strip().lower().startswith(SCHEME) else Server.parse(text)


class Resolvers:
    """Queries the configured resolvers, or the system's, one after the other until one answers."""

    def __init__(self, servers: Sequence[str] | None, questioner: Questioner) -> None:
        """Choose the resolvers.

        Args:
            servers: As `parse_resolver` reads them; None or empty for those of the system's resolv.conf.
            questioner: Sends the queries.

        Raises:
            InvalidServer: One of them is not a server.
        """
        self._servers = tuple(dict.fromkeys(map(parse_resolver, servers or ())))
        self._questioner = questioner
        self._endpoints: ExpiringCache[str, tuple[Resolver, ...]] = ExpiringCache(seconds=_ADDRESS_SECONDS)
        self._preferred: Resolver | None = None

    async def ask(self, name: str, rdtype: str) -> dns.message.Message:
        """Query for one record set; the answer is NOERROR or NXDOMAIN.

        Raises:
            ResolutionFailed: None of the resolvers answered. The message has the error of each.
        """
        failures: list[str] = []
        endpoints = await self.all()
        # The one that worked last comes first, so that a dead one costs its timeout only once.
        for endpoint in sorted(endpoints, key=lambda endpoint: endpoint != self._preferred):
            try:
                answer = await self._questioner.ask(endpoint, name, rdtype, recursive=True)
            except DnsError as error:
                failures.append(str(error))
                continue
            if answer.rcode() in _USABLE:
                self._preferred = endpoint
                return answer
            why = await self._questioner.describe_failure(endpoint, name, rdtype, answer)
            failures.append(f"{endpoint}: {why}")
        raise ResolutionFailed(f"no resolver could say what {rdtype} records {name} has: {'; '.join(failures)}")

    async def all(self) -> tuple[Resolver, ...]:
        """Return all resolvers. Raises `ResolutionFailed` if there are none."""
        return await self._endpoints.get("", self._find_endpoints)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return the IPv4 and IPv6 addresses of a host name, IPv4 first; empty if it has none.

        Raises:
            ResolutionFailed: None of the resolvers answered either query.
        """
        answers = await asyncio.gather(self.ask(host, "A"), self.ask(host, "AAAA"), return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(failures) == len(answers):
            raise failures[0]
        messages = [answer for answer in answers if not isinstance(answer, BaseException)]
        return tuple(
            rdata.address
            for message in messages
            for rrset in message.answer
            if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
            for rdata in rrset
        )

    async def has(self, name: str, *types: str) -> bool:
        """Return whether a name has a record of one of these types; CNAMEs are followed.

        Raises:
            ResolutionFailed: None of the resolvers answered.
        """
        wanted = {dns.rdatatype.from_text(rdtype) for rdtype in types}
        answers = await asyncio.gather(*(self.ask(name, rdtype) for rdtype in types))
        return any(rrset.rdtype in wanted for answer in answers for rrset in answer.answer)

    async def _find_endpoints(self) -> tuple[Resolver, ...]:
        servers = self._servers or await asyncio.to_thread(_system_servers)
        found: list[Resolver] = []
        failures: list[str] = []
        for server in servers:
            if isinstance(server, HttpsResolver):
                found.append(server)
                continue
            try:
                found += await server.endpoints(seconds=self._questioner.timeout, policy=self._questioner.addresses)
            except DnsError as error:
                failures.append(str(error))
        if not found:
            raise ResolutionFailed(f"there is no resolver to ask: {'; '.join(failures)}")
        return tuple(found)


def _system_servers() -> tuple[Server, ...]:
    try:
        resolver = dns.resolver.Resolver(configure=True)
    except dns.resolver.NoResolverConfiguration:
        raise ResolutionFailed(
            "the system's resolv.conf lists no resolver: add one there or configure resolvers"
        ) from None
    return tuple(Server(str(address), DNS_PORT) for address in resolver.nameservers)
