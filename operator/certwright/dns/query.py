"""One question to one server, over UDP and, where that does not do, TCP."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.rcode
import dns.tsig

from certwright.dns.errors import DnsError, MalformedAnswer, NameserverUnreachable
from certwright.dns.records import to_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.dns.endpoint import Endpoint

DEFAULT_TIMEOUT = 5.0
# Questions on the way at the same time, over all servers: each holds a socket.
MAX_CONCURRENT = 64


class UnsignedAnswer(DnsError):
    """The answer to a signed message has no signature; whoever signed explains it."""


# What is raised about the signature of an answer: for the caller who signed the question to explain.
TSIG_FAILURES = (
    dns.tsig.PeerError,
    dns.tsig.BadAlgorithm,
    dns.tsig.BadKey,
    dns.tsig.BadSignature,
    dns.tsig.BadTime,
    dns.message.UnknownTSIGKey,
    UnsignedAnswer,
)

_BACKEND: Any = dns.asyncbackend.get_backend("asyncio")  # dnspython leaves make_socket without types

_RCODE_WORDS = {
    "SERVFAIL": "it failed to answer (SERVFAIL)",
    "REFUSED": "it refuses to answer (REFUSED)",
    "NOTIMP": "it does not support this query (NOTIMP)",
    "FORMERR": "it does not understand the query (FORMERR)",
    "NOTAUTH": "it is not authoritative for the name (NOTAUTH)",
}


class Questioner:
    """Asks questions, a bounded number at a time."""

    def __init__(self, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._timeout = timeout
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    @property
    def timeout(self) -> float:
        """Seconds for one question to one server, over UDP and TCP together."""
        return self._timeout

    async def ask(self, endpoint: Endpoint, name: str, rdtype: str, *, recursive: bool) -> dns.message.Message:
        """Ask one server for one record set.

        UDP has the first half of the time; a truncated answer, silence or a closed port make it TCP. No EDNS
        is sent: a few TXT values fit in 512 bytes, and some servers still choke on it.

        Args:
            endpoint: Whom to ask.
            name: What for.
            rdtype: `TXT`, `SOA`...
            recursive: Whether the server shall ask others for us.

        Raises:
            NameserverUnreachable: Neither UDP nor TCP brought an answer in time.
            MalformedAnswer: What came is no DNS message.
        """
        question = dns.message.make_query(to_name(name), rdtype, flags=dns.flags.RD if recursive else 0)
        async with self._slots:
            try:
                return await send_udp(question, endpoint, self._timeout / 2)
            except (dns.message.Truncated, NameserverUnreachable, MalformedAnswer):
                return await send_tcp(question, endpoint, self._timeout / 2)


async def send_udp(
    message: dns.message.Message, endpoint: Endpoint, seconds: float, *, before_send: Callable[[], None] | None = None
) -> dns.message.Message:
    """Send a message in a datagram and wait for the answer.

    `TSIG_FAILURES` and what `before_send` raises pass through.

    Raises:
        NameserverUnreachable: No answer in time, or the port is closed.
        MalformedAnswer: What came is no DNS message.
        dns.message.Truncated: The answer did not fit: ask again over TCP.
    """
    family = dns.inet.af_for_address(endpoint.address)
    try:
        # Connected, so that a closed port is told at once instead of by a time-out.
        udp = await _BACKEND.make_socket(
            family, socket.SOCK_DGRAM, destination=(endpoint.address, endpoint.port), timeout=seconds
        )
        async with udp:
            if before_send is not None:
                before_send()
            return await dns.asyncquery.udp(
                message,
                endpoint.address,
                timeout=seconds,
                port=endpoint.port,
                sock=udp,
                raise_on_truncation=True,
                # Forged and stray datagrams are waited out, but with a key the bad answer is the news.
                ignore_errors=message.keyring is None,
                ignore_unexpected=True,
            )
    except dns.message.Truncated:
        raise
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise _typed(error, message, endpoint, "UDP", seconds) from None


async def send_tcp(
    message: dns.message.Message, endpoint: Endpoint, seconds: float, *, before_send: Callable[[], None] | None = None
) -> dns.message.Message:
    """Send a message over a TCP connection of its own and wait for the answer.

    `TSIG_FAILURES` and what `before_send` raises pass through.

    Raises:
        NameserverUnreachable: No connection or no answer in time.
        MalformedAnswer: What came is no DNS message.
    """
    family = dns.inet.af_for_address(endpoint.address)
    now = asyncio.get_running_loop().time
    deadline = now() + seconds
    try:
        tcp = await _BACKEND.make_socket(
            family, socket.SOCK_STREAM, destination=(endpoint.address, endpoint.port), timeout=seconds
        )
        async with tcp:
            if before_send is not None:
                before_send()
            left = max(0.0, deadline - now())
            return await dns.asyncquery.tcp(message, endpoint.address, timeout=left, port=endpoint.port, sock=tcp)
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise _typed(error, message, endpoint, "TCP", seconds) from None


def describe_rcode(rcode: dns.rcode.Rcode) -> str:
    """Say in words what a server's answer code means."""
    text = dns.rcode.to_text(rcode)
    return _RCODE_WORDS.get(text, f"it answered {text}")


def _typed(
    error: Exception, message: dns.message.Message, endpoint: Endpoint, protocol: str, seconds: float
) -> Exception:
    """Turn what dnspython and the sockets raise into our errors; `TSIG_FAILURES` stay as they are."""
    if isinstance(error, dns.exception.Timeout):
        reason = f"no answer over {protocol} within {seconds:g} s"
        return NameserverUnreachable(str(endpoint), reason, timed_out=True)
    if isinstance(error, EOFError):
        return NameserverUnreachable(str(endpoint), f"it closed the {protocol} connection without an answer")
    if isinstance(error, OSError):
        reason = os.strerror(error.errno).lower() if error.errno else type(error).__name__
        return NameserverUnreachable(str(endpoint), f"{reason} ({protocol})")
    if isinstance(error, TSIG_FAILURES):
        return error
    # dnspython has no class of its own for a missing signature; its subclasses of this one are other faults.
    if message.keyring and type(error) is dns.exception.FormError:
        return UnsignedAnswer(str(endpoint))
    return MalformedAnswer(str(endpoint))
