"""One queue for each zone: while a request is in progress, later changes are collected for the next one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.dns.errors import DnsError, ProviderRefused, ProviderUnreachable
from certwright.dns.outcomes import of_ones_own

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from certwright.dns.records import TxtRecord

MAX_GATHERED: Final = 1000
"""Records that go together."""
MAX_ALIKE: Final = 3
"""Of changes that were refused together, so many are tried alone if each is refused in the same words."""


@dataclass(frozen=True)
class Change:
    """Values to add and to remove, none of them both.

    Attributes:
        add: Values that have to be there afterwards.
        remove: Values that must not be there afterwards.
    """

    add: frozenset[TxtRecord] = frozenset()
    remove: frozenset[TxtRecord] = frozenset()

    def __len__(self) -> int:
        return len(self.add) + len(self.remove)

    @property
    def names(self) -> list[str]:
        """The names of its records, each once."""
        return sorted({record.name for record in self.add | self.remove})

    def by_name(self) -> dict[str, Change]:
        """Return the part of it at each name, in the order of the names."""
        parts: dict[str, tuple[set[TxtRecord], set[TxtRecord]]] = {name: (set(), set()) for name in self.names}
        for place, records in enumerate((self.add, self.remove)):
            for record in records:
                parts[record.name][place].add(record)
        return {name: Change(frozenset(add), frozenset(remove)) for name, (add, remove) in parts.items()}

    def contradicts(self, other: Change) -> bool:
        """Whether one adds what the other removes."""
        return not (self.add.isdisjoint(other.remove) and self.remove.isdisjoint(other.add))


def merged(changes: Iterable[Change]) -> Change:
    """Return all changes as one; none may contradict another."""
    changes = tuple(changes)
    return Change(
        frozenset().union(*(change.add for change in changes)),
        frozenset().union(*(change.remove for change in changes)),
    )


_Waiting = tuple[Change, "asyncio.Future[None]"]


class ZoneQueue:
    """The changes of one zone, made one after the other.

    Args:
        make: Makes a change; raises `DnsError`, whose `names` say what could not be made, if only a part could not.
    """

    def __init__(self, make: Callable[[Change], Awaitable[None]]) -> None:
        self._make = make
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None

    async def put(self, change: Change) -> None:
        """Wait until a change is made.

        Whoever is cancelled takes back a change that is not on its way yet; one that is goes on for the others.

        Raises:
            DnsError: It could not be made.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        await done

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waiting or on its way."""
        return not self._waiting and (self._worker is None or self._worker.done())

    async def _work(self) -> None:
        together: Sequence[_Waiting] = ()
        try:
            while together := self._take():
                await self._make_together(together)
        except BaseException as error:
            # Not an answer of the provider: a defect, or an end of this process. Nobody may wait for ever.
            for _, done in (*together, *self._waiting):
                if isinstance(error, asyncio.CancelledError):
                    done.cancel()
                elif not done.done():
                    done.set_exception(of_ones_own(error))
            self._waiting.clear()
            if not isinstance(error, Exception):
                raise

    def _take(self) -> list[_Waiting]:
        """Take the first changes that fit together out of the queue."""
        taken: list[_Waiting] = []
        rest: list[_Waiting] = []
        records = 0
        for change, done in self._waiting:
            if done.done():
                continue
            # What contradicts waits for the next request, and with it all that came later.
            fits = not rest and not any(change.contradicts(other) for other, _ in taken)
            if fits and (not taken or records + len(change) <= MAX_GATHERED):
                taken.append((change, done))
                records += len(change)
            else:
                rest.append((change, done))
        self._waiting = rest
        return taken

    async def _make_together(self, together: Sequence[_Waiting]) -> DnsError | None:
        try:
            await self._make(merged(change for change, _ in together))
        except DnsError as error:
            # Of a part that was made nobody is told; an error without names is about all.
            failed = [one for one in together if not error.names or not {*error.names}.isdisjoint(one[0].names)]
            _settle([one for one in together if one not in failed])
            # An API that does not answer is not asked once more for each; one that refuses may refuse just one of them.
            if len(failed) > 1 and not _is_for_all(error):
                await self._make_each(failed)
            else:
                _refuse(failed, error)
            return error
        _settle(together)
        return None

    async def _make_each(self, together: Sequence[_Waiting]) -> None:
        alike, last = 0, ""
        for place, one in enumerate(together, 1):
            error = await self._make_together([one])
            alike = 0 if error is None else alike + 1 if str(error) == last else 1
            last = str(error)
            if error is not None and alike >= MAX_ALIKE:
                # It is not about one of the changes: a right is missing. The API is not asked for each.
                _refuse(together[place:], error)
                return


def _refuse(waiting: Iterable[_Waiting], error: DnsError) -> None:
    for _, done in waiting:
        if not done.done():
            done.set_exception(of_ones_own(error))


def _settle(made: Iterable[_Waiting]) -> None:
    for _, done in made:
        if not done.done():
            done.set_result(None)


def _is_for_all(error: DnsError) -> bool:
    return isinstance(error, ProviderUnreachable) or (isinstance(error, ProviderRefused) and error.for_all)
