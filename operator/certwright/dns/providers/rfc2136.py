"""Dynamic updates (RFC 2136), signed with TSIG (RFC 8945): BIND, Knot, PowerDNS, Windows DNS and others."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.update

from certwright.dns.cache import ExpiringCache
from certwright.dns.credential import Credential, credential
from certwright.dns.endpoint import Server
from certwright.dns.errors import DnsError, ZoneNotFound
from certwright.dns.outcomes import about, caught, joined
from certwright.dns.query import describe_rcode
from certwright.dns.records import to_name
from certwright.dns.tsig import DEFAULT_ALGORITHM, TsigKey
from certwright.dns.update_server import UpdateServer
from certwright.dns.zone import find_apex

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord
    from certwright.dns.update_server import TransportProtocol
    from certwright.dns.zone import Zone
    from certwright.http.addresses import AddressPolicy

DEFAULT_TTL = 60
DEFAULT_TIMEOUT = 10.0
# Below what servers and their operators expect of one message: far under TCP's 64 KiB, and a UDP
# datagram that no link on the way has to split.
MAX_TCP_MESSAGE = 16 * 1024
MAX_UDP_MESSAGE = 1200

_ZONE_SECONDS = 60.0
_CONCURRENT = 8
# Type, class, TTL and the length of the data (RFC 1035 section 3.2.1).
_RECORD_OVERHEAD = 10
_MAX_STRING = 255

_Action = Literal["add", "delete"]


@dataclass(frozen=True)
class Rfc2136Config:
    """The configuration of dynamic updates.

    Attributes:
        nameserver: `host`, `host:port` or `[IPv6]:port`.
        tsig_key_name: The name of the TSIG key; None for a server that authorizes by address.
        tsig_algorithm: One of `TSIG_ALGORITHMS`.
        tsig_secret: The TSIG key, base64 as key generators print it.
        protocol: TCP, or UDP where a firewall allows only that.
    """

    nameserver: str
    tsig_key_name: str | None = None
    tsig_algorithm: str = DEFAULT_ALGORITHM
    tsig_secret: Credential | None = field(default=None, metadata=credential("TSIG secret"))
    protocol: TransportProtocol = "TCP"

    @property
    def destination(self) -> str:
        """The server."""
        return self.nameserver

    def build(self, context: ProviderContext) -> Rfc2136Provider:
        """Create the provider.

        Raises:
            InvalidServer: `nameserver` is not a server.
            InvalidTsigKey: The key cannot be used.
        """
        return Rfc2136Provider(
            self.nameserver,
            tsig=self._tsig_key(),
            protocol=self.protocol,
            zones=context.find_zone,
            before_send=context.before_send,
            addresses=context.addresses,
        )

    def _tsig_key(self) -> TsigKey | None:
        if self.tsig_key_name is None or self.tsig_secret is None:
            return None
        secret = self.tsig_secret
        return TsigKey(self.tsig_key_name, secret.value, self.tsig_algorithm, source=secret.source)


class Rfc2136Provider:
    """A `Provider` that sends updates to one server, usually the primary of the zones."""

    def __init__(
        self,
        nameserver: str,
        *,
        tsig: TsigKey | None = None,
        protocol: TransportProtocol = "TCP",
        timeout: float = DEFAULT_TIMEOUT,
        ttl: int = DEFAULT_TTL,
        zones: Callable[[str], Awaitable[Zone]] | None = None,
        before_send: Callable[[], None] | None = None,
        addresses: AddressPolicy | None = None,
    ) -> None:
        """Configure the server.

        Args:
            nameserver: `host`, `host:port` or `[IPv6]:port`.
            tsig: Signs the updates and verifies the answers; None for a server that authorizes by address.
            protocol: TCP, or UDP where a firewall allows only that.
            timeout: Seconds for one message to one address of the server.
            ttl: Seconds for which resolvers may cache the records.
            zones: Asked for the zone of a name when the server itself does not say it: `DnsView.find_zone`.
                The server comes first, because it knows best which zones it has, and may have ones the world
                does not see.
            before_send: Called right before each message is sent; an exception prevents that.
            addresses: Where a host name may lead to; None to allow loopback addresses besides.

        Raises:
            InvalidServer: `nameserver` is not a server.
        """
        self._server = UpdateServer(
            Server.parse(nameserver),
            tsig=tsig,
            protocol=protocol,
            timeout=timeout,
            before_send=before_send,
            addresses=addresses,
        )
        self._ttl = ttl
        self._zones = zones
        self._apexes: ExpiringCache[str, str] = ExpiringCache(seconds=_ZONE_SECONDS)
        self._slots = asyncio.Semaphore(_CONCURRENT)

    async def present(self, records: Sequence[TxtRecord]) -> None:
        """Add the records, all of one zone in one message if they fit.

        A CNAME at the name makes servers ignore the record without a word (RFC 2136 section 3.4.2.2);
        `DnsView.check` tells of it.

        Raises:
            NameserverUnreachable, MalformedAnswer: The server gives no answer, or none that is one.
            TsigRejected: The server does not accept the key, or its answer is not signed with it.
            ZoneNotFound, ResolutionFailed: The zone of a record cannot be found.
            UpdateRefused: The server does not accept the update.
            UpdatesFailed: Several of these.
        """
        await self._update("add", records)

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """Remove exactly these values; those that are not there are fine.

        Raises:
            DnsError: As for `present`.
        """
        await self._update("delete", records)

    async def _update(self, action: _Action, records: Sequence[TxtRecord]) -> None:
        wanted = list(dict.fromkeys(records))
        failures: list[DnsError] = []
        zones: defaultdict[str, list[TxtRecord]] = defaultdict(list)
        apexes = await asyncio.gather(*(caught(self._apex_of(record)) for record in wanted))
        for record, apex in zip(wanted, apexes, strict=True):
            if isinstance(apex, DnsError):
                failures.append(about([record], apex))
            else:
                zones[apex].append(record)
        # One zone that refuses must not keep the others from what they need.
        updates = [self._update_zone(action, zone, members) for zone, members in zones.items()]
        outcomes = await asyncio.gather(*map(caught, updates))
        failures += [outcome for outcome in outcomes if isinstance(outcome, DnsError)]
        if failures:
            raise joined(failures)

    async def _update_zone(self, action: _Action, zone: str, records: Sequence[TxtRecord]) -> None:
        pending = list(records)
        try:
            for batch, message in self._messages(action, zone, records):
                async with self._slots:
                    answer = await self._server.exchange(message)
                self._server.check_update(zone, answer)
                del pending[: len(batch)]
        except DnsError as error:
            raise about(pending, error) from None

    def _messages(
        self, action: _Action, zone: str, records: Iterable[TxtRecord]
    ) -> Iterator[tuple[list[TxtRecord], dns.update.UpdateMessage]]:
        limit = MAX_UDP_MESSAGE if self._server.is_datagram else MAX_TCP_MESSAGE
        empty = len(self._message(action, zone, ()).to_wire())
        batch: list[TxtRecord] = []
        size = empty
        for record in records:
            needed = _wire_size(record)
            if batch and size + needed > limit:
                yield batch, self._message(action, zone, batch)
                batch, size = [], empty
            batch.append(record)
            size += needed
        yield batch, self._message(action, zone, batch)

    def _message(self, action: _Action, zone: str, records: Iterable[TxtRecord]) -> dns.update.UpdateMessage:
        message = dns.update.UpdateMessage(to_name(zone))
        for record in records:
            if action == "add":
                message.add(to_name(record.name), record.ttl or self._ttl, _rdata(record))
            else:
                message.delete(to_name(record.name), _rdata(record))
        self._server.sign(message)
        return message

    async def _apex_of(self, record: TxtRecord) -> str:
        return record.zone or await self._find_apex(record.name)

    async def _find_apex(self, name: str) -> str:
        return await self._apexes.get(name, lambda: self._walk(name))

    async def _walk(self, name: str) -> str:
        try:
            return await find_apex(name, self._ask_server)
        except ZoneNotFound:
            if self._zones is None:
                raise
        return (await self._zones(name)).name

    async def _ask_server(self, name: str, rdtype: str) -> dns.message.Message:
        """Ask the update server without recursion; signed, because the key may choose the view (BIND)."""
        question = dns.message.make_query(to_name(name), rdtype, flags=0)
        self._server.sign(question)
        async with self._slots:
            answer = await self._server.exchange(question)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            why = describe_rcode(answer.rcode())
            raise ZoneNotFound(f"the DNS server {self._server} does not say which zone contains {name}: {why}")
        return answer


def _rdata(record: TxtRecord) -> dns.rdtypes.ANY.TXT.TXT:
    value = record.value.encode()
    strings = [value[start : start + _MAX_STRING] for start in range(0, len(value) or 1, _MAX_STRING)]
    return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)


def _wire_size(record: TxtRecord) -> int:
    return len(to_name(record.name).to_wire() or b"") + _RECORD_OVERHEAD + len(_rdata(record).to_wire() or b"")
