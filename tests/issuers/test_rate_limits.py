from __future__ import annotations

import datetime as dt

import pytest

from certwright import acme
from certwright.issuers.rate_limits import LONGEST_SHARED, AccountLimits, Asker, RateLimit, is_about_names
from certwright.resources import RateLimitStatus

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


def run(ca: Ca, limit: RateLimit, askers: list[Asker], *, until: dt.timedelta, together: int = 4) -> None:
    """Let everybody come when its turn is said to come, until all have their order."""
    turns = dict.fromkeys(askers, NOW)
    for first in askers[:together]:  # sent before the first answer came
        if ca.ask(first, limit, NOW):
            del turns[first]
    while turns:
        who = min(turns, key=lambda one: turns[one])
        now = turns[who]
        assert now - NOW < until, f"{len(turns)} still wait"
        turn = limit.enter(who, now)
        if turn is None:
            if ca.ask(who, limit, now):
                del turns[who]
            else:
                turns[who] = now + dt.timedelta(milliseconds=1)
        else:
            assert turn > now
            turns[who] = turn


def test_thirty_six_orders_at_a_ca_that_takes_one_in_three_seconds_are_hardly_ever_asked_for_without_success() -> None:
    ca, limit = Ca(3), AccountLimits().orders
    run(ca, limit, [asker(number) for number in range(36)], until=dt.timedelta(minutes=4))
    assert len(ca.taken) == 36
    assert ca.refused <= 10


def test_after_the_wait_of_a_window_the_pace_grows() -> None:
    """As at a CA that lets three hundred through at once, every hour."""
    limit = AccountLimits().orders
    limit.refused(NOW + HOUR, NOW, "too many")
    ca = Ca(0.001, burst=1000)
    turns = {asker(number): NOW for number in range(100)}
    now = NOW
    while turns:
        who = min(turns, key=lambda one: turns[one])
        now = max(now, turns[who])
        turn = limit.enter(who, now)
        if turn is not None:
            turns[who] = turn
            continue
        ca.ask(who, limit, now)
        del turns[who]
    assert ca.taken[0][0] == NOW + HOUR, "nobody asks before"
    assert ca.refused == 0
    assert ca.taken[-1][0] - ca.taken[0][0] < dt.timedelta(minutes=5)
    assert not limit.closed


def test_one_goes_first_and_the_others_wait_for_what_becomes_of_it() -> None:
    limit = AccountLimits().others
    limit.refused(NOW + 30 * SECOND, NOW, "slow down")
    assert limit.enter(A, NOW) == NOW + 30 * SECOND
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
    limit.left(B)
    assert limit.enter(C, NOW + 301 * SECOND) is None


def test_namespaces_take_turns_in_the_wait() -> None:
    ca, limit = Ca(3), AccountLimits().orders
    crowd = [asker(number, "crowd") for number in range(40)]
    run(ca, limit, [*crowd, asker(0, "neighbour"), asker(1, "neighbour")], until=dt.timedelta(minutes=4))
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
    assert after.orders.enter(A, NOW + 60 * SECOND) == NOW + HOUR
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
