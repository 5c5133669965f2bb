"""Counts orders against a CA's rate limits across runs, so that none is sent that the CA would refuse."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import Budget, OrderPurpose, Reservation, limits_of
from certwright.acme.budget import Counts
from certwright.cli.acme.files import MAX_BYTES, PRIVATE_FILE, make_folder, read_own_file, write_file
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from certwright.acme import Clock, Identifier, RateLimited
    from certwright.cli.acme.session import Session

MAX_COUNTERS: Final = 2000
"""How many counters of one CA are kept; the least recently used ones are dropped beyond that."""

_OF_ALL_ACCOUNTS: Final = ("domain", "set", "names")
"""What the CA counts for all accounts together, by the first part of a counter's key."""


class SavedBudget(Budget):
    """The budget of one CA, shared by all runs in a folder.

    `accounts.json` has what the CA counts for an account, `domains.json` what it counts for domains, whoever orders.
    Every step reads both, changes them and writes them under one lock, so two runs never get the same last place.
    A run that is killed leaves its order counted.

    Args:
        session: The command.
        directory_url: The CA.
        ignored: Order even if a limit is used up. It is still counted.
        clock: The time.
    """

    def __init__(
        self, session: Session, directory_url: str, *, ignored: bool = False, clock: Clock | None = None
    ) -> None:
        super().__init__(limits_of(directory_url), clock=clock, max_counters=MAX_COUNTERS)
        self._session = session
        self._url = directory_url
        self._ignored = ignored
        self._folder = session.limits_folder(directory_url)

    def reserve(
        self, *, account: str, identifiers: Iterable[Identifier], purpose: OrderPurpose = OrderPurpose.NEW
    ) -> Reservation:
        """Reserve an order; see `Budget.reserve`.

        Raises:
            CommandError: It cannot be saved, or another run holds the files.
        """
        names = tuple(identifiers)
        with self._latest():
            reservation = super().reserve(account=account, identifiers=names, purpose=purpose)
            if not reservation.granted:
                if not self._ignored:
                    return reservation
                for claim in self.claims(account=account, identifiers=names, purpose=purpose):
                    if claim.counts is not Counts.FAILURES:
                        self.count(claim)
            self._save()
        if reservation.granted:
            return reservation
        used = f" ({reservation.used})" if reservation.used else ""
        self._session.output.warn(f"Ordering although {reservation.limit} is used up{used}: the CA may refuse")
        # Nothing of it is given back: what is used up cannot be counted twice.
        return Reservation()

    def give_back(self, reservation: Reservation) -> None:
        """Count no certificate for a granted order; see `Budget.give_back`."""
        self._record(lambda: super(SavedBudget, self).give_back(reservation))

    def record_failure(self, *, account: str, identifier: Identifier) -> None:
        """Count a failed validation; see `Budget.record_failure`."""
        self._record(lambda: super(SavedBudget, self).record_failure(account=account, identifier=identifier))

    def learn(self, error: RateLimited, *, account: str, identifiers: Iterable[Identifier]) -> None:
        """Respect a refusal; see `Budget.learn`."""
        self._record(lambda: super(SavedBudget, self).learn(error, account=account, identifiers=identifiers))

    def _record(self, change: Callable[[], None]) -> None:
        """Change what is counted. That it cannot be saved must not hide why it is changed, so it is only told."""
        try:
            with self._latest():
                change()
                self._save()
        except CommandError as error:
            self._session.output.warn(f"What the CA counts against its rate limits cannot be saved. {error}")

    @contextmanager
    def _latest(self) -> Iterator[None]:
        """Have what all runs have counted, and be the only one, while the block runs."""
        with self._session.limits_lock(self._url):
            self.clear()
            for path in self._files():
                self._load(path)
            yield

    def _load(self, path: Path) -> None:
        try:
            unreadable = self.restore(_read(path))
        except CommandError as error:
            self._session.output.warn(f"{error}. What it counted against the CA's rate limits is forgotten")
            return
        if unreadable:
            self._session.output.warn(f"{path} is damaged: {unreadable} entries cannot be read and are forgotten")

    def _save(self) -> None:
        document = self.to_json()
        saved_at = document.pop("saved_at")
        for left in self._folder.glob(".*.json.*"):
            # A killed run's: nobody else writes here now.
            with suppress(OSError):
                left.unlink()
        for path in self._files():
            of_all = path.stem == "domains"
            part = {
                name: [entry for entry in entries if (entry[0] in _OF_ALL_ACCOUNTS) == of_all]
                for name, entries in document.items()
            }
            # CAs without limits need no files.
            if any(part.values()) or path.exists():
                make_folder(self._folder)
                write_file(path, _content(saved_at, part), mode=PRIVATE_FILE)

    def _files(self) -> tuple[Path, Path]:
        return self._folder / "accounts.json", self._folder / "domains.json"


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        document = json.loads(read_own_file(path, what="the rate limits"))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CommandError(f"{path} is damaged: it is not a JSON object")
    return document


def _content(saved_at: str, part: dict[str, list[list[str]]]) -> bytes:
    """Return a file that can be read again: the least recently used entries are left out of one that is too long."""
    while len(content := (json.dumps({"saved_at": saved_at} | part, indent=1) + "\n").encode()) > MAX_BYTES:
        part = {name: entries[(len(entries) + 1) // 2 :] for name, entries in part.items()}
    return content
