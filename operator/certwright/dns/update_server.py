"""A server for dynamic updates: signs messages, verifies responses, explains refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import dns.message
import dns.rcode
import dns.tsig

from certwright.dns.errors import NameserverUnreachable, TsigRejected, UpdateRefused
from certwright.dns.query import TSIG_FAILURES, UnsignedAnswer, send_tcp, send_udp

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.dns.endpoint import Endpoint, Server
    from certwright.dns.tsig import TsigKey
    from certwright.http.addresses import AddressPolicy

TransportProtocol: TypeAlias = Literal["TCP", "UDP"]

# Datagrams may get lost, and adding or removing the same records twice does no harm.
_UDP_ATTEMPTS = 2

# Codes of answers whose content is used.
_BELIEVABLE = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)

_PEER_REASONS: dict[type[Exception], str] = {
    dns.tsig.PeerBadKey: "BADKEY",
    dns.tsig.PeerBadSignature: "BADSIG",
    dns.tsig.PeerBadTime: "BADTIME",
    dns.tsig.PeerBadTruncation: "BADTRUNC",
}


class UpdateServer:
    """One server, one key, one protocol.

    Args:
        server: The receiver of messages.
        tsig: Signs them, and verifies the answers.
        protocol: The protocol for messages.
        timeout: Seconds for one message to one address.
        before_send: Called right before each is sent, at every attempt; an exception prevents that.
        addresses: Where the server's host name may lead to.
    """

    def __init__(
        self,
        server: Server,
        *,
        tsig: TsigKey | None,
        protocol: TransportProtocol,
        timeout: float,
        before_send: Callable[[], None] | None = None,
        addresses: AddressPolicy | None = None,
    ) -> None:
        self._server = server
        self._addresses = addresses
        self._tsig = tsig
        self._protocol = protocol
        self._timeout = timeout
        self._before_send = before_send

    def __str__(self) -> str:
        """The server as it was configured."""
        return str(self._server)

    @property
    def is_datagram(self) -> bool:
        """Whether messages are sent as datagrams, which limits their size."""
        return self._protocol == "UDP"

    def sign(self, message: dns.message.Message) -> None:
        """Have a message signed with the key, if there is one, when it is sent."""
        if self._tsig:
            message.use_tsig(self._tsig.to_dnspython())

    async def exchange(self, message: dns.message.Message) -> dns.message.Message:
        """Send a message and wait for the answer, whatever its code.

        Raises:
            NameserverUnreachable: No answer from any of its addresses within the time-out.
            MalformedAnswer: The answer is not a DNS message.
            TsigRejected: The server rejected the signature, or its own is missing or wrong.
        """
        failure: NameserverUnreachable | None = None
        for endpoint in await self._server.endpoints(seconds=self._timeout, policy=self._addresses):
            try:
                answer = await self._send(message, endpoint)
            except NameserverUnreachable as error:
                failure = failure or error
                continue
            except TSIG_FAILURES as error:
                raise self._explain_tsig(error) from None
            # RFC 8945 section 5.3: only what went wrong before the key was known may come unsigned.
            if self._tsig and answer.rcode() in _BELIEVABLE and not answer.had_tsig:
                raise self._explain_tsig(UnsignedAnswer())
            return answer
        raise failure or NameserverUnreachable(str(self), "its host name has no address")

    def check_update(self, zone: str, answer: dns.message.Message) -> None:
        """Check that an update was accepted.

        Raises:
            UpdateRefused: It was not; the message explains the server's code.
        """
        if answer.rcode() == dns.rcode.NOERROR:
            return
        rcode = dns.rcode.to_text(answer.rcode())
        raise UpdateRefused(str(self), zone, rcode, self._explain(zone, rcode))

    async def _send(self, message: dns.message.Message, endpoint: Endpoint) -> dns.message.Message:
        if self._protocol == "TCP":
            return await send_tcp(message, endpoint, self._timeout, before_send=self._before_send)
        for _ in range(_UDP_ATTEMPTS - 1):
            try:
                return await self._send_datagram(message, endpoint)
            except NameserverUnreachable as error:
                if not error.timed_out:
                    raise
        return await self._send_datagram(message, endpoint)

    async def _send_datagram(self, message: dns.message.Message, endpoint: Endpoint) -> dns.message.Message:
        return await send_udp(message, endpoint, self._timeout / _UDP_ATTEMPTS, before_send=self._before_send)

    def _explain(self, zone: str, rcode: str) -> str:
        if self._tsig:
            policy = f"its update policy does not allow the key {self._tsig.name}"
        else:
            policy = "it does not allow unsigned updates: configure a TSIG key"
        reasons = {
            "REFUSED": policy,
            "NOTAUTH": "it is not a primary server of that zone",
            "NOTZONE": "a record is not within that zone",
            "NOTIMP": "it does not support dynamic updates",
            "SERVFAIL": "it failed; see its log",
        }
        reason = f": {reasons[rcode]}" if rcode in reasons else ""
        return f"the DNS server {self} refused to update the zone {zone}{reason} ({rcode})"

    def _explain_tsig(self, error: Exception) -> TsigRejected:
        reason = _PEER_REASONS.get(type(error), "ANSWER")
        if isinstance(error, dns.tsig.BadTime):
            what = f"the answer of the DNS server {self} has a signature from another time: compare the clocks"
        elif isinstance(error, UnsignedAnswer):
            what = f"the DNS server {self} does not sign its answer: it may not accept updates at all"
        else:
            what = f"the answer of the DNS server {self} is not signed with our TSIG key"
        words = {
            "BADKEY": f"the DNS server {self} does not know the TSIG key, or not with this algorithm",
            "BADSIG": f"the DNS server {self} has a different secret for the TSIG key",
            "BADTIME": f"the DNS server {self} has a different time than this host: compare the clocks",
            "BADTRUNC": f"the DNS server {self} requires longer signatures than this algorithm produces",
        }
        return self._rejected(reason, words.get(reason, what))

    def _rejected(self, reason: str, message: str) -> TsigRejected:
        name, algorithm = (self._tsig.name, self._tsig.algorithm) if self._tsig else ("", "")
        origin = f"; its secret was read from {self._tsig.source}" if self._tsig and self._tsig.source else ""
        return TsigRejected(str(self), name, reason, f"{message} (TSIG key {name}, {algorithm}, {reason}{origin})")
