"""Polling until a resource reaches a state: paced by Retry-After, and bounded (RFC 8555 section 7.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from certwright.acme.errors import PollTimedOut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from certwright.acme.clock import Clock

FIRST_PAUSE: Final = 0.5
"""Seconds between two looks if the server does not say: from the first to the last of a doubling row."""
LAST_PAUSE: Final = 8.0

SHORTEST_PAUSE: Final = 0.2
"""The least pause between two requests, in seconds, even if the server asks for none."""


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
) -> _Resource:
    """Poll a resource until its status is one of `until`.

    Raises:
        PollTimedOut: It did not get there within `timeout` seconds, or the server asks to wait longer than is left;
            `retry_after` then says how long, so that the caller can come back instead of waiting.
    """
    deadline = clock.monotonic() + timeout
    pause = FIRST_PAUSE
    while resource.status not in until:
        wait = pause if resource.retry_after is None else max(resource.retry_after, SHORTEST_PAUSE)
        if clock.monotonic() + wait > deadline:
            raise PollTimedOut(
                f"{resource.url} is still {resource.status} after waiting up to {timeout:g} s"
                f" for {' or '.join(sorted(until))}; look again later",
                url=resource.url,
                status=resource.status,
                retry_after=wait,
            )
        await clock.sleep(wait)
        pause = min(pause * 2, LAST_PAUSE)
        resource = await look(resource)
    return resource
