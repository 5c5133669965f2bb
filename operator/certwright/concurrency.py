"""Several calls at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

T = TypeVar("T")


async def side_by_side(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for every one, also when one fails: none may go on behind the back of the next step.

    Raises:
        BaseException: What the first of them raised, in the order given.
    """
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
