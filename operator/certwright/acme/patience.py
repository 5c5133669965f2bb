"""Patience with a CA in trouble: which refusals are temporary, and the pauses before a request is repeated.

A CA consists of many servers. One that does not know a new resource yet answers 404, and one that restarts answers 5xx;
the same request succeeds a moment later. Giving up would cost the issuance.
"""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from certwright.acme.errors import AcmeError, MalformedResponse, ServerResponseError
from certwright.acme.problem import AccountDoesNotExist, BadNonce, ProblemError, RateLimited

if TYPE_CHECKING:
    from certwright.acme.clock import Clock

PATIENCE_SECONDS: Final = 30.0
"""Seconds for which a refused request is repeated; a replica that is behind catches up in a few."""

FIRST_PAUSE: Final = 0.5
"""Seconds before the first repetition; it doubles each time up to the last."""
LAST_PAUSE: Final = 8.0

UNREADABLE_TRIES: Final = 3
"""How often an answer that cannot be read is asked for again: a page of a gateway passes, a CA's own fault does not."""

LONGEST_ASKED_PAUSE: Final = 60.0
"""The longest Retry-After, in seconds, that is waited for within one request; a longer one is left to the caller."""

_SHORTEST_REST: Final = 1.0

_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})


def may_pass(error: AcmeError, *, fresh: bool) -> bool:
    """Return whether a refusal is likely to pass within seconds, so that the same request can be sent again.

    Args:
        error: The refusal.
        fresh: Whether the CA itself has named the resource, so that a 404 means a replica that is behind.
    """
    if not isinstance(error, ServerResponseError):
        return False
    if isinstance(error, RateLimited):
        # Of what the CA has named. One of orders or accounts may be one of hours.
        return fresh
    if error.status == HTTPStatus.NOT_FOUND:
        return fresh and not isinstance(error, AccountDoesNotExist)
    if isinstance(error, ProblemError):
        return error.temporary and not isinstance(error, BadNonce)
    if error.status == HTTPStatus.NOT_IMPLEMENTED:
        return False
    return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in _PASSING


def is_unreadable(error: AcmeError) -> bool:
    """Return whether a success has come that cannot be used: the server may have accepted the request."""
    return isinstance(error, MalformedResponse) and error.status < HTTPStatus.MULTIPLE_CHOICES


class Patience:
    """The pauses of one request: growing, with jitter, as long as the server asks, and not for ever.

    Args:
        seconds: How long the request is repeated; 0 for not at all.
        clock: The time; it runs from now on.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._ends = clock.monotonic() + seconds
        self._pause = FIRST_PAUSE

    def pause_after(self, error: AcmeError, *, fresh: bool) -> float | None:
        """Return the seconds to wait before the request is sent again, or None: the error is final.

        Args:
            error: Why it failed.
            fresh: See `may_pass`.
        """
        return self.next_pause(error.retry_after) if may_pass(error, fresh=fresh) else None

    def next_pause(self, asked: float | None = None) -> float | None:
        """Return the next pause in seconds, or None if it is too late for another try.

        Args:
            asked: Seconds that the server asks to wait, or None.
        """
        left = self._ends - self._clock.monotonic()
        if left <= 0:
            return None
        if asked is not None and asked > LONGEST_ASKED_PAUSE:
            return None
        # Jitter, so that requests that failed together are not repeated together.
        pause = self._pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        self._pause = min(self._pause * 2, LAST_PAUSE)
        if asked is not None:
            return max(asked, pause)
        if pause <= left:
            return pause
        # One last try at the very end, unless that is now.
        return left if left >= _SHORTEST_REST else None
