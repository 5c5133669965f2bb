"""A bounded number of places that tenants take in turn: a semaphore that one of them cannot fill."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TENANT: Final[ContextVar[str]] = ContextVar("TENANT", default="")
"""On whose behalf the present task works: a namespace. Tasks that it starts work for the same."""


class Turns:
    """Places for whoever waits, one tenant after another.

    Args:
        places: How many there are.
        kept: How many of them are only for tenants that have none.
    """

    def __init__(self, places: int, *, kept: int) -> None:
        self._free = places
        self._kept = kept
        self._having: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def unused(self) -> bool:
        """Whether nobody has a place or waits for one."""
        return not self._having and not self._waiting

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a place, and have it inside."""
        await self._take(tenant)
        try:
            yield
        finally:
            self._give_back(tenant)

    async def _take(self, tenant: str) -> None:
        if tenant not in self._waiting and self._may_take(tenant):
            self._give(tenant)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(tenant)
            else:
                self._forget(tenant, turn)
            raise

    def _may_take(self, tenant: str) -> bool:
        return self._free > (self._kept if self._having[tenant] else 0)

    def _give(self, tenant: str) -> None:
        self._free -= 1
        self._having[tenant] += 1

    def _give_back(self, tenant: str) -> None:
        self._free += 1
        self._having[tenant] -= 1
        if not self._having[tenant]:
            del self._having[tenant]
        self._serve()

    def _serve(self) -> None:
        """Give every place that somebody waiting may have, one tenant after another."""
        while (tenant := next(filter(self._may_take, self._waiting), None)) is not None:
            turn = self._waiting[tenant].popleft()
            self._waiting.move_to_end(tenant)
            if not self._waiting[tenant]:
                del self._waiting[tenant]
            if not turn.done():  # who waits may have been cancelled, and not come to say so
                self._give(tenant)
                turn.set_result(None)

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(tenant, deque())
        if turn in waiting:
            waiting.remove(turn)
        if not waiting:
            self._waiting.pop(tenant, None)
