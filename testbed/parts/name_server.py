"""What the bed's authoritative name servers share, whichever program they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from testbed.part import Part, Site
from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dns.rdtypes.ANY.TXT import TXT

TTL = 1
ANSWER_TIMEOUT = 10.0
PROBE_TIMEOUT = 1.0


class NameServer(Part):
    """Serves zones in which every name has one address.

    Args:
        site: What the bed provides.
        name: Of the part.
        zones: Without trailing dot.
    """

    def __init__(self, site: Site, name: str, zones: Sequence[str]) -> None:
        super().__init__(site, name)
        self.zones = tuple(zones)

    @property
    def address(self) -> str:
        """Address as "host:port", for TCP and UDP."""
        return f"{self.site.address}:{self.ports['main']}"

    def ready(self) -> bool:
        """Ask for the SOA of every zone, over UDP and TCP."""
        try:
            return all(
                ask(
                    dns.message.make_query(zone, dns.rdatatype.SOA),
                    LOOPBACK,
                    port=self.ports["main"],
                    timeout=PROBE_TIMEOUT,
                ).answer
                for zone in self.zones
                # TCP first: it is refused at once while nobody listens, where UDP waits.
                for ask in (dns.query.tcp, dns.query.udp)
            )
        except (OSError, EOFError, dns.exception.DNSException):
            return False

    def txt_values(self, name: str) -> list[str]:
        """Return the TXT values that the server answers with, sorted.

        Raises:
            dns.exception.DNSException: It did not answer.
            OSError: It is down.
        """
        query = dns.message.make_query(name, dns.rdatatype.TXT)
        answer = dns.query.tcp(query, LOOPBACK, port=self.ports["main"], timeout=ANSWER_TIMEOUT)
        found = [record for rrset in answer.answer if rrset.rdtype == dns.rdatatype.TXT for record in rrset]
        return sorted(b"".join(cast("TXT", record).strings).decode() for record in found)


def zone_text(zone: str, address: str) -> str:
    """Return a zone in which every name has one address, as a zone file (RFC 1035 section 5)."""
    return f"""\
$TTL {TTL}
$ORIGIN {zone}.
@   IN SOA ns1 hostmaster 1 60 60 3600 {TTL}
@   IN NS  ns1
@   IN A   {address}
ns1 IN A   {address}
*   IN A   {address}
"""
