"""Whose turn it is when a CA's limit leaves room for a few."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from certwright.issuers.waiting_room import MAX_IN_NAMESPACE, PATIENCE, Priority, Rank, WaitingRoom

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=1)


def rank(uid: str, priority: Priority = Priority.FIRST, time: float = 0.0) -> Rank:
    return Rank(priority, time, uid)


def served(room: WaitingRoom, waiting: dict[Rank, str], number: int) -> list[str]:
    """Let as many through as there is room for, one after another; return whom."""
    found = []
    for _ in range(number):
        first = [one for one, namespace in waiting.items() if room.ahead(namespace, one, NOW) == 0]
        assert len(first) == 1, "exactly one is the first"
        found.append(first[0].uid)
        room.served(waiting.pop(first[0]), first[0].uid)
    return found


def fill(room: WaitingRoom, waiting: dict[Rank, str]) -> None:
    for one, namespace in waiting.items():
        room.wait(namespace, one, LATER)


def test_renewals_come_before_first_certificates_and_these_before_retries_nearest_to_expiry_first() -> None:
    room = WaitingRoom(100)
    waiting = {
        rank("retry", Priority.RETRY, 1): "a",
        rank("first, later", Priority.FIRST, 9): "a",
        rank("renewal in a month", Priority.RENEWAL, 30): "a",
        rank("first", Priority.FIRST, 2): "a",
        rank("renewal tomorrow", Priority.RENEWAL, 1): "a",
    }
    fill(room, waiting)
    expected = ["renewal tomorrow", "renewal in a month", "first", "first, later", "retry"]
    assert served(room, waiting, 5) == expected


def test_namespaces_take_turns_however_many_one_asks_for() -> None:
    room = WaitingRoom(100)
    waiting = {rank(f"a{number:03}", time=number): "a" for number in range(200)}
    waiting |= {rank(f"b{number}", time=1000 + number): "b" for number in range(3)}
    fill(room, waiting)
    assert served(room, waiting, 8) == ["a000", "b0", "a001", "b1", "a002", "b2", "a003", "a004"]


def test_ten_thousand_first_certificates_do_not_hold_up_another_ones_renewal() -> None:
    room = WaitingRoom(300)
    for number in range(10_000):
        room.wait("a", rank(f"a{number:05}", time=number), LATER)
    assert len(room) == MAX_IN_NAMESPACE, "memory is bounded"
    assert room.ahead("b", rank("renewal", Priority.RENEWAL, 5e9), NOW) == 0
    assert room.ahead("b", rank("first", Priority.FIRST, 5e9), NOW) <= 1


def test_made_up_renewals_of_one_namespace_leave_the_others_their_share() -> None:
    room = WaitingRoom(20)
    waiting = {rank(f"made-up-{number:03}", Priority.RENEWAL, 0): "a" for number in range(200)}
    waiting |= {rank(f"first-{number}", Priority.FIRST, 9): "b" for number in range(10)}
    fill(room, waiting)
    order = served(room, waiting, 20)
    assert sum(uid.startswith("first") for uid in order) == 10, "half of the limit is each one's"


def test_who_does_not_come_for_its_turn_is_ahead_of_nobody() -> None:
    room = WaitingRoom(10)
    room.wait("a", rank("gone"), NOW)
    assert room.ahead("b", rank("b", time=1), NOW) == 1
    assert room.ahead("b", rank("b", time=1), NOW + PATIENCE + dt.timedelta(minutes=1)) == 0
    assert len(room) == 0


def test_a_more_urgent_one_takes_the_last_place_of_its_namespace() -> None:
    room = WaitingRoom(10)
    for number in range(MAX_IN_NAMESPACE):
        room.wait("a", rank(f"a{number:05}", time=number), LATER)
    room.wait("a", rank("urgent", Priority.RENEWAL), LATER)
    assert room.since("urgent") is not None
    assert room.since(f"a{MAX_IN_NAMESPACE - 1:05}") is None
    room.wait("a", rank("z", Priority.RETRY), LATER)
    assert room.since("z") is None
    assert len(room) == MAX_IN_NAMESPACE


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(Priority), st.integers(0, 9)), max_size=40))
def test_everybody_has_another_place_and_all_are_served(wanted: list[tuple[str, Priority, int]]) -> None:
    room = WaitingRoom(10)
    waiting = {
        rank(str(number), priority, time): namespace for number, (namespace, priority, time) in enumerate(wanted)
    }
    fill(room, waiting)
    places = sorted(room.ahead(namespace, one, NOW) for one, namespace in waiting.items())
    assert places == list(range(len(wanted)))
    assert len(served(room, waiting, len(wanted))) == len(wanted)
    assert len(room) == 0
