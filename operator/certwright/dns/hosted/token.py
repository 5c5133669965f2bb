"""Tokens obtained with a provider's credential: requested once, and kept until shortly before they expire."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from certwright.dns.errors import DnsError, ProviderUnreachable
from certwright.dns.outcomes import of_ones_own

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EARLY_SECONDS: Final = 120.0
"""How long before its end a token is replaced; half of its life is used in any case."""
FAILED_SECONDS: Final = 10.0
"""How long after a failure no token is asked for: a hundred Certificates would each ask."""
LONGEST_SECONDS: Final = 86400.0
"""No token is believed for longer."""

_VISIBLE: Final = re.compile(r"[!-~]{1,16384}")


@dataclass(frozen=True)
class Token:
    """A token.

    Attributes:
        value: What is sent.
        seconds: How long it can be used.
    """

    value: str = field(repr=False)
    seconds: float


def token_from(value: object, seconds: object, *, host: str) -> Token:
    """Return the token that a server answered with.

    Args:
        value: The token.
        seconds: How long it can be used: a number, or one as a text (Azure).
        host: Which server it was.

    Raises:
        ProviderUnreachable: It is none.
    """
    try:
        lifetime = min(float(seconds), LONGEST_SECONDS) if isinstance(seconds, int | float | str) else 0.0
    except ValueError:
        lifetime = 0.0
    if not isinstance(value, str) or not _VISIBLE.fullmatch(value) or not lifetime > 0:
        raise ProviderUnreachable(f"{host} answered the request for a token with nothing that is one", host=host)
    return Token(value, lifetime)


class TokenCache:
    """Keeps the token of one credential.

    Args:
        fetch: Gets a new token; raises `DnsError`.
        monotonic: The clock, in seconds.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Token]], *, monotonic: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._kept: tuple[float, str] | None = None
        self._failed: tuple[float, DnsError] | None = None
        self._fetching: asyncio.Task[Token | DnsError] | None = None

    async def get(self) -> str:
        """Return a token that can be used now.

        Raises:
            DnsError: There is none.
        """
        now = self._monotonic()
        if self._kept is not None and now < self._kept[0]:
            return self._kept[1]
        if self._failed is not None and now < self._failed[0]:
            raise of_ones_own(self._failed[1])
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._renew())
        # Shielded: one impatient caller must not take the answer away from the others.
        outcome = await asyncio.shield(self._fetching)
        if isinstance(outcome, DnsError):
            raise of_ones_own(outcome)
        return outcome.value

    def drop(self, value: str) -> None:
        """Forget a token that was refused before its end, unless another one has taken its place."""
        if self._kept is not None and self._kept[1] == value:
            self._kept = None

    async def _renew(self) -> Token | DnsError:
        try:
            token = await self._fetch()
        except DnsError as error:
            self._failed = (self._monotonic() + FAILED_SECONDS, error)
            return error
        finally:
            self._fetching = None
        until = self._monotonic() + max(token.seconds - EARLY_SECONDS, token.seconds / 2)
        self._kept, self._failed = (until, token.value), None
        return token
