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
"""The namespace on whose behalf the current task works; tasks that it starts inherit it."""

SLOW_SECONDS: Final = 5.0
"""A place held longer than this can be lent, if places may be lent."""


@dataclass
class _Held:
    """A place in use."""

    tenant: str
    timer: asyncio.TimerHandle | None = None
    is_lent: bool = False


class Turns:
    """Places that waiting tenants get in turn.

    Args:
        places: The number of places.
        kept: How many of them are reserved for tenants that have none.
        lent: How many long-held places may be lent to others, in addition to `places`.
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
        """Whether no place is in use or waited for."""
        return not self._having and not self._waiting and not self._lent

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it during the block."""
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
        """Hand out all places that waiting tenants may have, one tenant after another."""
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
