"""Which waiting Certificates check when a failed issuer may be tried again: only a few, because only one tries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import datetime as dt

    from certwright.runtime.key import Key

TRIERS: Final = 8
"""So many look at each time: the first may be deleted meanwhile, or have to let another namespace try."""
MAX_TIMES: Final = 256
"""So many times are kept; beyond it the one that was asked for first is forgotten, and more look then."""


class Triers:
    """The first of those who wait, for each issuer and each time at which it may be tried.

    A thousand Certificates may wait for one CA. The others are told when it works, and look every few minutes besides.
    """

    def __init__(self) -> None:
        self._uids: dict[tuple[Key, dt.datetime], set[str]] = {}

    def __len__(self) -> int:
        """How many times are kept."""
        return len(self._uids)

    def is_one(self, uid: str, issuer: Key, at: dt.datetime) -> bool:
        """Tell whether a Certificate that waits is to look at a time; the first who ask are.

        Args:
            uid: Of the Certificate.
            issuer: What it waits for.
            at: When the issuer may be tried.
        """
        chosen = self._uids.setdefault((issuer, at), set())
        if len(self._uids) > MAX_TIMES:
            del self._uids[next(iter(self._uids))]
        if len(chosen) < TRIERS:
            chosen.add(uid)
        return uid in chosen
