"""The credentials that a DNS provider signs or logs in with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.dns.errors import InvalidCredential

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_WHAT: Final = "credential"
_VISIBLE: Final = re.compile(r"[!-~]{1,8192}")


@dataclass(frozen=True)
class Credential:
    """A secret value. Never show it: its repr does not.

    Attributes:
        value: The secret.
        source: Where it was read, for messages: `the entry secret of Secret dns/tsig`. It is a part of equality: the
            same secret from two places is two credentials, so that no message names somebody else's Secret.
    """

    value: str = field(repr=False)
    source: str = ""

    def printable(self, what: str) -> str:
        """Return the secret as a header field or a signature can hold it: without white space around it.

        Args:
            what: What it is called in messages.

        Raises:
            InvalidCredential: It is empty, or holds anything but visible characters of ASCII.
        """
        text = self.value.strip()
        where = f" in {self.source}" if self.source else ""
        if not text:
            raise InvalidCredential(f"the {what}{where} is empty")
        if not _VISIBLE.fullmatch(text):
            raise InvalidCredential(
                f"the {what}{where} has a space, a line break or another character that no {what} has: copy it again"
            )
        return text


def credential(what: str) -> dict[str, Any]:
    """Return the metadata of a field that holds a `Credential`.

    Args:
        what: What it is called in messages, such as `TSIG secret`.
    """
    return {_WHAT: what}


def credential_name(metadata: Any) -> str | None:
    """Return what the credential of a field is called, or None if the field holds none."""
    name: str | None = metadata.get(_WHAT)
    return name


@dataclass(frozen=True)
class IdentityToken:
    """A short-lived token that says who this is, which an identity provider issues when it is asked for.

    Attributes:
        whose: Whose it is, for messages: `the ServiceAccount dns/route53`.
        audiences: Whom it is for.
        fetch: Gets one; raises `DnsError`. It is no part of equality.
    """

    whose: str
    audiences: tuple[str, ...]
    fetch: Callable[[], Awaitable[str]] = field(compare=False, repr=False)
