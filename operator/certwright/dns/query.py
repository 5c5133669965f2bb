"""One query to one server, over UDP and, if necessary, TCP."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import dns.asyncbackend
import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.query
import dns.rcode
import dns.tsig

from certwright.dns.errors import DnsError, MalformedAnswer, NameserverUnreachable
from certwright.dns.https import HttpsResolver, OneRequestTransport, send_https
from certwright.dns.records import to_name
from certwright.dns.wire import MAX_MESSAGE_BYTES, PARSING_FAILURES, LaboriousMessage, parse, too_long

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.dns.endpoint import Endpoint
    from certwright.http.addresses import AddressPolicy
    from certwright.http.message import Transport

DEFAULT_TIMEOUT = 5.0
# The maximum number of concurrent queries to all servers, each of which holds a socket.
MAX_CONCURRENT = 64
# The maximum number of stray datagrams for one query; after that, TCP is used.
MAX_STRAYS = 32


class OnlyStrays(NameserverUnreachable):
    """Everything that a server sent over UDP answers another question, or has another message ID."""


class UnsignedAnswer(DnsError):
    """The answer to a signed message has no signature; the caller, which signed it, explains that."""


# Exceptions about the signature of a response; the caller, which signed the query, explains them.
TSIG_FAILURES = (
    dns.tsig.PeerError,
    dns.tsig.BadAlgorithm,
    dns.tsig.BadKey,
    dns.tsig.BadSignature,
    dns.tsig.BadTime,
    dns.message.UnknownTSIGKey,
    UnsignedAnswer,
)

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

_FAILURES = (*PARSING_FAILURES, OSError, EOFError)

_BACKEND: Any = dns.asyncbackend.get_backend("asyncio")  # dnspython leaves make_socket without types

_RCODE_WORDS = {
    "SERVFAIL": "it failed to answer (SERVFAIL)",
    "REFUSED": "it refuses to answer (REFUSED)",
    "NOTIMP": "it does not support this query (NOTIMP)",
    "FORMERR": "it does not understand the query (FORMERR)",
    "NOTAUTH": "it is not authoritative for the name (NOTAUTH)",
}


class Questioner:
    """Sends queries, a bounded number at a time.

    Args:
        timeout: Seconds for one query to one server, over UDP and TCP together.
        transport: Returns the transport for queries over HTTPS; None to open a connection for each query. Its timeouts
            apply, or `timeout` if that is shorter.
        addresses: Which addresses host names may resolve to; None to also allow loopback addresses.

    Attributes:
        addresses: See above.
    """

    def __init__(
        self,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        transport: Callable[[], Transport] | None = None,
        addresses: AddressPolicy | None = None,
    ) -> None:
        self._timeout = timeout
        self.addresses = addresses
        self._transport = transport or OneRequestTransport
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    @property
    def timeout(self) -> float:
        """Seconds for one query to one server, over UDP and TCP together."""
        return self._timeout

    async def ask(
        self, endpoint: Endpoint | HttpsResolver, name: str, rdtype: str, *, recursive: bool, validate: bool = True
    ) -> dns.message.Message:
        """Query one server for one record set.

        The first half of the time is for UDP; after a truncated answer, no answer or a closed port, TCP is used. There
        is no EDNS: a few TXT values fit in 512 bytes, and some servers still cannot handle it.

        Args:
            endpoint: The server; a DNS over HTTPS resolver is queried over HTTPS only.
            name: The name.
            rdtype: The record type: `TXT`, `SOA`...
            recursive: Whether to request recursion.
            validate: Whether a resolver with DNSSEC should return only validated answers.

        Raises:
            NameserverUnreachable: There was no answer in time, over UDP or TCP.
            MalformedAnswer: The answer is not a DNS message.
        """
        flags = (dns.flags.RD if recursive else 0) | (0 if validate else dns.flags.CD)
        question = dns.message.make_query(to_name(name), rdtype, flags=flags)
        async with self._slots:
            if isinstance(endpoint, HttpsResolver):
                return await self._ask_over_https(endpoint, question)
            try:
                return await send_udp(question, endpoint, self._timeout / 2)
            except (dns.message.Truncated, NameserverUnreachable, MalformedAnswer) as error:
                over_udp = error
            try:
                return await send_tcp(question, endpoint, self._timeout / 2)
            except NameserverUnreachable as error:
                raise _with_both(over_udp, error, endpoint) from None

    async def describe_failure(
        self, endpoint: Endpoint | HttpsResolver, name: str, rdtype: str, answer: dns.message.Message
    ) -> str:
        """Describe the response code of a failed resolver, and whether DNSSEC is the cause."""
        words = describe_rcode(answer.rcode())
        if answer.rcode() != dns.rcode.SERVFAIL:
            return words
        try:
            unchecked = await self.ask(endpoint, name, rdtype, recursive=True, validate=False)
        except DnsError:
            return words
        if unchecked.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return words
        return (
            f"{words}, and answers if it need not validate: the DNSSEC of the zone is broken, so no CA gets an answer "
            "either. Correct its signatures, or the DS record at its parent"
        )

    async def _ask_over_https(self, resolver: HttpsResolver, question: dns.message.Message) -> dns.message.Message:
        try:
            async with asyncio.timeout(self._timeout):
                return await send_https(question, resolver, self._transport)
        except TimeoutError:
            reason = f"no answer within {self._timeout:g} s"
            raise NameserverUnreachable(str(resolver), reason, timed_out=True) from None


async def send_udp(
    message: dns.message.Message, endpoint: Endpoint, seconds: float, *, before_send: Callable[[], None] | None = None
) -> dns.message.Message:
    """Send a message in a datagram and wait for the answer.

    `TSIG_FAILURES` and exceptions from `before_send` pass through.

    Raises:
        NameserverUnreachable: No answer in time, or the port is closed.
        MalformedAnswer: The answer is not a DNS message.
        dns.message.Truncated: The answer did not fit: ask again over TCP.
    """
    family, deadline = dns.inet.af_for_address(endpoint.address), time.monotonic() + seconds
    try:
        # A connected socket, so that a closed port is reported immediately instead of by a timeout.
        udp = await _BACKEND.make_socket(
            family, socket.SOCK_DGRAM, destination=(endpoint.address, endpoint.port), timeout=seconds
        )
        async with udp:
            if before_send is not None:
                before_send()
            await udp.sendto(message.to_wire(), None, _left(deadline))
            return await _receive_datagram(udp, message, endpoint, deadline)
    except dns.message.Truncated:
        raise
    except _FAILURES as error:
        raise _typed(error, message, endpoint, "UDP", seconds) from None


async def send_tcp(
    message: dns.message.Message, endpoint: Endpoint, seconds: float, *, before_send: Callable[[], None] | None = None
) -> dns.message.Message:
    """Send a message over a new TCP connection and wait for the answer.

    `TSIG_FAILURES` and exceptions from `before_send` pass through.

    Raises:
        NameserverUnreachable: No connection or no answer in time.
        MalformedAnswer: The answer is not a DNS message.
    """
    family = dns.inet.af_for_address(endpoint.address)
    deadline = time.monotonic() + seconds
    try:
        tcp = await _BACKEND.make_socket(
            family, socket.SOCK_STREAM, destination=(endpoint.address, endpoint.port), timeout=seconds
        )
        async with tcp:
            if before_send is not None:
                before_send()
            wire = message.to_wire()
            await tcp.sendall(struct.pack("!H", len(wire)) + wire, _left(deadline))
            (length,) = struct.unpack("!H", await _read_exactly(tcp, 2, deadline))
            if length > MAX_MESSAGE_BYTES:
                raise LaboriousMessage(too_long(length))
            answer = await parse(await _read_exactly(tcp, length, deadline), message)
            if not message.is_response(answer):
                raise dns.query.BadResponse
            return answer
    except _FAILURES as error:
        raise _typed(error, message, endpoint, "TCP", seconds) from None


async def _receive_datagram(
    udp: Any, message: dns.message.Message, endpoint: Endpoint, deadline: float
) -> dns.message.Message:
    """Wait for the answer; forged and stray datagrams are ignored, but with a key a bad answer is reported."""
    for number in range(MAX_STRAYS):
        try:
            wire, _ = await udp.recvfrom(MAX_MESSAGE_BYTES, _left(deadline))
        except dns.exception.Timeout:
            if not number:
                raise
            reason = "what it sent over UDP answers another question, or has another message ID"
            raise OnlyStrays(str(endpoint), reason, timed_out=True) from None
        if wire[:2] != message.id.to_bytes(2, "big"):
            continue
        try:
            answer = await parse(wire, message, raise_on_truncation=True)
        except dns.message.Truncated as error:
            if message.keyring is None and not message.is_response(error.message()):  # type: ignore[no-untyped-call]
                continue
            raise
        except _FAILURES:
            if message.keyring is None:
                continue
            raise
        if message.is_response(answer):
            return answer
        if message.keyring is not None:
            raise dns.query.BadResponse
    raise MalformedAnswer(str(endpoint), "again and again")


async def _read_exactly(tcp: Any, count: int, deadline: float) -> bytes:
    parts: list[bytes] = []
    while count:
        part: bytes = await tcp.recv(count, _left(deadline))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _left(deadline: float) -> float:
    """Return the seconds until then, for dnspython's sockets."""
    return max(0.0, deadline - time.monotonic())


def describe_rcode(rcode: dns.rcode.Rcode) -> str:
    """Describe a server's response code."""
    text = dns.rcode.to_text(rcode)
    return _RCODE_WORDS.get(text, f"it answered {text}")


def _with_both(over_udp: Exception, over_tcp: NameserverUnreachable, endpoint: Endpoint) -> NameserverUnreachable:
    """Return the error of a query over TCP, with the result of the same query over UDP."""
    if isinstance(over_udp, dns.message.Truncated):
        shown = f"its answer over UDP is cut off, and {over_tcp.reason}: it has to answer over TCP as well"
    elif isinstance(over_udp, OnlyStrays):
        shown = f"{over_udp.reason}; {over_tcp.reason}"
    else:
        return over_tcp
    return NameserverUnreachable(str(endpoint), shown, timed_out=over_tcp.timed_out)


def _typed(
    error: Exception, message: dns.message.Message, endpoint: Endpoint, protocol: str, seconds: float
) -> Exception:
    """Translate the exceptions of dnspython and the sockets into our errors; `TSIG_FAILURES` pass through."""
    if isinstance(error, dns.exception.Timeout):
        reason = f"no answer over {protocol} within {seconds:g} s"
        return NameserverUnreachable(str(endpoint), reason, timed_out=True)
    if isinstance(error, EOFError):
        return NameserverUnreachable(str(endpoint), f"it closed the {protocol} connection without an answer")
    if isinstance(error, OSError) and error.errno in _NO_ROUTE and ":" in endpoint.address:
        return NameserverUnreachable(str(endpoint), f"there is no way from here to IPv6 addresses ({protocol})")
    if isinstance(error, OSError):
        reason = os.strerror(error.errno).lower() if error.errno else type(error).__name__
        return NameserverUnreachable(str(endpoint), f"{reason} ({protocol})")
    if isinstance(error, TSIG_FAILURES):
        return error
    if isinstance(error, LaboriousMessage):
        return MalformedAnswer(str(endpoint), str(error))
    # dnspython has no class of its own for a missing signature; its subclasses of this one are other faults.
    if message.keyring and type(error) is dns.exception.FormError:
        return UnsignedAnswer(str(endpoint))
    return MalformedAnswer(str(endpoint))
