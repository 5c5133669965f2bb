"""Who needs which TXT record: a value that two Certificates share is removed by the last of them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from certwright.concurrency import KeyedLock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from certwright.challenges.response import RecordResponse


class RecordLedger:
    """Holders of presented records, by record.

    A CA may hand the same pending authorization, and so the same TXT value, to two orders of one account. Whoever is
    done first must leave the value alone, and whoever presents a value while it is being removed must wait for that.
    """

    def __init__(self) -> None:
        self._holders: dict[RecordResponse, set[str]] = {}
        self._turns: KeyedLock[str] = KeyedLock()

    async def hold(self, holder: str, records: Iterable[RecordResponse]) -> None:
        """Note that a holder needs these records; returns when no removal of them is under way.

        Args:
            holder: UID of the Certificate.
            records: Its records.
        """
        for name, records_here in _by_name(records):
            async with self._turns.at(name):
                for record in records_here:
                    self._holders.setdefault(record, set()).add(holder)

    @asynccontextmanager
    async def releasing(self, holder: str, records: Iterable[RecordResponse]) -> AsyncIterator[list[RecordResponse]]:
        """Give the records up, and yield those that nobody else holds and that are to be removed inside the block.

        If the block fails the holder keeps them all.
        """
        names = _by_name(records)
        mine = [record for _, records_here in names for record in records_here]
        async with AsyncExitStack() as locks:
            for name, _ in names:  # sorted by name: two releases cannot wait for each other
                await locks.enter_async_context(self._turns.at(name))
            yield [record for record in mine if not self._holders.get(record, set()) - {holder}]
            for record in mine:
                self._drop(record, holder)

    def forget(self, holder: str) -> None:
        """Give up whatever a holder holds: it is gone, or its records are left where they are."""
        for record in [record for record, holders in self._holders.items() if holder in holders]:
            self._drop(record, holder)

    def _drop(self, record: RecordResponse, holder: str) -> None:
        left = self._holders.get(record, set()) - {holder}
        if left:
            self._holders[record] = left
        else:
            self._holders.pop(record, None)


def _by_name(records: Iterable[RecordResponse]) -> list[tuple[str, list[RecordResponse]]]:
    grouped: dict[str, list[RecordResponse]] = {}
    for record in sorted(set(records)):
        grouped.setdefault(record.name, []).append(record)
    return sorted(grouped.items())
