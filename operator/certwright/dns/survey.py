"""One round of queries: to the authoritative servers of a zone, or to recursive resolvers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from certwright.dns.errors import DnsError, NameserverUnreachable
from certwright.dns.propagation import ServerView
from certwright.dns.query import describe_rcode
from certwright.dns.records import to_name, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns.query import Questioner
    from certwright.dns.resolvers import Resolver

# If there are many names, each server gets a few queries at a time, to avoid floods and rate limits.
_PER_SERVER = 4


class Survey:
    """Queries each server directly for TXT records; a server that does not answer once is not queried again.

    Args:
        questioner: Sends the queries.
        require_authority: Whether only servers that are authoritative for the name count.
        follow_aliases: Whether TXT records at the end of CNAMEs count, as for a CA's resolver, or only those at the
            name itself.
        title: The kind of server, put before its name in descriptions; or empty.
    """

    def __init__(
        self, questioner: Questioner, *, require_authority: bool, follow_aliases: bool = False, title: str = ""
    ) -> None:
        self._questioner = questioner
        self._require_authority = require_authority
        self._follow_aliases = follow_aliases
        self._title = title
        self._slots: defaultdict[Resolver, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_PER_SERVER))
        self._silent: dict[Resolver, str] = {}

    async def ask_all(self, name: str, endpoints: Sequence[Resolver]) -> tuple[ServerView, ...]:
        """Query every endpoint for the TXT records at a name; return one view for each, in order. Never raises."""
        return tuple(await asyncio.gather(*(self._ask(name, endpoint) for endpoint in endpoints)))

    async def _ask(self, name: str, endpoint: Resolver) -> ServerView:
        server = f"{self._title}{endpoint}"
        async with self._slots[endpoint]:
            if endpoint in self._silent:
                return ServerView(server, error=self._silent[endpoint])
            try:
                answer = await self._questioner.ask(endpoint, name, "TXT", recursive=not self._require_authority)
            except NameserverUnreachable as error:
                self._silent[endpoint] = error.reason
                return ServerView(server, error=error.reason)
            except DnsError as error:
                return ServerView(server, error=str(error))
        if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return self._view(name, server, answer)
        if self._require_authority:
            return ServerView(server, error=describe_rcode(answer.rcode()))
        return ServerView(server, error=await self._questioner.describe_failure(endpoint, name, "TXT", answer))

    def _view(self, name: str, server: str, answer: dns.message.Message) -> ServerView:
        if self._require_authority and not answer.flags & dns.flags.AA:
            return ServerView(server, error="it is not authoritative for the name")
        if self._follow_aliases:
            values = _values(answer)
            return ServerView(server, values=values, forgets_in=None if values else _forgets_in(answer))
        return ServerView(server, values=_values(answer, name), alias=alias_at(name, answer))


def alias_at(name: str, answer: dns.message.Message) -> str | None:
    """Return the target of a CNAME at the name, or None. Servers send one with a DNAME, too (RFC 6672)."""
    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.CNAME and rrset.name == to_name(name):
            return to_text(rrset[0].target)
    return None


def _forgets_in(answer: dns.message.Message) -> int | None:
    """Return for how many seconds a resolver remembers that there is no record (RFC 2308 section 5), or None."""
    times = [
        min(rrset.ttl, rrset[0].minimum) for rrset in answer.authority if rrset.rdtype == dns.rdatatype.SOA and rrset
    ]
    return min(times, default=None)


def _values(answer: dns.message.Message, name: str | None = None) -> tuple[str, ...]:
    """Return the TXT values in an answer: those at a name, or all, which a resolver found by following CNAMEs."""
    owner = to_name(name) if name is not None else None
    values = {
        b"".join(rdata.strings).decode("utf-8", errors="replace")
        for rrset in answer.answer
        if rrset.rdtype == dns.rdatatype.TXT and owner in {None, rrset.name}
        for rdata in rrset
    }
    return tuple(sorted(values))
