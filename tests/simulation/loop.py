"""An event loop in which days pass in a moment: when nobody has anything to do, the time of the next timer comes."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


RESOLUTION: Final = 1e-7
"""How exact the loop's clock is, in seconds: less than the microsecond of a `datetime`, which time has to pass by."""


class Stuck(RuntimeError):
    """Nobody waits for a time, and nothing else can happen: the program under test waits for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. Its clock, `time`, begins at 0; what others do in threads is done at once, so that runs are equal."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        super().__init__(_Selector(self))
        # A timer is due if it is less than this away. The default, a nanosecond, is lost in the sum after 194 days.
        self._clock_resolution = RESOLUTION

    def time(self) -> float:
        return self.elapsed

    def run_in_executor(  # type: ignore[override]  # what the loop's own takes as well
        self, _executor: Any, function: Callable[..., Any], *arguments: Any
    ) -> asyncio.Future[Any]:
        done = self.create_future()
        try:
            done.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001 - for whoever awaits it
            done.set_exception(error)
        return done


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing is scheduled any more")
        self._loop.elapsed += max(0.0, timeout)
        return []  # there are neither threads nor connections, so nothing can be ready
