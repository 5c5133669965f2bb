"""One round of queries to the authoritative servers."""

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

    from certwright.dns.endpoint import Endpoint
    from certwright.dns.query import Questioner

# With many names, a few at a time for one server: neither a flood nor a rate limit there.
_PER_SERVER = 4


class Survey:
    """Queries each server directly for TXT records; a server that does not answer once is not queried again."""

    def __init__(self, questioner: Questioner, *, require_authority: bool) -> None:
        self._questioner = questioner
        self._require_authority = require_authority
        self._slots: defaultdict[Endpoint, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_PER_SERVER))
        self._silent: dict[Endpoint, str] = {}

    async def ask_all(self, name: str, endpoints: Sequence[Endpoint]) -> tuple[ServerView, ...]:
        """Query every endpoint for the TXT records at a name; return one view for each, in order. Never raises."""
        return tuple(await asyncio.gather(*(self._ask(name, endpoint) for endpoint in endpoints)))

    async def _ask(self, name: str, endpoint: Endpoint) -> ServerView:
        async with self._slots[endpoint]:
            if endpoint in self._silent:
                return ServerView(str(endpoint), error=self._silent[endpoint])
            try:
                answer = await self._questioner.ask(endpoint, name, "TXT", recursive=not self._require_authority)
            except NameserverUnreachable as error:
                self._silent[endpoint] = error.reason
                return ServerView(str(endpoint), error=error.reason)
            except DnsError as error:
                return ServerView(str(endpoint), error=str(error))
        return self._view(name, endpoint, answer)

    def _view(self, name: str, endpoint: Endpoint, answer: dns.message.Message) -> ServerView:
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return ServerView(str(endpoint), error=describe_rcode(answer.rcode()))
        if self._require_authority and not answer.flags & dns.flags.AA:
            return ServerView(str(endpoint), error="it is not authoritative for the name")
        return ServerView(str(endpoint), values=_values_at(name, answer), alias=alias_at(name, answer))


def alias_at(name: str, answer: dns.message.Message) -> str | None:
    """Return the target of a CNAME at the name, or None. Servers send one with a DNAME, too (RFC 6672)."""
    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.CNAME and rrset.name == to_name(name):
            return to_text(rrset[0].target)
    return None


def _values_at(name: str, answer: dns.message.Message) -> tuple[str, ...]:
    owner = to_name(name)
    values = {
        b"".join(rdata.strings).decode("utf-8", errors="replace")
        for rrset in answer.answer
        if rrset.rdtype == dns.rdatatype.TXT and rrset.name == owner
        for rdata in rrset
    }
    return tuple(sorted(values))
