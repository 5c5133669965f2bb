"""The credentials of DNS providers."""

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
        source: Where it was read, for messages: `the entry secret of Secret dns/tsig`. It is part of equality: the same
            secret from two places counts as two credentials, so that no message names another tenant's Secret.
    """

    value: str = field(repr=False)
    source: str = ""

    def printable(self, what: str) -> str:
        """Return the secret without surrounding white space, for a header field or a signature.

        Args:
            what: Its name in messages.

        Raises:
            InvalidCredential: It is empty, or contains anything but visible ASCII characters.
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
        what: Its name in messages, such as `TSIG secret`.
    """
    return {_WHAT: what}


def credential_name(metadata: Any) -> str | None:
    """Return the name of the credential in a field, or None if the field holds none."""
    name: str | None = metadata.get(_WHAT)
    return name


@dataclass(frozen=True)
class IdentityToken:
    """A short-lived identity token, issued by an identity provider on request.

    Attributes:
        whose: Its subject, for messages: `the ServiceAccount dns/route53`.
        audiences: Its audiences.
        fetch: Fetches a token; may raise `DnsError`. It is not part of equality.
    """

    whose: str
    audiences: tuple[str, ...]
    fetch: Callable[[], Awaitable[str]] = field(compare=False, repr=False)
