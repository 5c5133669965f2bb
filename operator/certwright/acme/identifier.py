"""Identifiers: the domains and addresses in a certificate (RFC 8555 section 9.7.7, RFC 8738)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.acme.errors import InvalidIdentifier
from certwright.names import normal_address, normal_domain
from certwright.text import listed, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_NAME: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, order=True)
class Identifier:
    """A domain or an address.

    Attributes:
        type: `dns` or `ip`; a server may support others.
        value: The name in ASCII (A-labels), possibly with a leading `*.` in an order, or the address.
    """

    type: str
    value: str

    @classmethod
    def dns(cls, name: str) -> Identifier:
        """Return the identifier of a domain name, in lower case, without a trailing dot, in A-labels (RFC 5890).

        Raises:
            ValueError: It is not ASCII, and no internationalised domain name.
        """
        return cls("dns", normal_domain(name))

    @classmethod
    def ip(cls, address: str) -> Identifier:
        """Return the identifier of an address in the canonical text form that RFC 8738 section 3 requires.

        Raises:
            ValueError: The text is not an IPv4 or IPv6 address.
        """
        return cls("ip", normal_address(address))

    @classmethod
    def of(cls, names: Iterable[str | Identifier]) -> tuple[Identifier, ...]:
        """Return the identifiers of names as they are written, each once, in their order.

        Raises:
            InvalidIdentifier: One of them is none; see `parse`.
            TypeError: It is one name instead of several: its letters would be taken for names.
        """
        if isinstance(names, str | Identifier):
            raise TypeError(f"names is a list of names, not the one name {printable(str(names), 100)!r}")
        return tuple(dict.fromkeys(name if isinstance(name, Identifier) else cls.parse(name) for name in names))

    @classmethod
    def parse(cls, text: str) -> Identifier:
        """Parse user input: an address, a domain name or a wildcard, in any script (RFC 5890).

        Raises:
            InvalidIdentifier: The text is none of these.
        """
        stripped = text.strip()
        try:
            return cls.ip(stripped.removeprefix("[").removesuffix("]"))
        except ValueError:
            return cls("dns", _domain_name(stripped))

    def to_json(self) -> dict[str, str]:
        """Return the object for a newOrder request."""
        return {"type": self.type, "value": self.value}

    def __str__(self) -> str:
        return self.value


def _domain_name(text: str) -> str:
    wildcard = "*." if text.startswith("*.") else ""
    try:
        name = normal_domain(text.removeprefix(wildcard))
    except ValueError:
        raise _invalid(text, "it is not a valid internationalised domain name (RFC 5891)") from None
    if len(wildcard + name) > _MAX_NAME:
        raise _invalid(text, f"it is longer than {_MAX_NAME} characters")
    if "*" in name:
        raise _invalid(text, "only the whole first label can be a wildcard, as in *.example.com")
    if any(character in name for character in ":/@?# "):
        raise _invalid(text, "write it as in www.example.com, without scheme, port or path")
    if not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise _invalid(
            text,
            "the parts between its dots must be 1 to 63 letters, digits, hyphens and underscores,"
            " with no hyphen at the beginning or end",
        )
    if name.rpartition(".")[2].isdigit():
        raise _invalid(text, "a top-level domain cannot be a number, and it is not an address")
    return wildcard + name


def _invalid(text: str, reason: str) -> InvalidIdentifier:
    return InvalidIdentifier(f"{printable(text, 100)!r} is not a domain or address for a certificate: {reason}")


def canonical(identifier: Identifier) -> Identifier:
    """Return an identifier as it is compared: lower case, ASCII, no final dot, an address in its shortest form.

    Some servers spell a domain in its own script, or a type in capitals.
    """
    kind, value = identifier.type.lower(), identifier.value.removesuffix(".").lower()
    try:
        if kind == "ip":
            return Identifier.ip(value.removeprefix("[").removesuffix("]"))
        return Identifier.dns(value) if kind == "dns" else Identifier(kind, value)
    except ValueError:
        return Identifier(kind, value)


def shown(identifiers: Iterable[Identifier]) -> str:
    """Return the values for a message, sorted, the first few of them."""
    return listed(sorted(printable(identifier.value, 100) for identifier in identifiers))
