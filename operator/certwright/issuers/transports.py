"""Transports to CAs, created when needed and closed when there are too many, because each may take a megabyte.

Issuers with their own CA bundle, client certificate or proxy need separate transports, and a user who may create an
Issuer can create a thousand.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from certwright.http.errors import ConnectionFailed
from certwright.http.url import host_of
from certwright.runtime.turns import TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping

    from certwright.http.message import Response, Transport

MAX_OPEN: Final = 64
"""So many transports are kept; beyond it one that nobody uses is closed, of the namespace that has the most."""

K = TypeVar("K", bound="Hashable")


@dataclass
class _Open:
    """One transport, how many use it now, and the namespace that used it last."""

    transport: Transport
    users: int = 0
    tenant: str = ""


class Transports(Generic[K]):
    """The transports that are open, by what tells them apart.

    Args:
        make: Makes one.
        most: How many are kept. Those in use may be more: one for each request that is under way.
    """

    def __init__(self, make: Callable[[K], Awaitable[Transport]], *, most: int = MAX_OPEN) -> None:
        self._make = make
        self._most = most
        self._open: dict[K, _Open] = {}
        self._making = asyncio.Lock()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    @asynccontextmanager
    async def use(self, key: K) -> AsyncIterator[Transport]:
        """Give a transport to use on behalf of `TENANT`; it stays open that long.

        Raises:
            HttpError: It cannot be made.
        """
        if key not in self._open:
            async with self._making:
                if key not in self._open:
                    self._open[key] = _Open(await self._make(key))
        used = self._open.pop(key)
        self._open[key] = used  # at the end: the first is the one that was used least recently
        used.users, used.tenant = used.users + 1, TENANT.get()
        try:
            yield used.transport
        finally:
            used.users -= 1
            await self._trim()

    async def close(self, key: K) -> None:
        """Close one, if it is open, whoever uses it."""
        found = self._open.pop(key, None)
        if found is not None:
            await found.transport.aclose()

    async def aclose(self) -> None:
        """Close all that are open."""
        while self._open:
            _, one = self._open.popitem()
            await one.transport.aclose()

    async def _trim(self) -> None:
        """Close what is too much, of who has the most: what others use stays."""
        closed = []
        while len(self._open) > self._most:
            shares = Counter(one.tenant for one in self._open.values())
            idle = [key for key, one in self._open.items() if not one.users]
            if not idle:
                break
            most = max(shares[self._open[key].tenant] for key in idle)
            victim = next(key for key in idle if shares[self._open[key].tenant] == most)
            closed.append(self._open.pop(victim))
        for one in closed:
            await one.transport.aclose()


class LateTransport(Generic[K]):
    """A transport that is opened for a request, if it is not open then.

    Args:
        key: What tells it from others.
        transports: Where it is kept.
    """

    def __init__(self, key: K, transports: Transports[K]) -> None:
        self._key = key
        self._transports = transports
        self._closed = False

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
        if self._closed:
            raise ConnectionFailed(
                f"The connections to {host_of(url)} were closed on our side", host=host_of(url), request_sent=False
            )
        async with self._transports.use(self._key) as transport:
            return await transport.request(method, url, headers=headers, content=content, max_bytes=max_bytes)

    async def aclose(self) -> None:
        """Close all connections, for good."""
        self._closed = True
        await self._transports.close(self._key)
