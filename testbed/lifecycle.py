"""Start many parts at once in the order they need, and stop them all."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .assembly import Place
    from .part import Part

# What the parts hold is thrown away with the bed: there is nothing to wait long for.
END_GRACE = 3.0


def start_all(places: Mapping[str, Place], abort: Callable[[], None]) -> None:
    """Start each part as soon as the parts it needs are ready.

    Args:
        places: the parts by name; each after those it needs.
        abort: called when one failed or the user interrupts, makes the others give up.

    Raises:
        BedError: the first part that failed.
    """
    running: dict[str, Future[None]] = {}

    def start(place: Place) -> None:
        for name in place.after:
            running[name].result()
        place.part.start()

    with ThreadPoolExecutor(max(1, len(places)), thread_name_prefix="testbed-start") as pool:
        for name, place in places.items():
            running[name] = pool.submit(start, place)
        try:
            done, _ = wait(running.values(), return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BaseException:
            abort()
            raise


def stop_all(parts: Iterable[Part], *, last: Sequence[str] = ()) -> None:
    """Stop all parts at once, then those named `last`, one by one.

    Raises:
        TimeoutError: a process survived SIGKILL; all others were ended.
    """
    everyone = list(parts)
    survivors: list[BaseException] = []
    for group in (
        [part for part in everyone if part.name not in last],
        *([part for part in everyone if part.name == name] for name in last),
    ):
        if group:
            with ThreadPoolExecutor(len(group), thread_name_prefix="testbed-stop") as pool:
                endings = [pool.submit(part.stop, grace=END_GRACE) for part in group]
            survivors += [error for ending in endings if (error := ending.exception()) is not None]
    if survivors:
        raise survivors[0]
