"""What is left of a CA's limits, for all who order there."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from certwright.acme import Identifier, Limit, LimitProfile, OrderPurpose, Problem, RateLimited
from certwright.acme.budget import LATEST
from certwright.issuers.authorities import Authority
from certwright.issuers.budgets import AccountBudget, Applicant, Budgets, BudgetWait, CaBudget, profile_of
from certwright.issuers.waiting_room import Priority

if TYPE_CHECKING:
    from tests.fakes.operator import Build

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
MARGIN = dt.timedelta(seconds=LATEST)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
LIMITS = LimitProfile(
    orders_per_account=Limit(20, 3 * HOUR),
    certificates_per_registered_domain=Limit(5, 7 * DAY),
    certificates_per_exact_set=Limit(3, 7 * DAY),
    failed_validations=Limit(2, HOUR),
)
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class Place:
    """A CA's budget and its time."""

    def __init__(self, limits: LimitProfile = LIMITS) -> None:
        self.now = NOW
        self.limits = limits
        self.restart()

    def restart(self) -> None:
        self.ca = CaBudget(self.limits, lambda: self.now, self.seconds)
        self.number = 0

    def seconds(self) -> float:
        return self.now.timestamp()

    def account(self, name: str = "one") -> AccountBudget:
        return AccountBudget(self.ca, name)

    def order(self, *names: str, namespace: str = "team", account: str = "one", done: bool = True) -> str:
        """Order a certificate, and have it issued; return the UID."""
        self.number += 1
        one = applicant(*names, uid=f"uid-{self.number}", namespace=namespace)
        self.account(account).place(one)
        self.account(account).opened(one, f"https://ca.test/order/{self.number}")
        if done:
            self.ca.finalized(one.uid)
            self.ca.given_up(one.uid)
        return one.uid


def applicant(
    *names: str,
    uid: str = "uid",
    namespace: str = "team",
    priority: Priority = Priority.FIRST,
    purpose: OrderPurpose = OrderPurpose.NEW,
) -> Applicant:
    return Applicant(namespace, uid, tuple(Identifier.dns(name) for name in names), purpose, priority)


def test_accounts_of_one_ca_share_the_limit_on_a_registered_domain() -> None:
    place = Place()
    for number in range(5):
        place.order(f"n{number}.example.com", account=f"account-{number}")
    shortage = place.account("another").ask(applicant("www.example.com"))
    assert shortage is not None
    assert (shortage.limit, shortage.used) == ("the number of new certificates for example.com", "5 of 5 in 7 days")
    assert shortage.until == NOW + 7 * DAY / 5 + MARGIN
    assert place.account("another").ask(applicant("www.example.org")) is None
    place.now = shortage.until
    assert place.account("another").ask(applicant("www.example.com")) is None


def test_an_open_order_holds_room_for_its_own_namespace_only() -> None:
    place = Place()
    uids = [place.order(f"n{number}.example.com", done=False) for number in range(5)]
    assert place.account().ask(applicant("www.example.com")) is not None
    assert place.account().ask(applicant("www.example.com", namespace="victim")) is None
    for uid in uids:
        place.ca.given_up(uid)
    assert place.account().ask(applicant("www.example.com")) is None, "the CA has issued nothing"


def test_a_certificate_is_counted_once_however_often_its_order_is_looked_at() -> None:
    place = Place()
    one = applicant("a.example.com")
    place.account().place(one)
    for _ in range(9):
        place.account().opened(one, "https://ca.test/order/1")
        place.ca.finalized(one.uid)
    place.ca.given_up(one.uid)
    assert [place.order(f"n{number}.example.com") for number in range(4)]
    with pytest.raises(BudgetWait):
        place.order("www.example.com")


def test_an_order_of_an_earlier_process_is_counted_when_it_is_finalized() -> None:
    place = Place()
    for number in range(5):
        one = applicant(f"n{number}.example.com", uid=str(number))
        place.account().opened(one, f"https://ca.test/order/{number}")
        place.ca.finalized(one.uid)
    assert place.account().ask(applicant("www.example.com")) is not None


def test_what_renewals_are_exempt_from() -> None:
    place = Place()
    for number in range(5):
        place.order(f"n{number}.example.com")
    same = applicant("n1.example.com", purpose=OrderPurpose.SAME_NAMES)
    assert place.account().ask(same) is None
    place.limits = LimitProfile(certificates_per_registered_domain=LIMITS.certificates_per_registered_domain)
    exempting = applicant("n1.example.com", purpose=OrderPurpose.RENEWAL_INFO)
    assert place.account().ask(exempting) is None
    strict = Place(LimitProfile(certificates_per_registered_domain=Limit(1, DAY), renewals_exempt=False))
    strict.order("n1.example.com")
    assert strict.account().ask(exempting) is not None, "this CA exempts nobody"


def test_failed_validations_hold_up_orders_of_that_name_by_that_account() -> None:
    place = Place()
    bad = [Identifier.dns("bad.example.com")]
    for _ in range(2):
        place.account().failed(bad)
    shortage = place.account().ask(applicant("good.example.com", "bad.example.com"))
    assert shortage is not None
    assert shortage.limit == "the number of failed validations of bad.example.com"
    assert place.account("other").ask(applicant("bad.example.com")) is None


def test_a_refusal_that_names_a_registered_domain_holds_for_all_accounts_until_the_ca_said() -> None:
    place = Place(LimitProfile())
    problem = Problem(
        type="urn:ietf:params:acme:error:rateLimited",
        detail='too many certificates (50) already issued for "example.com" in the last 168h0m0s',
    )
    error = RateLimited(problem, action="newOrder", url="https://ca.test/", status=429, retry_after=600.0)
    place.account().learn(error, [Identifier.dns("a.example.com")])
    shortage = place.account("other").ask(applicant("b.example.com"))
    assert shortage is not None
    assert shortage.until == NOW + dt.timedelta(minutes=10)
    assert place.account().ask(applicant("notexample.com")) is None
    place.now += dt.timedelta(minutes=11)
    assert place.account("other").ask(applicant("b.example.com")) is None


def test_the_first_in_line_is_let_through_when_there_is_room_and_the_others_wait_on() -> None:
    place = Place()
    for number in range(5):
        place.order(f"n{number}.example.com")
    account = place.account()
    late = applicant("late.example.com", uid="late", namespace="b")
    renewal = applicant("renewal.example.com", uid="renewal", namespace="a", priority=Priority.RENEWAL)
    waits = [account.ask(one) for one in (late, renewal, late)]
    assert [one.ahead for one in waits if one is not None] == [0, 0, 1]
    place.now += 7 * DAY / 5 + MARGIN
    assert account.ask(late) is not None, "the room is for the one that comes first"
    account.place(renewal)
    place.ca.finalized("renewal")
    assert account.ask(late) is not None
    place.now += 7 * DAY / 5
    account.place(late)


def test_the_orders_of_an_account_are_written_down_ahead_and_seldom() -> None:
    place, kept, writes = Place(), None, 0
    for number in range(20):
        assert not place.account().is_unwritten
        place.order(f"www.d{number}.test")
        if place.account().is_unwritten:
            kept, writes = place.ca.kept("one", kept), writes + 1
    assert writes <= 10, "not at every order"
    with pytest.raises(BudgetWait):
        place.order("www.another.test")
    # A new process believes no less, at whatever moment the last one was killed.
    place.restart()
    place.ca.restore("one", kept)
    with pytest.raises(BudgetWait):
        place.order("www.another.test")


def test_a_process_that_is_killed_at_any_time_has_written_enough() -> None:
    for orders in range(21):
        place, kept = Place(), None
        place.ca.restore("one", None)
        placed = 0
        for number in range(orders):
            try:
                place.order(f"www.d{number}.test")
            except BudgetWait:
                break
            placed += 1
            if place.account().is_unwritten:
                kept = place.ca.kept("one", kept)
        place.restart()
        place.ca.restore("one", kept)
        for number in range(30):
            try:
                place.order(f"www.e{number}.test")
            except BudgetWait:
                break
            placed += 1
        assert placed <= 20, f"the CA would have refused one, after a restart after {orders}"
        assert placed >= 14, "the reserve is small"


def test_a_status_that_says_too_much_costs_its_account_no_more_than_the_limit() -> None:
    place = Place()
    kept = None
    for number in range(8):
        place.order(f"www.d{number}.test")
        kept = place.ca.kept("one", kept)
    assert kept is not None
    place.restart()
    place.ca.restore("one", kept.replace(until=NOW + 9999 * DAY))
    with pytest.raises(BudgetWait) as wait:
        place.order("www.another.test")
    assert wait.value.shortage.until <= NOW + 3 * HOUR
    assert place.account("another").ask(applicant("www.another.test")) is None, "it is the forger's own account"


def test_certificates_that_are_found_in_the_cluster_are_counted() -> None:
    place = Place()
    place.ca.recount((NOW - number * DAY, (Identifier.dns(f"n{number}.example.com"),)) for number in range(5))
    shortage = place.account().ask(applicant("www.example.com"))
    assert shortage is None, "some of them are a while ago"
    for number in range(2):
        place.order(f"m{number}.example.com")
    assert place.account().ask(applicant("www.example.com")) is not None
    place.restart()
    place.ca.recount((NOW - 8 * DAY, (Identifier.dns(f"n{number}.example.com"),)) for number in range(5))
    assert [place.order(f"m{number}.example.com") for number in range(5)], "those do not count any more"


def test_a_certificate_that_is_gone_leaves_its_place_but_not_what_it_used_up() -> None:
    place = Place()
    for number in range(5):
        place.order(f"n{number}.example.com")
    waiting = applicant("a.example.com", uid="gone", namespace="a")
    assert place.account().ask(waiting) is not None
    assert place.ca.waiting()["certificatesPerRegisteredDomain"].number == 1
    place.ca.forget("gone")
    shown = place.ca.waiting()["certificatesPerRegisteredDomain"]
    assert (shown.number, shown.used) == (0, 1.0)
    shortage = place.account().ask(applicant("b.example.com", uid="b", namespace="b"))
    assert shortage is not None
    assert shortage.ahead == 0


def test_only_known_cas_have_limits_unless_the_issuer_sets_some(build: Build) -> None:
    assert profile_of(build.issuer()).orders_per_account is None
    published = profile_of(build.issuer(server=LETS_ENCRYPT))
    assert str(published.certificates_per_registered_domain) == "50 in 7 days"
    given = {"ordersPerAccount": {"count": 2, "period": "1h"}, "renewalsExempt": False}
    own = profile_of(build.issuer(server=LETS_ENCRYPT, rateLimits=given))
    assert str(own.orders_per_account) == "2 in 1 hour"
    assert own.certificates_per_exact_set == published.certificates_per_exact_set, "what is unset is as published"
    assert not own.renewals_exempt


def test_who_reaches_the_ca_by_another_way_or_sets_limits_of_his_own_counts_for_himself(build: Build) -> None:
    budgets = Budgets(lambda: NOW)
    spec = build.issuer(server=LETS_ENCRYPT)
    mine = budgets.of(Authority.of(spec), spec)
    assert budgets.of(Authority.of(spec), build.issuer(server=LETS_ENCRYPT, email="a@certwright.test")) is mine
    insecure = build.issuer(server=LETS_ENCRYPT, skipTLSVerify=True)
    assert budgets.of(Authority.of(insecure), insecure) is not mine
    narrow = build.issuer(server=LETS_ENCRYPT, rateLimits={"ordersPerAccount": {"count": 1, "period": "8760h"}})
    assert budgets.of(Authority.of(narrow), narrow) is not mine
