"""Parsing untrusted DNS messages: they are measured first, because a short one may take long to parse.

With compression (RFC 1035 section 4.1.4) two octets stand for a name of up to 127 labels, and 64 KiB for half a million
of them: thirteen seconds for dnspython. This module measures the work, in one pass that allocates nothing.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from functools import partial
from typing import Final

import dns.exception
import dns.message
import dns.rdatatype

from certwright.dns.errors import DnsError

MAX_MESSAGE_BYTES: Final = 16 * 1024
"""The maximum size of an answer: two hundred TXT values of ACME's length. (UDP without EDNS has 512 bytes.)"""
MAX_RECORDS: Final = 256
"""The maximum number of records in all sections together."""
MAX_LABELS: Final = 4096
"""The maximum number of labels, including those that compression stands for: 50 ms of CPU."""
REMEDY: Final = " (remove values at the name that nobody needs any more)"
EASY_LABELS: Final = 256
"""A message with no more labels than this is parsed on the event loop, which takes 3 ms at most."""
_MAX_NAME_LABELS: Final = 127
_MAX_JUMPS: Final = 16

_HEADER: Final = struct.Struct("!6H")
_FIXED: Final = struct.Struct("!HHIH")
_QUESTION_TAIL: Final = 4
_POINTER: Final = 0xC0
_MAX_LABEL: Final = 63

_T = dns.rdatatype.RdataType
_NAMES_AT: Final = {
    # Where names begin in the data of a record, and how many there are.
    _T.NS: (0, 1),
    _T.CNAME: (0, 1),
    _T.SOA: (0, 2),
    _T.PTR: (0, 1),
    _T.DNAME: (0, 1),
    _T.MX: (2, 1),
    _T.SRV: (6, 1),
    _T.RRSIG: (18, 1),
    _T.NSEC: (0, 1),
    _T.TSIG: (0, 1),
    _T.SVCB: (2, 1),
    _T.HTTPS: (2, 1),
}
_NAMELESS: Final = frozenset(
    {_T.A, _T.AAAA, _T.TXT, _T.CAA, _T.DS, _T.DNSKEY, _T.NSEC3, _T.NSEC3PARAM, _T.OPT, _T.TLSA, _T.SSHFP, _T.HINFO}
)


class LaboriousMessage(DnsError):
    """A DNS message is damaged, or takes more work to parse than any legitimate answer. The message says why."""


def too_long(number: int) -> str:
    """Return a description of a message that is too long."""
    return f"of {number} bytes; the limit is {MAX_MESSAGE_BYTES}{REMEDY}"


PARSING_FAILURES: Final = (dns.exception.DNSException, LaboriousMessage)
"""The exceptions that `parse` raises."""


@dataclass(frozen=True)
class Measure:
    """The work of parsing a message.

    Attributes:
        records: The number of records in all sections.
        labels: An upper bound of the number of labels, including those that compression stands for.
    """

    records: int
    labels: int

    @property
    def is_easy(self) -> bool:
        """Whether it may be parsed on the event loop."""
        return self.labels <= EASY_LABELS


def measure(wire: bytes) -> Measure:
    """Measure how much work a message is to parse.

    Args:
        wire: The message, without the length prefix of TCP.

    Raises:
        LaboriousMessage: It has more than 16 KiB, 256 records or 4,096 labels, or its structure is damaged.
    """
    if len(wire) > MAX_MESSAGE_BYTES:
        raise LaboriousMessage(too_long(len(wire)))
    if len(wire) < _HEADER.size:
        raise LaboriousMessage("of less than a header")
    _, _, questions, *sections = _HEADER.unpack_from(wire)
    records = questions + sum(sections)
    if records > MAX_RECORDS:
        raise LaboriousMessage(f"with {records} records; the limit is {MAX_RECORDS}{REMEDY}")
    try:
        return Measure(records, _Walk(wire).labels_of(questions, sum(sections)))
    except (IndexError, struct.error):
        raise LaboriousMessage("that is cut off") from None


class _Walk:
    """One pass over a message.

    Args:
        wire: The message.
    """

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._labels = 0

    def labels_of(self, questions: int, records: int) -> int:
        """Return the number of labels of all names."""
        place = _HEADER.size
        for _ in range(questions):
            place = self._name(place) + _QUESTION_TAIL
        for _ in range(records):
            place = self._record(place)
        if place > len(self._wire):
            raise IndexError
        return self._labels

    def _record(self, place: int) -> int:
        place = self._name(place)
        rdtype, _, _, length = _FIXED.unpack_from(self._wire, place)
        place += _FIXED.size
        end: int = place + length
        if end > len(self._wire):
            raise IndexError
        if rdtype in _NAMES_AT:
            skipped, number = _NAMES_AT[rdtype]
            place += skipped
            for _ in range(number if length else 0):
                place = self._name(place)
        elif rdtype not in _NAMELESS:
            # This may be a list of compressed names.
            self._count(length // 2 * _MAX_NAME_LABELS)
        return end

    def _name(self, place: int) -> int:
        """Count the labels of a name; return where it ends."""
        wire, end, jumps = self._wire, 0, 0
        while (octet := wire[place]) != 0:
            if octet & _POINTER == _POINTER:
                target = (octet & ~_POINTER) << 8 | wire[place + 1]
                end = end or place + 2
                jumps += 1
                if target >= place or jumps > _MAX_JUMPS:
                    raise LaboriousMessage("whose compression leads nowhere")
                place = target
                continue
            if octet > _MAX_LABEL:
                raise LaboriousMessage("with a label of an unknown type")
            self._count(1)
            place += octet + 1
        return end or place + 1

    def _count(self, labels: int) -> None:
        self._labels += labels
        if self._labels > MAX_LABELS:
            raise LaboriousMessage(f"of more than {MAX_LABELS} labels, compressed")


async def parse(
    wire: bytes, question: dns.message.Message, *, raise_on_truncation: bool = False
) -> dns.message.Message:
    """Parse an untrusted answer, in a thread if that takes long. Raises `PARSING_FAILURES`."""
    parsing = partial(
        dns.message.from_wire,
        wire,
        keyring=question.keyring,
        request_mac=question.mac,
        raise_on_truncation=raise_on_truncation,
    )
    try:
        return parsing() if measure(wire).is_easy else await asyncio.to_thread(parsing)
    except (ValueError, struct.error, LookupError, AttributeError, TypeError) as error:
        # dnspython's parsers for single types raise these in addition to its own errors.
        raise dns.exception.FormError from error
