"""Find the zone of a name, by searching upward for an SOA record (RFC 1034 section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from certwright.dns.errors import ZoneNotFound
from certwright.dns.records import self_and_parents, to_name, to_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from certwright.dns.endpoint import Endpoint


@dataclass(frozen=True)
class Zone:
    """A zone and its name servers.

    Attributes:
        name: The name of the zone, as in `TxtRecord.name`.
        nameservers: Every address of its name servers.
        unresolved: Host names of name servers without an address.
        refused: Host names of name servers that have only refused addresses, each with the reason.
    """

    name: str
    nameservers: tuple[Endpoint, ...] = ()
    unresolved: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


async def find_apex(name: str, ask: Callable[[str, str], Awaitable[dns.message.Message]]) -> str:
    """Find the name of the zone that contains a name; the name itself need not exist.

    This usually takes one query, because servers add the SOA of the zone to negative answers (RFC 2308).

    Args:
        name: The name.
        ask: Queries a name and a record type, and raises for answers other than NOERROR and NXDOMAIN.

    Raises:
        ZoneNotFound: No zone below the root contains the name.
    """
    for candidate in self_and_parents(name):
        answer = await ask(candidate, "SOA")
        apex = _apex_in(answer, to_name(candidate))
        if apex:
            return apex
        if _is_referral(answer):
            # Searching further upward would end in the parent's zone, where the record would never be visible.
            raise _not_found(name, f"the zone that contains {candidate} is delegated to servers that were not asked")
    raise _not_found(name, "there is no SOA record at it or above it")


def _apex_in(answer: dns.message.Message, candidate: dns.name.Name) -> str | None:
    for rrset in (*answer.answer, *answer.authority):
        if rrset.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.DNAME):
            # The rest of the answer is about the target's zone.
            return None
        if rrset.rdtype == dns.rdatatype.SOA and candidate.is_subdomain(rrset.name) and rrset.name != dns.name.root:
            return to_text(rrset.name)
    return None


def _is_referral(answer: dns.message.Message) -> bool:
    types = {rrset.rdtype for rrset in answer.authority}
    return (
        answer.rcode() == dns.rcode.NOERROR
        and not answer.flags & dns.flags.AA
        and not answer.answer
        and dns.rdatatype.NS in types
        and dns.rdatatype.SOA not in types
    )


def _not_found(name: str, why: str) -> ZoneNotFound:
    error = ZoneNotFound(f"no DNS zone contains {name}: {why}")
    error.names = (name,)
    return error
