"""Polling until a resource reaches a state: paced by Retry-After, and bounded (RFC 8555 section 7.5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from certwright.acme.errors import PollTimedOut, ServerResponseError
from certwright.acme.patience import may_pass

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from certwright.acme.clock import Clock

FIRST_PAUSE: Final = 0.5
"""Seconds between two looks if the server does not say: from the first to the last of a doubling row."""
LAST_PAUSE: Final = 8.0

SHORTEST_PAUSE: Final = 0.2
"""The least pause between two requests, in seconds, even if the server asks for none; it grows from look to look."""
GROWTH: Final = 1.25

SHORTEST_REST: Final = 0.01
"""A time-out, in seconds, is over when no more than this is left."""


@dataclass(frozen=True)
class Pace:
    """How often a server is asked for news that does not say by Retry-After when to ask again.

    Attributes:
        first: Seconds before the second look; the pause doubles from look to look.
        longest: Seconds of the longest pause.
    """

    first: float = FIRST_PAUSE
    longest: float = LAST_PAUSE

    def __post_init__(self) -> None:
        if not SHORTEST_PAUSE <= self.first <= self.longest:
            raise ValueError(f"the first pause must be {SHORTEST_PAUSE:g} s or more, and no longer than the longest")


class _Pollable(Protocol):
    @property
    def url(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def retry_after(self) -> float | None: ...


_Resource = TypeVar("_Resource", bound=_Pollable)


async def poll(
    resource: _Resource,
    look: Callable[[_Resource], Awaitable[_Resource]],
    *,
    until: frozenset[str],
    timeout: float,  # noqa: ASYNC109 - it bounds the waiting between requests, not one request
    clock: Clock,
    pace: Pace = Pace(),
) -> _Resource:
    """Poll a resource until its status is one of `until`.

    A look that fails because the server asks to come back later counts as no news, if there is time until then.

    Raises:
        PollTimedOut: It did not get there within `timeout` seconds. Where the server asks to wait longer than is left,
            it is looked at once more at the end; `retry_after` tells the caller when to come back.
        AcmeError: A look failed.
    """
    start = clock.monotonic()
    pause, floor, asked = pace.first, SHORTEST_PAUSE, resource.retry_after
    while resource.status not in until:
        wait = pause if asked is None else max(asked, floor)
        left = start + timeout - clock.monotonic()
        if left < SHORTEST_REST:
            raise _too_late(resource, until, waited=clock.monotonic() - start, asked=asked, wait=wait)
        await clock.sleep(min(wait, left))
        pause, floor = min(pause * 2, pace.longest), min(floor * GROWTH, LAST_PAUSE)
        try:
            resource = await look(resource)
            asked = resource.retry_after
        except ServerResponseError as error:
            left = start + timeout - clock.monotonic()
            if not may_pass(error, fresh=True) or error.retry_after is None or error.retry_after > left:
                raise
            asked = error.retry_after
    return resource


def _too_late(
    resource: _Pollable, until: frozenset[str], *, waited: float, asked: float | None, wait: float
) -> PollTimedOut:
    # `invalid` ends a poll too, but nobody waits for it.
    hoped_for = until - {"invalid"} or until
    message = f"{resource.url} is still {resource.status} after {waited:.0f} s, not {' or '.join(sorted(hoped_for))}"
    message += "" if asked is None else f"; the server asks to look again in {asked:.0f} s"
    return PollTimedOut(message, url=resource.url, status=resource.status, retry_after=wait)
