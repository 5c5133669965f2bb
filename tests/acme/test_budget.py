"""The limits of a CA, kept without asking it (Let's Encrypt's, August 2026)."""

from __future__ import annotations

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
    assert shop.order("b.example.com", "a.example.com") == pytest.approx(7 * DAY / 5)
    assert shop.order("a.example.com") == 0
    shop.time.elapsed += 7 * DAY / 5
    assert shop.order("a.example.com", "b.example.com") == 0
    assert shop.order("a.example.com", "b.example.com") > 0


def test_fifty_certificates_for_a_registered_domain_by_all_accounts_together() -> None:
    shop = Shop()
    assert sum(shop.order(f"n{number}.example.co.uk", account=str(number)) == 0 for number in range(60)) == 50
    answer = shop.budget.reserve(account="x", identifiers=names("y.example.co.uk", "z.other.com"))
    assert answer.limit == "the number of new certificates for example.co.uk"
    assert answer.seconds == pytest.approx(7 * DAY / 50)
    assert answer.retry_at == shop.time.now + timedelta(seconds=answer.seconds)
    assert shop.order("z.other.com") == 0


def test_three_hundred_orders_of_an_account() -> None:
    shop = Shop()
    assert shop.granted([[f"www.d{number}.com"] for number in range(310)]) == 300
    assert shop.order("www.another.com", account="b") == 0
    shop.time.elapsed += 36.5
    assert shop.granted([["www.late.com"], ["www.later.com"]]) == 1


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
    assert shop.order("bad.example.com") == pytest.approx(720)


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
    assert answer.seconds == pytest.approx(720)
    assert shop.order("bad.example.com", account="b") == 0
    assert shop.order("good.example.com") == 0
    shop.time.elapsed += 720
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
