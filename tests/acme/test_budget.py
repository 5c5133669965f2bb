"""The limits of a CA, kept without asking it (Let's Encrypt's, August 2026)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import (
    LETS_ENCRYPT,
    LETS_ENCRYPT_STAGING,
    NO_LIMITS,
    Budget,
    BudgetExhausted,
    Identifier,
    Limit,
    LimitProfile,
    OrderPurpose,
    Problem,
    RateLimited,
    limits_of,
    registered_domain,
)
from certwright.acme.budget import LATEST
from tests.fakes.time import FakeTime

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = 86_400.0


def names(*texts: str) -> list[Identifier]:
    return [Identifier.parse(text) for text in texts]


class Shop:
    """A budget and its time."""

    def __init__(self, limits: LimitProfile = LETS_ENCRYPT, **options: int) -> None:
        self.time = FakeTime()
        self.budget = Budget(limits, clock=self.time.clock(), **options)

    def order(self, *texts: str, account: str = "a", purpose: OrderPurpose = OrderPurpose.NEW) -> float:
        return self.budget.reserve(account=account, identifiers=names(*texts), purpose=purpose).seconds

    def granted(self, orders: Sequence[Sequence[str]], **options: str) -> int:
        return sum(self.order(*texts, **options) == 0 for texts in orders)  # type: ignore[arg-type]  # account


def test_five_certificates_for_exactly_the_same_names() -> None:
    shop = Shop()
    assert [shop.order("a.example.com", "b.example.com") for _ in range(5)] == [0.0] * 5
    assert shop.order("b.example.com", "a.example.com") == pytest.approx(7 * DAY / 5 + LATEST)
    assert shop.order("a.example.com") == 0
    shop.time.elapsed += 7 * DAY / 5 + LATEST
    assert shop.order("a.example.com", "b.example.com") == 0
    assert shop.order("a.example.com", "b.example.com") > 0


def test_fifty_certificates_for_a_registered_domain_by_all_accounts_together() -> None:
    shop = Shop()
    assert sum(shop.order(f"n{number}.example.co.uk", account=str(number)) == 0 for number in range(60)) == 50
    answer = shop.budget.reserve(account="x", identifiers=names("y.example.co.uk", "z.other.com"))
    assert answer.limit == "the number of new certificates for example.co.uk"
    assert answer.seconds == pytest.approx(7 * DAY / 50 + LATEST)
    assert answer.retry_at == shop.time.now + timedelta(seconds=answer.seconds)
    assert shop.order("z.other.com") == 0


def test_three_hundred_orders_of_an_account() -> None:
    shop = Shop()
    assert shop.granted([[f"www.d{number}.com"] for number in range(310)]) == 300
    assert shop.order("www.another.com", account="b") == 0
    shop.time.elapsed += 36.5 + LATEST
    assert shop.granted([["www.late.com"], ["www.later.com"]]) == 1


def test_an_order_that_is_faster_than_the_one_whose_room_it_takes_does_not_come_too_early() -> None:
    """Here orders count when they are sent; at the CA when they get there, which took the first one longest."""
    shop, slow, fast = Shop(), 3.0, 0.1
    assert shop.granted([[f"www.d{number}.com"] for number in range(300)]) == 300, "nothing is held back of a burst"
    first_at_ca = shop.time.elapsed + slow
    while not shop.granted([["www.next.com"]]):
        shop.time.elapsed += 0.5
    assert first_at_ca + 36 <= shop.time.elapsed + fast <= first_at_ca + 36 + LATEST


def test_what_is_refused_is_not_counted() -> None:
    shop = Shop()
    for _ in range(5):
        shop.order("a.example.com")
    for _ in range(100):
        assert shop.order("a.example.com") > 0
    assert sum(shop.order(f"n{number}.example.com") == 0 for number in range(60)) == 45


def test_what_was_not_issued_is_given_back_but_the_order_stays_counted() -> None:
    limit = LimitProfile(
        orders_per_account=Limit(20, timedelta(hours=3)),
        certificates_per_exact_set=Limit(2, timedelta(days=7)),
        certificates_per_registered_domain=Limit(3, timedelta(days=7)),
    )
    shop = Shop(limit)
    identifiers = names("a.example.com", "b.example.org")
    for _ in range(15):
        reservation = shop.budget.reserve(account="a", identifiers=identifiers)
        assert reservation.granted
        shop.budget.give_back(reservation)
        shop.time.elapsed += 1
    # As if nothing had been: two for the names, three for each domain. Twenty orders, less fifteen, less these.
    assert [shop.order("a.example.com", "b.example.org") == 0 for _ in range(3)] == [True, True, False]
    assert [shop.order(f"n{number}.example.com") == 0 for number in range(2)] == [True, False]
    assert sum(shop.order(f"www.d{number}.net") == 0 for number in range(5)) == 2
    # What was refused holds nothing.
    refused = shop.budget.reserve(account="a", identifiers=identifiers)
    assert not refused.granted
    shop.budget.give_back(refused)
    assert shop.order("a.example.com", "b.example.org", account="b") > 0


def test_more_failures_than_there_is_room_for_count_as_none_left() -> None:
    shop = Shop()
    for _ in range(50):
        shop.budget.record_failure(account="a", identifier=Identifier.dns("bad.example.com"))
    assert shop.order("bad.example.com") == pytest.approx(720 + LATEST)


def test_renewals_are_exempt() -> None:
    shop = Shop()
    for number in range(50):
        shop.order(f"n{number}.example.com")
    assert shop.order("new.example.com") > 0
    # The same names again: neither the account's orders nor the domain's certificates count, the exact set does.
    assert [shop.order("n1.example.com", purpose=OrderPurpose.SAME_NAMES) == 0 for _ in range(5)] == [True] * 4 + [
        False
    ]
    assert all(shop.order("n1.example.com", purpose=OrderPurpose.RENEWAL_INFO) == 0 for _ in range(1000))


def test_failed_validations_hold_up_the_orders_of_that_name_and_account() -> None:
    shop = Shop()
    for _ in range(5):
        shop.budget.record_failure(account="a", identifier=Identifier.dns("bad.example.com"))
    answer = shop.budget.reserve(account="a", identifiers=names("good.example.com", "bad.example.com"))
    assert answer.limit == "the number of failed validations of bad.example.com"
    assert answer.seconds == pytest.approx(720 + LATEST)
    assert shop.order("bad.example.com", account="b") == 0
    assert shop.order("good.example.com") == 0
    shop.time.elapsed += 720 + LATEST
    assert shop.order("bad.example.com") == 0


def test_new_accounts_and_requests_have_limits_too() -> None:
    shop = Shop()
    assert sum(shop.budget.reserve_account().granted for _ in range(12)) == 10
    assert sum(shop.budget.reserve_request("newNonce").granted for _ in range(30)) == 20
    assert shop.budget.reserve_request("order").granted


def test_a_refusal_of_the_ca_teaches() -> None:
    shop = Shop(NO_LIMITS)
    limited = RateLimited(Problem(), action="newOrder", url="https://ca.test/", status=429, retry_after=1800)
    assert shop.order("a.example.com") == 0
    shop.budget.learn(limited, account="a", identifiers=names("a.example.com"))
    answer = shop.budget.reserve(account="b", identifiers=names("a.example.com"), purpose=OrderPurpose.RENEWAL_INFO)
    assert (answer.seconds, answer.limit) == (1800, "what the CA allows for these names")
    assert shop.order("b.example.com") == 0
    shop.budget.learn(limited, account="a", identifiers=())
    assert shop.order("b.example.com") == 1800
    assert shop.order("b.example.com", account="b") == 0
    assert "a.example.com" not in str(BudgetExhausted(answer))
    shop.time.elapsed += 1800
    assert shop.order("a.example.com") == 0


def test_without_limits_everything_is_granted_and_nothing_kept() -> None:
    shop = Shop(NO_LIMITS)
    assert shop.granted([["a.example.com"]] * 1000) == 1000
    assert len(shop.budget) == 0


def test_memory_is_bounded() -> None:
    shop = Shop(max_counters=100)
    for number in range(1000):
        shop.order(f"www.d{number}.com", account=str(number))
    assert len(shop.budget) == 100


@given(st.lists(st.floats(0, 4000), max_size=60))
def test_no_window_ever_sees_more_than_twice_the_limit_nor_one_burst_more_than_the_limit(pauses: list[float]) -> None:
    """A token bucket: a full one and what came back meanwhile."""
    limit = Limit(5, timedelta(hours=1))
    shop = Shop(LimitProfile(orders_per_account=limit))
    granted: list[float] = []
    for pause in pauses:
        shop.time.elapsed += pause
        if shop.order("a.example.com") == 0:
            granted.append(shop.time.elapsed)
    for start in granted:
        inside = [instant for instant in granted if start <= instant < start + 3600]
        assert len(inside) <= 10
        assert len([instant for instant in inside if instant < start + 720]) <= 6


@given(st.lists(st.floats(1, 4000), max_size=30))
def test_who_waits_as_long_as_told_is_granted(pauses: list[float]) -> None:
    shop = Shop(LimitProfile(certificates_per_exact_set=Limit(3, timedelta(hours=2))))
    for pause in pauses:
        shop.time.elapsed += pause
        wait = shop.order("a.example.com")
        if wait:
            shop.time.elapsed += wait
            assert shop.order("a.example.com") == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["order", "fail", "refuse", "give back"]),
        st.sampled_from(["a.example.com", "b.example.com", "example.org"]),
        st.sampled_from(["https://ca.test/account/1", "https://ca.test/account/2"]),
        st.floats(0, 90_000),
    ),
    max_size=40,
)


def act(shop: Shop, step: str, name: str, account: str) -> None:
    (identifier,) = names(name)
    match step:
        case "fail":
            shop.budget.record_failure(account=account, identifier=identifier)
        case "refuse":
            error = RateLimited(Problem(), action="newOrder", url="https://ca.test/", status=429, retry_after=7200)
            shop.budget.learn(error, account=account, identifiers=[identifier])
        case _:
            reservation = shop.budget.reserve(account=account, identifiers=[identifier])
            if step == "give back":
                shop.budget.give_back(reservation)


@given(STEPS, st.floats(0, 200_000))
def test_what_is_kept_and_taken_up_again_in_another_run_counts_as_before(
    steps: list[tuple[str, str, str, float]], pause: float
) -> None:
    shop = Shop()
    for step, name, account, seconds in steps:
        shop.time.elapsed += seconds
        act(shop, step, name, account)
    kept = json.loads(json.dumps(shop.budget.to_json()))
    # Another process, whose stop watch starts elsewhere, some time later.
    later = Shop()
    later.time.start, later.time.elapsed = shop.time.now + timedelta(seconds=pause), 0.0
    shop.time.elapsed += pause
    assert later.budget.restore(kept) == 0
    for account in {account for _, _, account, _ in steps}:
        for identifier in names("a.example.com", "b.example.com", "example.org"):
            before, after = ([*one.budget.claims(account=account, identifiers=[identifier])] for one in (shop, later))
            assert before == after
            for claim in before:
                assert later.budget.wait(claim) == pytest.approx(shop.budget.wait(claim), abs=1e-3)
                assert later.budget.full_in(claim) == pytest.approx(shop.budget.full_in(claim), abs=1e-3)
            paused = [one.budget.paused(account=account, identifiers=[identifier]) for one in (shop, later)]
            assert paused[1][0] == pytest.approx(paused[0][0], abs=1e-3)


def test_what_is_over_is_neither_kept_nor_taken_up() -> None:
    shop = Shop()
    assert shop.order("a.example.com") == 0
    kept = shop.budget.to_json()
    assert {entry[0] for entry in kept["counters"]} == {"orders", "domain", "set"}
    shop.time.elapsed += 7 * DAY
    assert shop.budget.to_json() == {"saved_at": shop.time.now.isoformat(), "counters": [], "pauses": []}
    assert shop.budget.restore(kept) == 0
    shop.budget.clear()
    assert shop.budget.restore(kept) == 0
    assert len(shop.budget) == 0


def test_a_clock_that_was_wrong_costs_one_period_at_most() -> None:
    shop = Shop()
    until = (shop.time.now + timedelta(days=30)).isoformat()
    assert shop.budget.restore({"counters": [["orders", "a", until]]}) == 0
    assert shop.order("a.example.com") == pytest.approx(36 + LATEST)
    shop.budget.clear()
    far = (shop.time.now + timedelta(days=3000)).isoformat()
    assert shop.budget.restore({"counters": [["orders", "a", far]], "pauses": [["a", far]]}) == 0
    assert shop.order("a.example.com") == 0


def test_a_clock_that_was_set_back_since_changes_no_wait() -> None:
    ahead = Shop()
    ahead.time.start += timedelta(days=20)
    assert ahead.order("a.example.com") == 0
    act(ahead, "refuse", "a.example.com", "a")
    right = Shop()
    assert right.budget.restore(ahead.budget.to_json()) == 0
    assert right.budget.paused(account="a", identifiers=names("a.example.com"))[0] == pytest.approx(7200)
    for claim in right.budget.claims(account="a", identifiers=names("a.example.com")):
        assert right.budget.full_in(claim) == pytest.approx(ahead.budget.full_in(claim))


@pytest.mark.parametrize("saved_at", [None, 1, "", "yesterday", "0001-01-01T00:00:00+14:00", "2026-01-01", ["x"]])
def test_who_does_not_say_when_it_was_kept_is_read_by_the_clock(saved_at: object) -> None:
    shop = Shop()
    until = (shop.time.now + timedelta(hours=1)).isoformat()
    assert shop.budget.restore({"saved_at": saved_at, "pauses": [["a", until]]}) == 0
    assert shop.budget.paused(account="a", identifiers=names("a.example.com"))[0] == pytest.approx(3600)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.just("2026-03-01T13:00:00+00:00"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=20,
)


@given(JSON, JSON)
def test_what_cannot_be_read_is_left_out_and_told(counters: object, pauses: object) -> None:
    shop = Shop(max_counters=5)
    good = ["domain", "example.com", (shop.time.now + timedelta(hours=1)).isoformat()]
    entries = counters if isinstance(counters, list) else [counters]
    unreadable = shop.budget.restore({"counters": [*entries, good], "pauses": pauses})
    assert ["domain", "example.com"] in [entry[:2] for entry in shop.budget.to_json()["counters"]]
    assert unreadable >= (not isinstance(pauses, list))
    assert len(shop.budget) <= 10


@pytest.mark.parametrize(
    "entry",
    [
        "text",
        ["orders", "a"],
        ["orders", "a", "tomorrow"],
        ["orders", "a", "2026-03-01T13:00:00"],
        ["orders", 1, "2026-03-01T13:00:00+00:00"],
        ["2026-03-01T13:00:00+00:00"],
        ["a", "b", "c", "d", "2026-03-01T13:00:00+00:00"],
    ],
)
def test_an_entry_that_is_none_is_told(entry: object) -> None:
    shop = Shop()
    assert shop.budget.restore({"counters": [entry], "pauses": [entry]}) == 2
    assert len(shop.budget) == 0


def test_more_than_fits_is_not_taken_up_and_what_was_used_last_stays() -> None:
    shop = Shop(max_counters=10)
    until = (shop.time.now + timedelta(hours=1)).isoformat()
    for part in range(3):
        shop.budget.restore({"counters": [["domain", f"d{part}-{number}.com", until] for number in range(20)]})
    assert [entry[1] for entry in shop.budget.to_json()["counters"]] == [f"d2-{number}.com" for number in range(10, 20)]


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("www.example.com", "example.com"),
        ("*.a.b.example.co.uk", "example.co.uk"),
        ("me.github.io", "me.github.io"),
        ("github.io", "github.io"),
        ("a.b.xn--p1ai", "b.xn--p1ai"),
        ("service.internal-of-nobody", "service.internal-of-nobody"),
        ("com", "com"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ],
)
def test_names_are_counted_by_registered_domain(text: str, domain: str) -> None:
    assert registered_domain(Identifier.parse(text)) == domain


def test_limits_are_known_by_the_host_of_the_directory() -> None:
    assert limits_of("https://acme-v02.api.letsencrypt.org/directory") is LETS_ENCRYPT
    assert limits_of("https://acme-staging-v02.api.letsencrypt.org/directory") is LETS_ENCRYPT_STAGING
    assert limits_of("https://ACME-v02.api.letsencrypt.org:443/directory") is LETS_ENCRYPT
    assert limits_of("https://[/directory") is NO_LIMITS
    assert limits_of("https://ca.example/acme-v02.api.letsencrypt.org") is NO_LIMITS
