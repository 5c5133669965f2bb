"""Clean-up that happens in any case: after an error, and after a cancellation too; but not for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


async def in_any_case(work: Coroutine[Any, Any, None], *, seconds: float) -> None:
    """Finish the work although this task is cancelled meanwhile; the cancellation is raised afterwards.

    Args:
        work: What has to be done.
        seconds: The time it has; then it is cancelled itself.

    Raises:
        TimeoutError: It was not done in time.
    """
    task = asyncio.ensure_future(asyncio.wait_for(work, seconds))
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        # Looked at, so that nobody complains about an error that has nowhere to go.
        task.exception()
        raise cancellation
    task.result()
