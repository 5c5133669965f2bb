"""When a certificate is renewed by its spec and its real lifetime; maintenance windows; renewals switched off."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright import acme
from certwright.certificates.renewal.due import renewal_of
from certwright.certificates.renewal.suggestion import Suggestion
from certwright.pki import CertificateFacts
from certwright.resources import ISSUING

from .bench import Bench

if TYPE_CHECKING:
    from tests.fakes.operator import Build, FakeKubeApi

DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)
SUNDAYS = {"schedule": "0 2 * * SUN", "duration": "4h", "timeZone": "Europe/Berlin"}


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    return Bench(build, kube_api, now)


def facts_of(not_before: dt.datetime, life: dt.timedelta) -> CertificateFacts:
    return CertificateFacts(("a.example.test",), (), not_before, not_before + life, "01", "CN=Root", "00")


@pytest.mark.parametrize(
    ("spec", "life", "basis", "renewed_after"),
    [
        ({}, 90 * DAY, "Lifetime", 60 * DAY),
        ({}, 10 * DAY, "Lifetime", dt.timedelta(days=20) / 3),
        ({}, 6 * DAY, "Lifetime", 3 * DAY),
        ({"renewBefore": "240h"}, 90 * DAY, "RenewBefore", 80 * DAY),
        ({"renewBefore": "240h"}, 10 * DAY, "Lifetime", dt.timedelta(days=20) / 3),
        ({"renewBefore": "2160h"}, 6 * DAY, "Lifetime", 3 * DAY),
        ({"renewBefore": "2159h"}, 90 * DAY, "Lifetime", 60 * DAY),
        ({"renewBefore": "1944h"}, 90 * DAY, "RenewBefore", 9 * DAY),
        ({"renewBeforePercentage": 10}, 90 * DAY, "RenewBefore", 81 * DAY),
        ({"renewBeforePercentage": 99}, 90 * DAY, "Lifetime", 60 * DAY),
    ],
)
def test_when_to_renew(
    *,
    build: Build,
    now: dt.datetime,
    spec: dict[str, Any],
    life: dt.timedelta,
    basis: str,
    renewed_after: dt.timedelta,
) -> None:
    decision = renewal_of(build.certificate(**spec), facts_of(now, life), None, now)
    assert decision.at is not None
    assert decision.basis == basis
    most = min(life / 20, 3 * DAY, renewed_after / 10)
    assert now + renewed_after - most - dt.timedelta(seconds=1) <= decision.at <= now + renewed_after
    assert (decision.warning is not None) is (bool(spec) and basis == "Lifetime")


@given(
    life=st.integers(60, 10**9),
    seen=st.floats(0, 1),
    spec=st.one_of(
        st.just({}),
        st.integers(5, 999_999).map(lambda minutes: {"renewBefore": f"{minutes}m"}),
        st.integers(1, 99).map(lambda percent: {"renewBeforePercentage": percent}),
    ),
)
def test_renewal_is_always_within_what_is_left_of_the_life(
    build: Build, now: dt.datetime, life: int, seen: float, spec: dict[str, Any]
) -> None:
    facts = facts_of(now, dt.timedelta(seconds=life))
    suggestion = Suggestion("id", now + dt.timedelta(seconds=life) * seen)
    decision = renewal_of(build.certificate(**spec), facts, suggestion, now)
    assert decision.at is not None
    assert suggestion.issued_at(facts) < decision.at < facts.not_after
    assert decision.at.tzinfo is dt.UTC


def test_a_thousand_certificates_applied_together_are_not_renewed_together(build: Build, now: dt.datetime) -> None:
    facts = facts_of(now, 90 * DAY)
    times = [
        renewal_of(build.certificate(metadata={"uid": f"uid-{number}"}), facts, None, now).at for number in range(1000)
    ]
    hours = [int((time - now) / HOUR) for time in times if time is not None]
    assert len(hours) == 1000
    assert max(hours.count(hour) for hour in set(hours)) < 40, "some 14 in each of 72 hours"
    again = renewal_of(build.certificate(metadata={"uid": "uid-7"}), facts, None, now).at
    assert again == times[7], "not the same after a restart"


def test_a_short_certificate_that_was_dated_back_is_not_renewed_at_once(build: Build, now: dt.datetime) -> None:
    facts = facts_of(now - HOUR, 2 * HOUR)
    specs: list[dict[str, Any]] = [{}, {"renewBefore": "1h30m"}, {"renewBefore": "59m"}]
    for spec in specs:
        decision = renewal_of(build.certificate(**spec), facts, Suggestion("id", now), now)
        assert decision.at is not None
        assert now + 15 * MINUTE < decision.at <= now + 20 * MINUTE
        assert decision.basis == "Lifetime"


async def test_renew_before_of_almost_the_whole_duration_is_said_and_is_no_loop(bench: Bench) -> None:
    bench.ca.life = {"life": 6 * DAY}
    bench.write(duration="2160h", renewBefore="2159h")
    await bench.run(2 * 86400)
    assert len(bench.ca.orders) == 1
    assert bench.events.count("RenewBeforeTooLong") == 1
    said = "spec.renewBefore is ignored: it is more than 90 % of the certificate's actual lifetime, 6 days"
    assert said in bench.condition().message
    bench.restart()
    await bench.look()
    assert bench.events.count("RenewBeforeTooLong") == 1, "told again, though nothing has changed"
    await bench.run(86400)
    assert len(bench.ca.orders) == 2, "renewed at half of its real lifetime"


async def test_a_certificate_of_a_day_that_is_renewed_after_three_hours_is_not_ordered_too_often(bench: Bench) -> None:
    bench.ca.life = {"life": dt.timedelta(days=1)}
    bench.write(renewBefore="20h")
    await bench.run(5 * 86400)
    assert len(bench.ca.orders) > 5 * 24 / 4
    assert "OrderedTooOften" not in bench.events


async def test_a_certificate_whose_renewal_is_disabled_expires_and_says_so_in_time(bench: Bench) -> None:
    bench.write(renewal={"policy": "Disabled"})
    await bench.run(60)
    assert bench.status.renewal_time is None
    assert bench.status.renewal is not None
    assert bench.status.renewal.basis == "Disabled"
    assert bench.condition().message.endswith("It is not renewed: spec.renewal.policy is Disabled.")
    await bench.run(58 * 86400)
    assert "RenewalDisabled" not in bench.events
    await bench.run(3 * 86400)
    assert bench.events.count("RenewalDisabled") == 1
    assert "Set it to Automatic" in bench.condition().message
    assert bench.condition().status == "True"
    await bench.run(29 * 86400)  # to its end: from then on it is looked at every minute
    assert (bench.condition().status, bench.condition().reason) == ("False", "RenewalDisabled")
    assert "expired at" in bench.condition().message
    assert len(bench.ca.orders) == 1
    bench.write(metadata={"generation": 2})
    await bench.run(60)
    assert len(bench.ca.orders) == 2
    assert bench.condition().status == "True"


async def test_a_changed_spec_is_served_although_renewal_is_disabled(bench: Bench) -> None:
    bench.write(renewal={"policy": "Disabled"})
    await bench.run(60)
    bench.write("b.example.test", metadata={"generation": 2}, renewal={"policy": "Disabled"})
    await bench.run(60)
    assert len(bench.ca.orders) == 2


def in_window(build: Build, now: dt.datetime, *windows: dict[str, str], **seen: Any) -> Any:
    certificate = build.certificate(renewal={"windows": list(windows)})
    facts = facts_of(now, seen.pop("life", 90 * DAY))
    return renewal_of(certificate, facts, seen.pop("suggestion", None), seen.pop("at", now))


def test_a_renewal_waits_for_a_maintenance_window_and_comes_soon_after_it_opens(build: Build, now: dt.datetime) -> None:
    decision = in_window(build, now, SUNDAYS)
    assert decision.at.weekday() == 6
    assert dt.time(0) <= decision.at.time() <= dt.time(1), "two o'clock in Berlin, in summer; within an hour"
    assert now + 57 * DAY < decision.at < now + 68 * DAY
    assert decision.why == ", in a maintenance window"


def test_a_window_that_was_missed_is_followed_by_the_next_one(build: Build, now: dt.datetime) -> None:
    first = in_window(build, now, SUNDAYS).at
    assert in_window(build, now, SUNDAYS, at=first + HOUR).at == first, "it is open still"
    assert in_window(build, now, SUNDAYS, at=first + 5 * HOUR).at == first + 7 * DAY


def test_a_certificate_does_not_expire_for_want_of_a_window(build: Build, now: dt.datetime) -> None:
    yearly = {"schedule": "0 0 1 3 *", "duration": "1h"}
    decision = in_window(build, now, yearly)
    assert now + 57 * DAY < decision.at <= now + 60 * DAY
    assert "outside the maintenance windows: none opens before 2026-08-23T12:00:00Z" in decision.why
    late = in_window(build, now, SUNDAYS, at=now + 87 * DAY)
    assert late.at < now + 87 * DAY, "every window was missed, and it ends in three days"
    never = {"schedule": "0 0 31 2 *", "duration": "1h"}
    assert "none opens" in in_window(build, now, never).why


def test_a_window_yields_to_a_ca_that_is_in_a_hurry(build: Build, now: dt.datetime) -> None:
    urgent = Suggestion("id", now, now + DAY, now + 2 * DAY, now + 1.5 * DAY, confirmed=True)
    decision = in_window(build, now, {"schedule": "0 0 20 * *", "duration": "1h"}, suggestion=urgent)
    assert decision.at == now + 1.5 * DAY
    assert decision.why.startswith(", as its CA suggests, outside the maintenance windows")
    nightly = in_window(build, now, {"schedule": "0 0 * * *", "duration": "1h"}, suggestion=urgent)
    assert now + 1.5 * DAY <= nightly.at <= now + 2 * DAY


@pytest.mark.parametrize(
    ("around", "opens"),
    [
        # The night in which 2:30 does not exist, and the one in which it comes twice.
        (dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC), "2026-03-29T01:30"),
        (dt.datetime(2026, 10, 24, 12, tzinfo=dt.UTC), "2026-10-25T00:30"),
        (dt.datetime(2026, 10, 25, 12, tzinfo=dt.UTC), "2026-10-26T01:30"),
    ],
)
def test_a_window_opens_once_a_night_when_clocks_are_changed(build: Build, around: dt.datetime, opens: str) -> None:
    nightly = {"schedule": "30 2 * * *", "duration": "15m", "timeZone": "Europe/Berlin"}
    certificate = build.certificate(renewal={"windows": [nightly]}, metadata={"uid": "u"})
    life = 6 * DAY
    facts = facts_of(around - 3 * DAY, life)
    decision = renewal_of(certificate, facts, None, around)
    assert decision.at is not None
    opened = dt.datetime.fromisoformat(f"{opens}+00:00")
    assert opened <= decision.at < opened + 8 * MINUTE


async def test_a_renewal_outside_its_windows_says_why_in_the_event(bench: Bench) -> None:
    bench.write(renewal={"windows": [{"schedule": "0 0 1 3 *", "duration": "1h"}]})
    await bench.run(62 * 86400)
    assert len(bench.ca.orders) == 2
    assert "outside the maintenance windows: none opens before" in bench.messages["Issuing"]
    assert bench.condition(ISSUING).reason == "NothingToDo"


NIGHTLY: dict[str, Any] = {"windows": [{"schedule": "0 2 * * *", "duration": "15m"}]}


async def test_a_renewal_that_has_begun_goes_on_when_its_window_closes(bench: Bench) -> None:
    bench.write(renewal=NIGHTLY)
    await bench.run(59 * 86400)
    bench.ca.undecided = True
    await bench.run(2 * 86400)
    assert len(bench.ca.orders) == 2, "ordered again in each window"
    assert bench.status.order is not None
    bench.restart()
    await bench.run(86400)
    assert (len(bench.ca.orders), bench.condition(ISSUING).status) == (2, "True")
    bench.ca.undecided = False
    url, order = list(bench.ca.orders.items())[-1]
    bench.ca.orders[url] = replace(order, status=acme.OrderStatus.READY)
    await bench.run(3600)
    assert (bench.status.revision, bench.condition().reason) == (2, "Ready")


async def test_an_order_for_another_spec_is_no_renewal_that_has_begun(bench: Bench) -> None:
    bench.write(renewal=NIGHTLY)
    await bench.run(59 * 86400)
    bench.ca.undecided = True
    await bench.run(86400)
    assert len(bench.ca.orders) == 2
    bench.issuer_spec = {"profile": "short"}
    bench.ready()
    await bench.run(3600)
    assert (len(bench.ca.orders), bench.status.order) == (2, None), "it waits for the next window"


async def test_a_renewal_that_failed_in_its_window_is_told_until_the_next_one(bench: Bench) -> None:
    bench.write(renewal=NIGHTLY)
    await bench.run(59 * 86400)
    bench.ca.verdict = "invalid"
    while len(bench.ca.orders) == 1:
        await bench.run(3600)
    await bench.run(6 * 3600)
    ready, attempts = bench.condition(), len(bench.ca.orders) - 1
    assert (ready.status, ready.reason, bench.status.failed_attempts) == ("True", "Ready", attempts)
    assert "no TXT record" in ready.message
    assert f"{bench.status.renewal_time:%Y-%m-%dT%H:%M:%SZ}, in a maintenance window." in ready.message
    assert bench.condition(ISSUING).reason == "ValidationFailed"
    assert bench.status.next_attempt_time == bench.status.renewal_time
    bench.restart()
    await bench.run(60)
    assert "no TXT record" in bench.condition().message
    bench.ca.verdict = "ready"
    await bench.run(86400)
    assert (bench.status.revision, bench.status.failed_attempts) == (2, 0)
    assert "TXT" not in bench.condition().message


@pytest.mark.parametrize("dated_back", [dt.timedelta(), MINUTE, 20 * MINUTE, HOUR])
async def test_a_certificate_of_ten_minutes_is_always_there(bench: Bench, dated_back: dt.timedelta) -> None:
    bench.ca.begins, bench.ca.life = -dated_back, {"life": dated_back + 10 * MINUTE}
    bench.write()
    for _ in range(60):
        await bench.run(120)
        assert bench.status.not_after is not None
        assert bench.status.not_after > bench.now + MINUTE, "it is too late for clients"
        assert bench.condition().status == "True"
    assert not {"NotAsAsked", "OrderedTooOften"} & set(bench.events)
    assert 24 <= len(bench.ca.orders) <= 48
