"""A semaphore whose places go to tenants in turn, so that a single tenant cannot occupy all of them."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TENANT: Final[ContextVar[str]] = ContextVar("TENANT", default="")
"""On whose behalf the present task works: a namespace. Tasks that it starts work for the same."""

SLOW_SECONDS: Final = 5.0
"""A place that is held for longer is lent, where places are."""


@dataclass
class _Held:
    """A place that somebody has."""

    tenant: str
    timer: asyncio.TimerHandle | None = None
    is_lent: bool = False


class Turns:
    """Places for whoever waits, one tenant after another.

    Args:
        places: How many there are.
        kept: How many of them are only for tenants that have none.
        lent: How many that are held for long are given to others meanwhile: so many more than `places` are in use then.
    """

    def __init__(self, places: int, *, kept: int, lent: int = 0) -> None:
        self._free = places
        self._kept = kept
        self._may_lend = lent
        self._lent = 0
        self._having: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def unused(self) -> bool:
        """Whether nobody has a place or waits for one."""
        return not self._having and not self._waiting and not self._lent

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a place, and have it inside."""
        await self._take(tenant)
        held = _Held(tenant)
        held.timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._lend, held) if self._may_lend else None
        try:
            yield
        finally:
            if held.timer is not None:
                held.timer.cancel()
            if held.is_lent:
                self._lent -= 1
            else:
                self._give_back(tenant)

    def _lend(self, held: _Held) -> None:
        if self._lent < self._may_lend:
            self._lent += 1
            held.is_lent = True
            self._give_back(held.tenant)
        else:
            held.timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._lend, held)

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
