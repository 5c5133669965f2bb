from __future__ import annotations

import datetime as dt
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.issuers.rate_limits import Asker
from certwright.issuers.waiting_line import WaitingLine

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


class PlainLine:
    """The same by walking along it."""

    def __init__(self) -> None:
        self.rows: OrderedDict[str, OrderedDict[Asker, dt.datetime]] = OrderedDict()

    def order(self) -> list[Asker]:
        rows = [list(row) for row in self.rows.values()]
        deepest = max((len(row) for row in rows), default=0)
        return [row[depth] for depth in range(deepest) for row in rows if depth < len(row)]

    def leave(self, who: Asker) -> None:
        row = self.rows.get(who.namespace, OrderedDict())
        row.pop(who, None)
        if not row:
            self.rows.pop(who.namespace, None)

    def served(self, who: Asker) -> None:
        self.leave(who)
        if who.namespace in self.rows:
            self.rows.move_to_end(who.namespace)

    def is_due_before(self, who: Asker, begin: dt.datetime, end: dt.datetime) -> bool:
        before = self.order()[: self.order().index(who)]
        return any(begin < self.rows[one.namespace][one] < end for one in before)


ASKERS = st.builds(Asker, st.sampled_from(["a", "b", "c"]), st.sampled_from("12345"))
ACTS = st.tuples(st.sampled_from(["arrive", "comes", "leave", "served", "drop"]), ASKERS, st.integers(0, 9))


@settings(max_examples=60)
@given(st.lists(ACTS, max_size=30))
def test_it_is_as_a_walk_along_the_line_would_have_it(acts: list[tuple[str, Asker, int]]) -> None:
    line, plain = WaitingLine[Asker](), PlainLine()
    for act, who, number in acts:
        look = NOW + number * SECOND
        known = who in plain.order()
        match act:
            case "arrive":
                line.arrive(who, look)
                plain.rows.setdefault(who.namespace, OrderedDict())[who] = look
            case "comes" if known:
                line.comes_at(who, look)
                plain.rows[who.namespace][who] = look
            case "leave":
                line.leave(who)
                plain.leave(who)
            case "served":
                line.served(who)
                plain.served(who)
            case "drop":
                line.drop_before(look)
                for one in plain.order():
                    if plain.rows[one.namespace][one] < look:
                        plain.leave(one)
        order = plain.order()
        assert len(line) == len(order)
        for place, one in enumerate(order):
            assert line.ahead(one) == place
            begin, end = look - 2 * SECOND, look + 2 * SECOND
            assert line.is_due_before(one, begin, end) is plain.is_due_before(one, begin, end)
    assert line.call(100, NOW) == plain.order()


def test_who_was_called_is_not_called_again_until_it_has_come() -> None:
    line = WaitingLine[Asker]()
    first, second, third = (Asker("shop", uid) for uid in "123")
    for one in (first, second, third):
        line.arrive(one, NOW)
    assert line.call(1, NOW) == [first]
    assert line.call(1, NOW) == [second]
    line.arrive(first, NOW)
    assert line.call(5, NOW) == [first, third]


def calls(function: Callable[[], Any]) -> int:
    """How many functions are called in a call, those of C included."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def test_a_look_takes_no_more_steps_when_thousands_wait() -> None:
    steps = []
    for number in (100, 5000):
        line, last = WaitingLine[Asker](), Asker("team-0", "last")
        for one in range(number):
            line.arrive(Asker(f"team-{one % 10}", str(one)), NOW + one * SECOND)
        line.arrive(last, NOW)
        steps.append(
            calls(
                lambda line=line, last=last: (  # type: ignore[misc]  # bound at once
                    line.ahead(last),
                    line.is_due_before(last, NOW - SECOND, NOW),
                    line.comes_at(last, NOW + SECOND),
                )
            )
        )
    assert steps[1] <= steps[0] + 5
