"""Limits concurrent requests to one CA host, across all issuers, with turns by namespace."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from certwright.http.url import host_of
from certwright.runtime.turns import TENANT, Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from certwright.http.message import Response, Transport

MAX_REQUESTS: Final = 8
"""To one host at a time, from all issuers together: a bundle of its own gives an issuer no more."""
KEPT_REQUESTS: Final = 2
"""Of these, so many are for namespaces that have none: a CA may be slow for the account of one tenant only."""


class HostPlaces:
    """Places for requests, by host and port; a host that nothing is sent to takes no memory.

    Args:
        lent: How many places of a host are given to other requests while theirs are not answered for long. An API may
            hang for one zone only, or for one credential.
    """

    def __init__(self, *, lent: int = 0) -> None:
        self._lent = lent
        self._hosts: dict[str, Turns] = {}

    def __len__(self) -> int:
        """How many hosts are sent to now."""
        return len(self._hosts)

    @asynccontextmanager
    async def place(self, host: str) -> AsyncIterator[None]:
        """Wait until a request may be sent to a host on behalf of `TENANT`."""
        turns = self._hosts.setdefault(host, Turns(MAX_REQUESTS, kept=KEPT_REQUESTS, lent=self._lent))
        try:
            async with turns.place(TENANT.get()):
                yield
        finally:
            if turns.unused:
                self._hosts.pop(host, None)


class FairTransport:
    """A transport whose requests wait for a place at their host first.

    Args:
        transport: Sends them.
        places: Shared by all transports.
        turns: Shared by transports that send few requests at a time together.
    """

    def __init__(self, transport: Transport, places: HostPlaces, *, turns: Turns | None = None) -> None:
        self._transport = transport
        self._places = places
        self._turns = turns

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int,
    ) -> Response:
        """Send one request; see `Transport.request`."""
        async with self._places.place(host_of(url)), self._place():
            return await self._transport.request(method, url, headers=headers, content=content, max_bytes=max_bytes)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._turns is None:
            yield
            return
        async with self._turns.place(TENANT.get()):
            yield

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()
