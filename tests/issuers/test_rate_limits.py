from __future__ import annotations

import datetime as dt
import heapq
from typing import TYPE_CHECKING

import pytest

from certwright import acme
from certwright.issuers.rate_limits import (
    LONGEST_SHARED,
    RELEASED_EACH,
    RELEASED_FIRST,
    AccountLimits,
    Asker,
    RateLimit,
    Turn,
    is_about_names,
)
from certwright.resources import RateLimitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
SECOND, HOUR = dt.timedelta(seconds=1), dt.timedelta(hours=1)
A, B, C = (Asker("shop", uid) for uid in "abc")


def asker(number: int, namespace: str = "shop") -> Asker:
    return Asker(namespace, f"{namespace}-{number}")


class Ca:
    """A CA that takes one order in so many seconds, and says with each refusal when the next is due."""

    def __init__(self, seconds: float, *, burst: int = 1) -> None:
        self.each = dt.timedelta(seconds=seconds)
        self.room = burst
        self.full_at = NOW
        self.taken: list[tuple[dt.datetime, Asker]] = []
        self.refused = 0

    def ask(self, who: Asker, limit: RateLimit, now: dt.datetime) -> bool:
        ready = max(self.full_at - self.each * (self.room - 1), NOW)
        if now < ready:
            self.refused += 1
            limit.refused(ready, now, "rateLimited: too many new orders from this account")
            return False
        self.full_at = max(self.full_at, now) + self.each
        self.taken.append((now, who))
        limit.went_well(who, now)
        return True


class Crowd:
    """Those who come when they are told to, or are woken."""

    def __init__(self) -> None:
        self.now = NOW
        self.looks = 0
        self.turns: dict[Asker, dt.datetime] = {}
        self._next: list[tuple[dt.datetime, Asker]] = []

    def release(self, askers: Sequence[Asker]) -> None:
        for one in askers:
            if one in self.turns:
                self.come(one, self.now)

    def come(self, who: Asker, time: dt.datetime) -> None:
        self.turns[who] = time
        heapq.heappush(self._next, (time, who))

    def run(self, ca: Ca, limit: RateLimit, *, until: dt.timedelta) -> None:
        """Let everybody come until all have their order."""
        while self.turns:
            time, who = heapq.heappop(self._next)
            if self.turns.get(who) != time:
                continue
            self.now = max(self.now, time)
            self.looks += 1
            assert self.now - NOW < until, f"{len(self.turns)} still wait"
            turn = limit.enter(who, self.now)
            if turn is not None:
                assert turn.look > self.now
                self.come(who, turn.look)
            elif ca.ask(who, limit, self.now):
                del self.turns[who]
            else:
                self.come(who, self.now + dt.timedelta(milliseconds=1))


def run(ca: Ca, askers: list[Asker], *, until: dt.timedelta, together: int = 4) -> Crowd:
    """Have an account's Certificates order, some of them at once."""
    crowd = Crowd()
    limit = AccountLimits(crowd.release).orders
    for one in askers:
        crowd.come(one, NOW)
    for first in askers[:together]:  # sent before the first answer came
        if ca.ask(first, limit, NOW):
            del crowd.turns[first]
    crowd.run(ca, limit, until=until)
    return crowd


def test_thirty_six_orders_at_a_ca_that_takes_one_in_three_seconds_are_hardly_ever_asked_for_without_success() -> None:
    ca = Ca(3)
    run(ca, [asker(number) for number in range(36)], until=dt.timedelta(minutes=4))
    assert len(ca.taken) == 36
    assert ca.refused <= 10


def test_after_the_wait_of_a_window_the_pace_grows() -> None:
    """As at a CA that lets three hundred through at once, every hour."""
    crowd = Crowd()
    limit = AccountLimits(crowd.release).orders
    limit.refused(NOW + HOUR, NOW, "too many")
    ca = Ca(0.001, burst=1000)
    for number in range(100):
        crowd.come(asker(number), NOW)
    crowd.run(ca, limit, until=2 * HOUR)
    assert ca.taken[0][0] == NOW + HOUR, "nobody asks before"
    assert ca.refused == 0
    assert ca.taken[-1][0] - ca.taken[0][0] < dt.timedelta(minutes=5)
    assert not limit.closed


def test_thousands_that_wait_for_a_slow_ca_look_a_few_times_each() -> None:
    ca = Ca(10)
    crowd = run(ca, [asker(number, f"team-{number % 20}") for number in range(800)], until=5 * HOUR)
    assert len(ca.taken) == 800
    assert crowd.looks <= 4 * 800, "once a minute it would be a hundred times"
    assert ca.refused <= 150


def test_when_a_limit_is_over_those_who_wait_are_woken_bit_by_bit() -> None:
    woken: list[Asker] = []
    limit = RateLimit(paced=False, release=woken.extend)
    limit.refused(NOW + 30 * SECOND, NOW, "slow down")
    waiting = [asker(number) for number in range(40)]
    for one in waiting:
        limit.enter(one, NOW)
    later = NOW + 30 * SECOND
    assert limit.enter(waiting[0], later) is None
    limit.went_well(waiting[0], later)
    assert woken == waiting[1 : 1 + RELEASED_FIRST]
    for done in range(1, 10):
        assert limit.enter(waiting[done], later) is None
        limit.went_well(waiting[done], later)
        assert woken == waiting[1 : 1 + RELEASED_FIRST + done * RELEASED_EACH]
    limit.refused(later + 30 * SECOND, later, "slow down")
    slept_on = len(woken)
    limit.went_well(A, later)
    assert len(woken) == slept_on < len(waiting) - 1, "the others sleep on"


def test_one_goes_first_and_the_others_wait_for_what_becomes_of_it() -> None:
    limit = AccountLimits().others
    limit.refused(NOW + 30 * SECOND, NOW, "slow down")
    assert limit.enter(A, NOW) == Turn(NOW + 30 * SECOND, NOW + 30 * SECOND)
    assert limit.enter(B, NOW) is not None
    later = NOW + 30 * SECOND
    assert limit.enter(A, later) is None
    assert limit.enter(B, later) is not None
    assert limit.enter(C, later) is not None
    assert limit.enter(A, later) is None, "whoever goes first may ask twice"
    limit.went_well(A, later)
    assert not limit.closed
    assert limit.enter(B, later) is None


def test_who_went_first_and_is_not_heard_of_keeps_nobody_for_long() -> None:
    limit = AccountLimits().orders
    limit.refused(NOW + SECOND, NOW, "slow down")
    assert limit.enter(A, NOW + SECOND) is None
    assert limit.enter(B, NOW + 10 * SECOND) is not None
    assert limit.enter(B, NOW + 300 * SECOND) is None
    limit.left(B, NOW)
    assert limit.enter(C, NOW + 301 * SECOND) is None


def test_whoever_is_next_is_called_whatever_became_of_the_one_before() -> None:
    woken: list[Asker] = []
    limit = RateLimit(paced=True, release=woken.extend)
    waiting = [asker(number) for number in range(40)]
    limit.refused(NOW + 30 * SECOND, NOW, "slow down")
    turns = [limit.enter(one, NOW) for one in waiting]
    assert woken == []
    assert turns[39] is not None
    assert turns[39].look > turns[39].at, "it is called before"
    now = NOW + 30 * SECOND
    assert limit.enter(waiting[0], now) is None
    limit.went_well(waiting[0], now)
    assert woken == [waiting[1]]
    assert limit.enter(waiting[1], now) == Turn(now + 10 * SECOND, now + 10 * SECOND)
    now += 10 * SECOND
    assert limit.enter(waiting[1], now) is None
    limit.left(waiting[1], now)
    assert woken == waiting[1:3], "its order failed for another reason"
    assert limit.enter(waiting[2], now) is None
    limit.refused(now + 60 * SECOND, now, "slow down")
    assert woken == waiting[1:4]
    turn = limit.enter(waiting[3], now)
    assert turn is not None
    assert turn.look == now + 60 * SECOND
    limit.forget(waiting[3], now)
    assert woken == waiting[1:5], "it was deleted"


def test_namespaces_take_turns_in_the_wait() -> None:
    ca = Ca(3)
    crowd = [asker(number, "crowd") for number in range(40)]
    run(ca, [*crowd, asker(0, "neighbour"), asker(1, "neighbour")], until=dt.timedelta(minutes=4))
    order = [who.namespace for _, who in ca.taken]
    assert [index for index, namespace in enumerate(order) if namespace == "neighbour"][-1] < 10


def test_a_wait_without_an_end_is_tried_after_an_hour() -> None:
    limit = AccountLimits().orders
    limit.refused(NOW + 168 * HOUR, NOW, "too many")
    assert limit.enter(A, NOW + LONGEST_SHARED - SECOND) is not None
    assert limit.enter(A, NOW + LONGEST_SHARED) is None


def test_a_clock_that_is_set_back_ends_the_wait() -> None:
    limit = AccountLimits().orders
    limit.refused(NOW + HOUR, NOW, "too many")
    assert limit.enter(A, NOW - 24 * HOUR) is None


def test_waits_survive_a_restart() -> None:
    before, after = AccountLimits(), AccountLimits()
    before.orders.refused(NOW + HOUR, NOW, "rateLimited: too many new orders")
    before.others.refused(NOW + 5 * SECOND, NOW, "slow down")
    kept = before.kept(NOW)
    assert kept == (
        RateLimitStatus(requests="newOrder", since=NOW, until=NOW + HOUR, message="rateLimited: too many new orders"),
    ), "what is short is worth no write"
    after.restore(kept, NOW + 60 * SECOND)
    assert after.orders.enter(A, NOW + 60 * SECOND) == Turn(NOW + HOUR, NOW + HOUR)
    assert after.kept(NOW + 60 * SECOND) == kept
    assert before.kept(NOW + HOUR) == after.kept(NOW + HOUR) == ()


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (-60 * SECOND, 8760 * HOUR),
        (8760 * HOUR, 8761 * HOUR),
        (-2 * HOUR, 60 * SECOND),
        (-HOUR, -SECOND),
        (60 * SECOND, -60 * SECOND),
    ],
)
def test_a_wait_that_no_process_could_have_written_is_not_believed(since: dt.timedelta, until: dt.timedelta) -> None:
    limits = AccountLimits()
    limits.restore([RateLimitStatus(requests="newOrder", since=NOW + since, until=NOW + until)], NOW)
    assert limits.orders.enter(A, NOW) is None


@pytest.mark.parametrize(
    ("detail", "identifiers", "about_names"),
    [
        ("too many new orders (300) from this account in the last 3h0m0s, retry after 2026-06-01", (), False),
        ("too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s", (), True),
        ('too many certificates (50) already issued for "example.com" in the last 168h0m0s', (), True),
        ('too many failed authorizations (5) for "shop.example.com" in the last 1h0m0s', (), True),
        ("slow down", (acme.Identifier.dns("shop.example.com"),), True),
        ("", (), False),
    ],
)
def test_a_limit_on_names_is_told_from_one_on_the_account(
    detail: str, identifiers: tuple[acme.Identifier, ...], *, about_names: bool
) -> None:
    subproblems = tuple(acme.Subproblem(identifier=one, detail="no") for one in identifiers)
    problem = acme.Problem(type="urn:ietf:params:acme:error:rateLimited", detail=detail, subproblems=subproblems)
    error = acme.RateLimited(problem, action="newOrder", url="https://ca.test/new-order", status=429)
    asked = [acme.Identifier.dns("shop.example.com"), acme.Identifier.dns("*.shop.example.com")]
    assert is_about_names(error, asked) is about_names
