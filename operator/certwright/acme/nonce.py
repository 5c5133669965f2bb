"""Nonces: one for each signed request, collected from earlier responses (RFC 8555 sections 6.5 and 7.2)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from certwright.acme import base64url

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.http.message import Headers

DEFAULT_LIMIT: Final = 64
"""How many unused nonces are kept; no more than the requests in flight are ever needed."""

MAX_AGE: Final = 300.0
"""Seconds after which an unused nonce is dropped. A stale one costs the round trip that a fresh one costs."""

_MAX_LENGTH: Final = 512


class NoncePool:
    """Unused nonces of one server. The newest is taken first, because it is the likeliest to be accepted."""

    def __init__(self, *, limit: int = DEFAULT_LIMIT, max_age: float = MAX_AGE, monotonic: Callable[[], float]) -> None:
        self._unused: deque[tuple[float, str]] = deque(maxlen=max(limit, 1))
        self._max_age = max_age
        self._monotonic = monotonic

    def put(self, nonce: str | None) -> None:
        """Keep a nonce, and drop the oldest beyond the limit. Ignore None."""
        if nonce is not None:
            self._unused.append((self._monotonic(), nonce))

    def take(self) -> str | None:
        """Remove and return a nonce, or None if no fresh one is left."""
        if not self._unused:
            return None
        received, nonce = self._unused.pop()
        if self._monotonic() - received <= self._max_age:
            return nonce
        # This was the newest, so the rest is older still.
        self._unused.clear()
        return None

    def __len__(self) -> int:
        return len(self._unused)


def replay_nonce(headers: Headers) -> str | None:
    """Return the nonce of a response. One that is not base64url is ignored (section 6.5.1)."""
    value = (headers.get("Replay-Nonce") or "").strip()
    return value if len(value) <= _MAX_LENGTH and base64url.is_base64url(value) else None
