"""The result of a check, and what checks of remote servers have in common."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

_T = TypeVar("_T")

Level = Literal["pass", "warn", "fail"]

AT_ONCE: Final = 8
"""Servers that are asked at the same time."""
SECONDS: Final = 10.0
"""How long to wait for one."""
FROM_HERE: Final = "seen from this machine; the operator's pod may have another route"


@dataclass(frozen=True)
class Result:
    """What a check has found.

    Attributes:
        level: `fail` ends the command with an error; `warn` is for what cannot be told from here, or may be meant.
        name: What was checked.
        message: What was found, and what to do.
    """

    level: Level
    name: str
    message: str


async def at_once(checks: Sequence[Awaitable[_T]]) -> list[_T]:
    """Return what checks have found, in their order; a few of them run at the same time."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(check: Awaitable[_T]) -> _T:
        async with limit:
            return await check

    return list(await asyncio.gather(*(one(check) for check in checks)))
