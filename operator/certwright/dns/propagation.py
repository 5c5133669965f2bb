"""Which servers have a record, and whether the CA will see it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from certwright.dns.records import TxtRecord

# More of them would not fit into a status field, and no one would read them.
_MAX_DESCRIBED = 8


@dataclass(frozen=True)
class ServerView:
    """The answer of one address of one name server.

    Attributes:
        server: The server in readable form: `ns1.example.test (192.0.2.1)`.
        values: The TXT values at the name, sorted; empty if there are none or there was no answer.
        error: Why there was no usable answer. "The name does not exist" is a usable answer.
        alias: The target of a CNAME at the name, which hides every TXT record there.
        forgets_in: For how many seconds a resolver caches that there is no record; None if unknown.
    """

    server: str
    values: tuple[str, ...] = ()
    error: str | None = None
    alias: str | None = None
    forgets_in: int | None = field(default=None, compare=False)

    @property
    def lack(self) -> str:
        """Describe why a server does not have the record, without the values that it has instead."""
        return self.error or (
            f"a CNAME to {self.alias}" if self.alias else "another value" if self.values else "no record"
        )


@dataclass(frozen=True)
class Propagation:
    """Whether the CA can be expected to see a record now.

    Attributes:
        record: The record.
        complete: See `judge`.
        seen: One entry for each address that was queried.
        error: Why no server could be queried; otherwise None.
        pending: The provider's message while it is still distributing the record; no server is queried then.
        is_apex: Whether the name is itself a zone, with these servers.
    """

    record: TxtRecord
    complete: bool
    seen: tuple[ServerView, ...] = ()
    error: str | None = None
    pending: str = ""
    is_apex: bool = False

    @property
    def cause(self) -> str:
        """Return why it is not complete. The text is the same as long as the cause is, on whichever servers."""
        if self.complete:
            return ""
        lacking = {view.lack for view in self.seen if self.record.value not in view.values}
        return self.error or self.pending or "; ".join(sorted(lacking))

    @property
    def remark(self) -> str:
        """Return what could not be checked from here: nothing."""
        return ""

    def joined(self, other: Propagation) -> Propagation:
        """Combine the results of this round of queries and another one, to other servers."""
        return Propagation(
            self.record,
            complete=self.complete and other.complete,
            seen=(*self.seen, *other.seen),
            error=self.error or other.error,
            is_apex=self.is_apex or other.is_apex,
        )

    def describe(self) -> str:
        """Describe where the record is missing and where it is visible."""
        if self.error or self.pending:
            return self.error or self.pending
        if not self.seen:
            return "no server was asked"
        if self.complete:
            return self._describe_complete()
        # Servers that need action come first.
        views = sorted(self.seen, key=lambda view: self.record.value in view.values)
        parts = [self._describe_view(view) for view in views[:_MAX_DESCRIBED]]
        if len(views) > _MAX_DESCRIBED:
            parts.append(f"and {len(views) - _MAX_DESCRIBED} more")
        if self.is_apex:
            parts.append(
                "the name is a zone of its own, with these servers, so that the record has to be created there"
            )
        return "; ".join(parts)

    def _describe_complete(self) -> str:
        silent = [view for view in self.seen if view.error]
        answered = [view for view in self.seen if not view.error]
        text = f"all {len(answered)} servers that answered have it"
        if len(answered) == 1:
            text = f"{answered[0].server} has it"
        return "; ".join([text, *(self._describe_view(view) for view in silent[:_MAX_DESCRIBED])])

    def _describe_view(self, view: ServerView) -> str:
        if view.error:
            return f"{view.server} gave no answer: {view.error}"
        if self.record.value in view.values:
            return f"{view.server} has it"
        if view.alias:
            return f"{view.server} has a CNAME to {view.alias} there, which hides TXT records"
        if not view.values:
            return f"{view.server} has no such record{self._describe_memory(view.forgets_in)}"
        others = len(view.values)
        return f"{view.server} has {others} other value{'s' if others > 1 else ''}"

    @staticmethod
    def _describe_memory(seconds: int | None) -> str:
        if seconds is None:
            return ""
        # In whole minutes, because every change of the text causes a status write.
        minutes = math.ceil(seconds / 60)
        return f" and remembers that for {minutes} min" if minutes > 1 else " and remembers that for a minute"


def judge(record: TxtRecord, views: Iterable[tuple[str, ServerView]], *, unresolved: Sequence[str] = ()) -> bool:
    """Decide whether the CA will see the record.

    The rule: every server that answered has the value, and at least half of the zone's name servers answered.
    A CA's resolver that gets no answer from one name server tries another, so a dead server does no harm.
    But a resolver that gets an answer without the value stops there, so a single stale server is enough to fail.
    Requiring half of them avoids trusting a single server when the others are unreachable only from here.

    Args:
        record: The record.
        views: Pairs of a name server's name and the answer of one of its addresses. A name server counts as answering
            if one of its addresses does, because without IPv6, half of the addresses seem dead.
        unresolved: Name servers without an address.
    """
    answered: defaultdict[str, bool] = defaultdict(bool)
    for nameserver, view in views:
        if view.error is None and record.value not in view.values:
            return False
        answered[nameserver] |= view.error is None
    yes = sum(answered.values())
    return yes > 0 and 2 * yes >= len(answered) + len(unresolved)


@dataclass(frozen=True)
class Look:
    """The answers for one name, for any value.

    Attributes:
        views: Pairs of a name server's name and the answer of one of its addresses.
        unresolved: Name servers without an address.
        refused: Name servers at refused addresses, each with the reason.
        error: Why no server could be queried; otherwise None.
        is_apex: Whether the name is itself a zone.
    """

    views: tuple[tuple[str, ServerView], ...] = ()
    unresolved: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    is_apex: bool = False

    def at(self, record: TxtRecord) -> Propagation:
        """Return the result for one record at the name."""
        lacking = ((name, "its host name has no address") for name in self.unresolved)
        not_asked = tuple(ServerView(name, error=why) for name, why in (*lacking, *self.refused))
        return Propagation(
            record,
            complete=judge(record, self.views, unresolved=[view.server for view in not_asked]),
            seen=(*(view for _, view in self.views), *not_asked),
            error=self.error,
            is_apex=self.is_apex,
        )
