"""TXT records and their names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dns.exception
import dns.name

from certwright.dns.errors import InvalidName

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, order=True)
class TxtRecord:
    """One value at one name; several values may stand at the same name (RFC 8555 section 8.4).

    Attributes:
        name: Absolute, lower-case, without the trailing dot; other forms are normalized.
        value: The text of the record, its character-strings joined.
        domain: The domain that it validates; None if unknown. Not part of equality, as domains can share a record.
        zone: The zone in which to create it; None for the zone with the longest name that contains it.
        ttl: How long resolvers may cache it, in seconds; None for the provider's default.
        key_authorization: The text whose digest is the value (RFC 8555 section 8.4); None if unknown or not for a
            challenge. It is not secret.

    Raises:
        InvalidName: The name is not a domain name.
    """

    name: str
    value: str
    domain: str | None = field(default=None, compare=False)
    zone: str | None = field(default=None, compare=False)
    ttl: int | None = field(default=None, compare=False)
    key_authorization: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Normalize the names."""
        object.__setattr__(self, "name", normalise(self.name))
        if self.zone is not None:
            object.__setattr__(self, "zone", normalise(self.zone))


def normalise(name: str) -> str:
    """Normalize a name: lower-case, without the trailing dot.

    Raises:
        InvalidName: It is empty, not ASCII, or breaks the length limits of RFC 1035.
    """
    return to_text(to_name(name))


def to_name(name: str) -> dns.name.Name:
    """Parse a name, always as an absolute one; the opposite of `to_text`.

    Raises:
        InvalidName: It is empty, not ASCII, or breaks the length limits of RFC 1035.
    """
    try:
        # ASCII text needs no IDNA codec; other text is refused instead of being guessed at.
        parsed = dns.name.from_text(name.encode("ascii").decode("ascii"))
    except (UnicodeError, dns.exception.DNSException):
        raise InvalidName(f"{name[:300]!r} is not a domain name (in A-labels)") from None
    if parsed == dns.name.root:
        raise InvalidName(f"{name!r} is not a domain name")
    return parsed


def to_text(name: dns.name.Name) -> str:
    """Write a parsed name lower-case and without the trailing dot."""
    return name.to_text(omit_final_dot=True).lower()


def self_and_parents(name: str) -> Iterator[str]:
    """Yield the name, then each of its parents, up to the top-level domain: `a.b.test`, `b.test`, `test`."""
    parsed = to_name(name)
    while parsed != dns.name.root:
        yield to_text(parsed)
        parsed = parsed.parent()
