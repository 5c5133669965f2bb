"""Changes that a provider has accepted and is still distributing to its name servers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.dns.errors import DnsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from certwright.dns.records import TxtRecord

EVERY_SECONDS: Final = 3.0
"""How often one change is asked for, however many wait for it."""
GAP_SECONDS: Final = 0.5
"""Between two questions about any changes of one credential: the rate of its API is for changes."""
KEPT_SECONDS: Final = 600.0
"""For how long a provider is believed that a change is not served yet."""
MAX_RECORDS: Final = 10_000
"""Beyond that, what was changed first is forgotten: then the DNS alone shows it."""
MAX_FAILURES: Final = 3
"""How often in a row the question may fail before it is not asked again."""

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Change:
    id: str
    made_at: float
    ask_at: float
    said: str
    failures: int = 0
    done: bool = False


class PendingChanges:
    """Knows for each record which change it was a part of, and asks whether that is served everywhere.

    It is kept in memory: after a restart it knows nothing.

    Args:
        ask: Asks the API once about a change, by its id; returns what it says, or an empty text if the change is served
            everywhere. Raises `DnsError`.
        said: What is said until the API was asked for the first time.
        monotonic: The clock, in seconds.
    """

    def __init__(self, ask: Callable[[str], Awaitable[str]], *, said: str, monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._said = said
        self._monotonic = monotonic
        self._changes: dict[tuple[str, str], _Change] = {}
        self._next = 0.0

    def note(self, change_id: str, added: Iterable[tuple[str, str]]) -> None:
        """Remember which values, each with its name, a change has added."""
        now = self._monotonic()
        change = _Change(change_id, now, now + EVERY_SECONDS, self._said)
        for value in added:
            self._changes.pop(value, None)
            self._changes[value] = change
        while len(self._changes) > MAX_RECORDS:
            del self._changes[next(iter(self._changes))]

    async def pending(self, records: Sequence[TxtRecord]) -> Mapping[TxtRecord, str]:
        """Return the records that are not served everywhere yet, each with what the API said last."""
        for change in {change for record in records if (change := self._changes.get((record.name, record.value)))}:
            await self._look(change)
        waiting = {}
        for record in records:
            change = self._changes.get((record.name, record.value))
            if change is not None and change.done:
                del self._changes[(record.name, record.value)]
            elif change is not None:
                waiting[record] = change.said
        return waiting

    async def _look(self, change: _Change) -> None:
        now = self._monotonic()
        if now - change.made_at > KEPT_SECONDS:
            change.done = True
        if change.done or now < max(change.ask_at, self._next):
            return
        # Set first: whoever looks meanwhile gets what is known.
        change.ask_at, self._next = now + EVERY_SECONDS, now + GAP_SECONDS
        try:
            said = await self._ask(change.id)
        except DnsError as error:
            change.failures += 1
            change.done = change.failures >= MAX_FAILURES
            _log.info("whether a change of the DNS is served everywhere could not be asked: %s", error)
            return
        change.failures, change.said, change.done = 0, said, not said
