"""The base of providers that add or remove one value per call.

The server often reads the values at a name, changes them and writes them back, so the calls for a zone are made one
after the other.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from certwright.dns.errors import DnsError, ProviderUnreachable
from certwright.dns.outcomes import about, caught, joined

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from certwright.dns.records import TxtRecord
    from certwright.dns.zone import Zone

MAX_ZONES_AT_ONCE: Final = 4
"""Of one provider: behind what is called there is an API that others use as well."""
RESUME_SECONDS: Final = 600.0
"""How long it is known which values were added by a call that did not come to its end."""


class CallProvider(ABC):
    """A `Provider` that makes one call for each value.

    Args:
        find_zone: Finds the zone of a name.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self, find_zone: Callable[[str], Awaitable[Zone]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._find_zone = find_zone
        self._monotonic = monotonic
        self._zones: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._slots = asyncio.Semaphore(MAX_ZONES_AT_ONCE)
        self._added: dict[TxtRecord, float] = {}

    @abstractmethod
    async def call(self, record: TxtRecord, zone: str, *, adding: bool) -> None:
        """Have one value added or removed; called for one value of a zone at a time.

        Raises:
            ProviderUnreachable: Nobody answers: further values of the zone are not tried.
            DnsError: It was not done.
        """

    async def present(self, records: Sequence[TxtRecord]) -> None:
        """Have the records added.

        Each may take long, so one that was ended in the middle goes on where it was.

        Raises:
            ProviderUnreachable: Nobody answers, or not in time.
            ProviderRefused: It was not done, or may not be asked for.
            ZoneNotFound, ResolutionFailed: The zone of a record cannot be found.
            UpdatesFailed: Several of these.
        """
        now = self._monotonic()
        self._added = {record: at for record, at in self._added.items() if now - at < RESUME_SECONDS}
        await self._change([record for record in records if record not in self._added], adding=True)
        for record in records:
            self._added.pop(record, None)

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """Have exactly these values removed.

        Raises:
            DnsError: As for `present`.
        """
        for record in records:
            self._added.pop(record, None)
        await self._change(records, adding=False)

    async def zone_of(self, record: TxtRecord) -> str:
        """Return the zone of a record. Raises `DnsError`."""
        return record.zone or (await self._find_zone(record.name)).name

    async def _change(self, records: Sequence[TxtRecord], *, adding: bool) -> None:
        wanted = list(dict.fromkeys(records))
        found = await asyncio.gather(*(caught(self.zone_of(record)) for record in wanted))
        zones: defaultdict[str, list[TxtRecord]] = defaultdict(list)
        failures: list[DnsError] = []
        for record, zone in zip(wanted, found, strict=True):
            if isinstance(zone, DnsError):
                failures.append(about([record], zone))
            else:
                zones[zone].append(record)
        outcomes = await asyncio.gather(*(self._change_zone(zone, of, adding=adding) for zone, of in zones.items()))
        failures += [failure for of_zone in outcomes for failure in of_zone]
        if failures:
            raise joined(failures)

    async def _change_zone(self, zone: str, records: Sequence[TxtRecord], *, adding: bool) -> list[DnsError]:
        failures: list[DnsError] = []
        # The lock lives for as long as somebody holds it or waits for it. A slot is taken last: who waits for a slow
        # zone leaves the slots to the others.
        lock = self._zones.setdefault(zone, asyncio.Lock())
        async with lock, self._slots:
            for place, record in enumerate(records):
                try:
                    await self.call(record, zone, adding=adding)
                except ProviderUnreachable as error:
                    # The next call would wait as long for nothing.
                    return [*failures, about(records[place:], error)]
                except DnsError as error:
                    failures.append(about([record], error))
                else:
                    if adding:
                        self._added[record] = self._monotonic()
        return failures
