"""The public DNS as the CA will see it: aliases, zones, and the answers of authoritative servers and resolvers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import dns.rdatatype

from certwright.dns.caa import find_caa
from certwright.dns.cache import ExpiringCache
from certwright.dns.endpoint import DNS_PORT, MAX_ADDRESSES, Endpoint, parse_servers, usable_addresses
from certwright.dns.errors import CnameLoop, DnsError, InvalidName, NameserverUnreachable, ZoneNotFound
from certwright.dns.propagation import Look
from certwright.dns.query import DEFAULT_TIMEOUT, Questioner
from certwright.dns.records import normalise, to_text
from certwright.dns.resolvers import Resolvers
from certwright.dns.survey import Survey, alias_at
from certwright.dns.zone import Zone, find_apex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from certwright.dns.caa import CaaSet
    from certwright.dns.propagation import Propagation
    from certwright.dns.records import TxtRecord
    from certwright.http.addresses import AddressPolicy
    from certwright.http.message import Transport

View: TypeAlias = Literal["authoritative", "recursive"]
"""Whose answers count for a record: those of the zone's authoritative servers, or of the resolvers."""
VIEWS: Final[tuple[View, ...]] = ("authoritative", "recursive")

MAX_CNAME_STEPS = 8
MAX_ALIAS_CHARACTERS = 255
# The root and the busiest zones have 13.
MAX_NAMESERVERS = 16

_NOBODYS_LABEL = "_certwright-x"
# Long enough for one issuance, short enough for a zone that has just moved.
_ZONE_SECONDS = 60.0
# For CAA records, the parents of names are cached, because many names share them.
_MAX_CAA_PARENTS = 256


class DnsView:
    """Queries the DNS. It never changes anything, nor waits for a change, and every query has a timeout."""

    def __init__(
        self,
        *,
        resolvers: Sequence[str] | None = None,
        authoritative: Sequence[str] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        nameserver_port: int = DNS_PORT,
        views: Iterable[View] = ("authoritative",),
        transport: Callable[[], Transport] | None = None,
        addresses: AddressPolicy | None = None,
    ) -> None:
        """Choose the servers to query.

        Args:
            resolvers: Recursive resolvers as `host`, `host:port` or `[IPv6]:port`, or as `https://HOST/PATH` for DNS
                over HTTPS (RFC 8484); None for the system's.
            authoritative: Servers that `check` queries instead of the name servers that a zone lists, for example if
                those are unreachable from here. They need not set the authoritative-answer flag.
            timeout: Seconds for one query to one server, over UDP and TCP together.
            nameserver_port: The port of the name servers that zones list.
            views: Which servers must have a record for `check`. A resolver caches for minutes that a record is missing,
                so resolvers are queried last, after the authoritative servers (if included) have it.
            transport: Returns the transport for queries over HTTPS; None to open a connection for each query.
            addresses: Allowed addresses of name servers that the DNS names and of configured host names; None to also
                allow loopback addresses.

        Raises:
            InvalidServer: One of the texts is not a server.
            ValueError: `views` is empty, or has an unknown view.
        """
        self._views = frozenset(views)
        if not self._views or not self._views <= set(VIEWS):
            raise ValueError(f"views are one or more of {', '.join(VIEWS)}")
        self._questioner = Questioner(timeout=timeout, transport=transport, addresses=addresses)
        self._resolvers = Resolvers(resolvers, self._questioner)
        self._authoritative = parse_servers(authoritative or ())
        self._port = nameserver_port
        self._apexes: ExpiringCache[str, str] = ExpiringCache(seconds=_ZONE_SECONDS)
        self._zones: ExpiringCache[str, Zone] = ExpiringCache(seconds=_ZONE_SECONDS)
        self._caa_of_parents: ExpiringCache[str, dns.message.Message] = ExpiringCache(
            seconds=_ZONE_SECONDS, max_entries=_MAX_CAA_PARENTS
        )

    async def follow_cname(self, name: str) -> str:
        """Follow the CNAMEs at a name to the name for its records; a name that does not exist is its own target.

        A CNAME that results from a wildcard (`*.apps.example.test CNAME ingress.example.test`) is meant for something
        else and is not followed: a record at the name itself takes precedence (RFC 4592).

        Raises:
            InvalidName: The name is not a domain name, or is an alias of one that is too long, including escapes.
            CnameLoop: The aliases form a loop, or have more than eight steps.
            ResolutionFailed: None of the resolvers answered.
        """
        chain = [normalise(name)]
        while True:
            answer = await self._resolvers.ask(chain[-1], "CNAME")
            target = alias_at(chain[-1], answer)
            if target is None or await self._is_wildcard(chain[-1], target):
                return chain[-1]
            if len(target) > MAX_ALIAS_CHARACTERS:
                raise InvalidName(
                    f"{chain[-1]} is an alias of a name that is {len(target)} characters long, written out"
                )
            looped = target in chain
            chain.append(target)
            if looped or len(chain) > MAX_CNAME_STEPS + 1:
                raise CnameLoop(chain, looped=looped)

    async def _is_wildcard(self, name: str, target: str) -> bool:
        """Return whether a random sibling of the name is an alias of the same target."""
        _, _, parent = name.partition(".")
        try:
            beside = normalise(f"{_NOBODYS_LABEL}.{parent}")
        except InvalidName:
            return False
        return alias_at(beside, await self._resolvers.ask(beside, "CNAME")) == target

    async def find_zone(self, name: str) -> Zone:
        """Find the zone that contains a name, and every address of its name servers. Cached for a minute.

        Raises:
            InvalidName: The name is not a domain name.
            ZoneNotFound: There is no zone, or it lists no name servers.
            ResolutionFailed: None of the resolvers answered.
        """
        name = normalise(name)
        apex = await self._apexes.get(name, lambda: find_apex(name, self._resolvers.ask))
        return await self._zones.get(apex, lambda: self._zone(apex))

    async def find_caa(self, name: str) -> CaaSet | None:
        """Find the CAA records that apply to a name, or None; see `judge_caa`. Parents are cached for a minute.

        Raises:
            InvalidName: The name is not a domain name.
            ResolutionFailed: None of the resolvers had an answer; nothing is known then.
        """
        bare = name.removeprefix("*.")

        async def ask(candidate: str, rdtype: str) -> dns.message.Message:
            if candidate == bare:
                return await self._resolvers.ask(candidate, rdtype)
            return await self._caa_of_parents.get(candidate, lambda: self._resolvers.ask(candidate, rdtype))

        return await find_caa(bare, ask)

    async def check(self, records: Sequence[TxtRecord]) -> tuple[Propagation, ...]:
        """Query every server of the views once for the records; the servers of a view are queried in parallel.

        Authoritative servers are queried directly, because a resolver may have cached an answer from before the record
        existed.

        Args:
            records: The records; for several values at one name, each server is queried once.

        Returns:
            One result for each record, in order. Failures are part of the result, not raised.
        """
        both = len(self._views) > 1
        seen = await (self._ask_authoritative if "authoritative" in self._views else self._ask_resolvers)(records)
        if both:
            lacking = {record.name for record, one in seen.items() if not one.complete}
            ready = [record for record in seen if record.name not in lacking]
            seen |= {record: seen[record].joined(one) for record, one in (await self._ask_resolvers(ready)).items()}
        return tuple(seen[record] for record in records)

    async def _ask_authoritative(self, records: Sequence[TxtRecord]) -> dict[TxtRecord, Propagation]:
        survey = Survey(self._questioner, require_authority=not self._authoritative)
        names = dict.fromkeys(record.name for record in records)
        looks = await asyncio.gather(*(self._look(name, survey) for name in names))
        by_name = dict(zip(names, looks, strict=True))
        return {record: by_name[record.name].at(record) for record in records}

    async def _ask_resolvers(self, records: Sequence[TxtRecord]) -> dict[TxtRecord, Propagation]:
        if not records:
            return {}
        names = dict.fromkeys(record.name for record in records)
        try:
            resolvers = await self._resolvers.all()
        except DnsError as error:
            return {record: Look(error=str(error)).at(record) for record in records}
        survey = Survey(self._questioner, require_authority=False, follow_aliases=True, title="the resolver ")
        views = await asyncio.gather(*(survey.ask_all(name, resolvers) for name in names))
        looks = {
            name: Look(tuple((str(one), view) for one, view in zip(resolvers, found, strict=True)))
            for name, found in zip(names, views, strict=True)
        }
        return {record: looks[record.name].at(record) for record in records}

    async def _look(self, name: str, survey: Survey) -> Look:
        try:
            zone = await (self._override() if self._authoritative else self.find_zone(name))
        except DnsError as error:
            return Look(error=str(error))
        views = await survey.ask_all(name, zone.nameservers)
        nameservers = tuple(endpoint.name for endpoint in zone.nameservers)
        seen = tuple(zip(nameservers, views, strict=True))
        return Look(views=seen, unresolved=zone.unresolved, refused=zone.refused, is_apex=zone.name == name)

    async def _zone(self, apex: str) -> Zone:
        if self._authoritative:
            return await self._override(apex)
        answer = await self._resolvers.ask(apex, "NS")
        hosts = sorted(
            to_text(rdata.target) for rrset in answer.answer if rrset.rdtype == dns.rdatatype.NS for rdata in rrset
        )[:MAX_NAMESERVERS]
        found = await asyncio.gather(*map(self._resolvers.addresses, hosts), return_exceptions=True)
        failures = [result for result in found if isinstance(result, BaseException)]
        if failures and (len(failures) == len(found) or not all(isinstance(one, DnsError) for one in failures)):
            raise failures[0]
        # If the name of one name server does not resolve, the others count; the CA's resolver uses them as well.
        known = {
            host: addresses if not isinstance(addresses, BaseException) else ()
            for host, addresses in zip(hosts, found, strict=True)
        }
        policy = self._questioner.addresses
        endpoints = {
            host: [Endpoint(host, address, self._port) for address in usable_addresses(addresses, policy)]
            for host, addresses in known.items()
        }
        refused = tuple(
            (host, f"its address {addresses[0]} is none of a public DNS server")
            for host, addresses in known.items()
            if addresses and not endpoints[host]
        )
        return _zone_of(apex, {host: some[:MAX_ADDRESSES] for host, some in endpoints.items()}, refused)

    async def _override(self, apex: str = "") -> Zone:
        endpoints: dict[str, Sequence[Endpoint]] = {}
        for server in self._authoritative:
            try:
                endpoints[str(server)] = await server.endpoints(
                    seconds=self._questioner.timeout, policy=self._questioner.addresses
                )
            except NameserverUnreachable:
                endpoints[str(server)] = ()
        return _zone_of(apex, endpoints)


def _zone_of(apex: str, endpoints: Mapping[str, Sequence[Endpoint]], refused: tuple[tuple[str, str], ...] = ()) -> Zone:
    flat = tuple(endpoint for addresses in endpoints.values() for endpoint in addresses)
    objections = dict(refused)
    unresolved = tuple(host for host, addresses in endpoints.items() if not addresses and host not in objections)
    if not flat:
        if refused:
            said = "; ".join(f"{host}: {why}" for host, why in refused)
            raise ZoneNotFound(
                f"no name server of {apex} can be asked: {said}. Correct the addresses of its NS records"
            )
        what = f"the name servers of {apex or 'the zone'} have no address"
        if unresolved:
            raise ZoneNotFound(f"{what}: {', '.join(unresolved)}")
        raise ZoneNotFound(f"the zone {apex} lists no name server")
    return Zone(apex, flat, unresolved, refused)
