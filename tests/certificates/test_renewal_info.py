"""Renewal as the CA suggests it (RFC 9773): asked in the background, followed within bounds, replaced by its name."""

from __future__ import annotations

import datetime as dt
import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright import acme
from certwright.certificates.renewal_polls import first_poll
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.steps.poll_renewal_info import _keep_quiet
from certwright.resources import READY
from tests.fakes.acme_client import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.operator import Build

    from .bench import Bench

DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)
ASKED = 7 * 3600
"""Seconds after which the CA was asked about a new certificate: six hours, and up to a tenth."""
Window = tuple[dt.datetime, dt.datetime]


def fixed(start: dt.datetime, end: dt.datetime) -> Callable[[dt.datetime], Window]:
    return lambda _: (start, end)


def info(bench: Bench) -> Any:
    return bench.ca.server


async def test_the_ca_is_asked_after_the_issuance_and_its_window_is_followed(bench: Bench) -> None:
    begun = bench.now
    start, end = begun + 20 * DAY, begun + 22 * DAY
    info(bench).window, info(bench).explanation = fixed(start, end), "https://ca.example.test/why"
    await bench.run(5)
    assert bench.condition().status == "True"
    await bench.run(6 * 3600 - 60)
    assert info(bench).asked == [], "asked as a part of the issuance"
    await bench.run(3600)
    status = bench.status.renewal
    assert status is not None
    assert (status.basis, status.window_start, status.window_end) == ("ARI", start, end)
    assert status.explanation_url == "https://ca.example.test/why"
    assert status.time is not None
    assert start <= status.time <= end
    assert bench.status.renewal_time == status.time
    assert "as its CA suggests (see https://ca.example.test/why)" in bench.condition().message
    assert info(bench).asked == [status.certificate]
    await bench.run(23 * 86400)
    assert len(bench.ca.orders) == 2
    assert bench.ca.replaced == [None, status.certificate]
    assert bench.status.revision == 2


async def test_the_ca_is_asked_as_often_as_it_wants_and_the_time_stays(bench: Bench) -> None:
    info(bench).window = fixed(bench.now + 20 * DAY, bench.now + 22 * DAY)
    await bench.run(ASKED)
    chosen, version = bench.status.renewal_time, bench.cluster.body["metadata"]["resourceVersion"]
    await bench.run(86400)
    assert len(info(bench).asked) in {4, 5}, "every six hours and a bit"
    assert bench.status.renewal_time == chosen
    assert bench.cluster.body["metadata"]["resourceVersion"] == version, "a write for a poll that said nothing new"


@pytest.mark.parametrize(("life", "minutes"), [(HOUR, 2.5), (DAY, 60), (6 * DAY, 360), (90 * DAY, 360)])
async def test_a_new_certificate_is_asked_about_when_a_part_of_its_lifetime_is_over(
    bench: Bench, life: dt.timedelta, minutes: float
) -> None:
    bench.ca.begins, bench.ca.life = dt.timedelta(), {"life": life}
    info(bench).window = lambda now: (now + life / 2, now + life * 2 / 3)
    await bench.run(60 * minutes)
    assert info(bench).asked == []
    await bench.run(6 * minutes + 5)
    assert len(info(bench).asked) == 1


@pytest.mark.parametrize(("asked", "times"), [("0", (800, 1441)), ("99999999", (1, 2)), ("soon", (3, 5))])
async def test_retry_after_is_clamped_to_a_minute_and_a_day(bench: Bench, asked: str, times: tuple[int, int]) -> None:
    info(bench).window, info(bench).retry_after = fixed(bench.now + 20 * DAY, bench.now + 22 * DAY), asked
    await bench.run(86400)
    assert times[0] <= len(info(bench).asked) <= times[1]


async def test_a_new_leader_goes_on_with_the_chosen_time(bench: Bench) -> None:
    info(bench).window = fixed(bench.now + 50 * DAY, bench.now + 70 * DAY)
    await bench.run(ASKED)
    chosen, asked = bench.status.renewal_time, len(info(bench).asked)
    bench.restart()
    await bench.look()
    assert bench.status.renewal_time == chosen
    assert len(info(bench).asked) == asked, "asked before its turn"
    await bench.run(60)
    assert len(info(bench).asked) == asked + 1
    assert bench.status.renewal_time == chosen


async def test_a_new_leader_goes_on_with_the_order_that_the_suggestion_has_caused(bench: Bench) -> None:
    info(bench).window = fixed(bench.now + 5 * DAY, bench.now + 6 * DAY)
    await bench.run(2 * 86400)
    bench.ca.undecided = True
    await bench.run(5 * 86400)
    assert len(bench.ca.orders) == 2
    known = SecretFacts.of(bench.cluster.secrets.secrets["team", "web-tls"])
    bench.restart()
    bench.take_secret(known)
    await bench.run(600)
    assert (len(bench.ca.orders), bench.condition().reason) == (2, "Renewing"), "ordered again"
    url, order = list(bench.ca.orders.items())[-1]
    bench.ca.undecided, bench.ca.orders[url] = False, replace(order, status=acme.OrderStatus.READY)
    await bench.run(600)
    assert (len(bench.ca.orders), bench.status.revision) == (2, 2)


async def test_another_time_is_chosen_only_if_the_window_has_left_the_old_one(bench: Bench) -> None:
    start = bench.now + 20 * DAY
    info(bench).window = fixed(start, start + 2 * DAY)
    await bench.run(ASKED)
    chosen = bench.status.renewal_time
    info(bench).window = fixed(start - DAY, start + 3 * DAY)
    await bench.run(86400)
    assert bench.status.renewal_time == chosen
    assert bench.status.renewal is not None
    assert bench.status.renewal.window_start == start - DAY
    assert "RenewalSuggested" not in bench.events
    info(bench).window = fixed(start + 10 * DAY, start + 11 * DAY)
    await bench.run(86400)
    assert bench.status.renewal_time is not None
    assert start + 10 * DAY <= bench.status.renewal_time <= start + 11 * DAY
    assert bench.events.count("RenewalSuggested") == 1


async def test_a_window_in_the_past_means_now_and_once(bench: Bench) -> None:
    info(bench).window = fixed(bench.now + 20 * DAY, bench.now + 22 * DAY)
    await bench.run(ASKED)
    past = (bench.now - 2 * HOUR, bench.now - HOUR)
    info(bench).window = fixed(*past)
    await bench.run(86400)
    assert len(bench.ca.orders) == 2
    assert "as its CA suggests" in bench.messages["Issuing"]
    # The CA says so of the new certificate as well: a stale answer.
    assert info(bench).asked[-1] != info(bench).asked[0]
    await bench.run(30 * 86400)
    bench.restart()
    await bench.run(10 * 86400)
    assert len(bench.ca.orders) == 2
    assert "is not followed" in bench.messages["RenewalSuggested"]
    assert bench.status.renewal is not None
    assert bench.status.renewal.basis == "Lifetime"


async def test_a_window_in_the_past_with_a_beginning_dated_back_is_no_loop(bench: Bench) -> None:
    bench.ca.begins = -HOUR
    # After the beginning of the certificate, and before it was there: of every certificate.
    info(bench).window = lambda now: (now - 50 * MINUTE, now - 40 * MINUTE)
    await bench.run(20 * 86400)
    assert len(bench.ca.orders) <= 6, "after a minute, one, six, 36 hours and nine days"
    assert bench.condition().status == "True"
    bench.restart()
    await bench.run(86400)
    assert len(bench.ca.orders) <= 6
    assert "OrderedTooOften" not in bench.events


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "now",
        {},
        {"suggestedWindow": {"start": "2026-06-02T00:00:00Z"}},
        {"suggestedWindow": {"start": "2026-06-02T00:00:00Z", "end": "2026-06-02T00:00:00Z"}},
        {"suggestedWindow": {"start": "2026-06-03T00:00:00Z", "end": "2026-06-02T00:00:00Z"}},
        {"suggestedWindow": {"start": "yesterday", "end": "tomorrow"}},
        {"suggestedWindow": {"start": "9999-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"}},
        {"suggestedWindow": {"start": "2026-12-01T00:00:00Z", "end": "2026-12-02T00:00:00Z"}},
        {"suggestedWindow": {"start": "2026-06-02", "end": {"a": 1}}},
    ],
    ids=json.dumps,
)
async def test_a_garbage_answer_is_none(bench: Bench, answer: Any) -> None:
    info(bench).window = fixed(bench.now + 20 * DAY, bench.now + 21 * DAY)
    await bench.run(5)
    before = bench.status
    info(bench).window, info(bench).error = None, None
    info(bench).answers = dict.fromkeys([certificate_of(bench)], answer)
    await bench.run(2 * 86400)
    assert len(bench.ca.orders) == 1
    assert len(info(bench).asked) >= 2
    assert bench.status.renewal_time == before.renewal_time
    assert bench.status.renewal is not None
    assert bench.status.renewal.basis == "Lifetime"
    assert bench.condition(READY).status == "True"


async def test_a_window_that_began_before_the_certificate_does_not_mean_now(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One time in three hundred, the time that is chosen lies in these seven hours.
    monkeypatch.setattr("certwright.acme.renewal_info.random.SystemRandom", lambda: random.Random(1))  # noqa: S311 - to be repeated
    info(bench).window = fixed(bench.now - 900 * DAY, bench.now + 80 * DAY)
    await bench.run(ASKED)
    assert bench.status.renewal is not None
    assert bench.status.renewal.basis == "ARI"
    assert bench.status.renewal.time is not None
    assert bench.status.renewal.first_seen_time is not None
    assert bench.status.renewal.time >= bench.status.renewal.first_seen_time


async def test_a_window_far_too_wide_is_clamped_to_the_lifetime(bench: Bench) -> None:
    info(bench).window = fixed(bench.now - 9999 * DAY, dt.datetime(9999, 12, 31, tzinfo=dt.UTC))
    await bench.run(ASKED)
    assert bench.status.renewal is not None
    assert bench.status.renewal.basis == "Lifetime", "a window of the whole lifetime says nothing"
    info(bench).window = fixed(bench.now + 88 * DAY, dt.datetime(9999, 12, 31, tzinfo=dt.UTC))
    bench.write(metadata={"generation": 2})
    await bench.run(86400)
    assert bench.status.not_after is not None
    assert bench.status.renewal_time is not None
    assert bench.status.renewal_time <= bench.status.not_after - 9 * DAY


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://ca.example.test/a b",
        "https://user:pass@ca.example.test/",
        "https:///nowhere",
        "https://[::1/",
        "file:///etc/passwd",
        f"https://ca.example.test/{'a' * 600}",
    ],
)
async def test_a_strange_explanation_is_not_shown(bench: Bench, url: str) -> None:
    info(bench).window, info(bench).explanation = fixed(bench.now + 20 * DAY, bench.now + 21 * DAY), url
    await bench.run(ASKED)
    assert bench.status.renewal is not None
    assert (bench.status.renewal.basis, bench.status.renewal.explanation_url) == ("ARI", None)
    assert "see" not in bench.condition().message


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (acme.TransportError("no route", host="ca.example.test"), range(8, 12)),
        (acme.ServiceUnavailable("busy", url="u", status=503, retry_after=None), range(8, 12)),
        (TimeoutError(), range(8, 12)),
    ],
)
async def test_errors_are_harmless_and_asked_about_ever_less_often(
    bench: Bench, error: Exception, asked: range
) -> None:
    info(bench).error = error
    await bench.run(5)
    ready, version = bench.condition(), bench.cluster.body["metadata"]["resourceVersion"]
    await bench.run(86400)
    assert len(info(bench).asked) in asked
    assert bench.condition() == ready
    assert bench.cluster.body["metadata"]["resourceVersion"] == version
    assert bench.events == ["Issuing", "Issued"]


async def test_a_ca_that_does_not_answer_is_not_asked_about_every_other_certificate(bench: Bench) -> None:
    await bench.run(60)
    bench.restart()
    info(bench).error = TimeoutError()
    await bench.run(30)
    assert len(info(bench).asked) == 1
    bench.write(metadata={"uid": "uid-other"})  # another object, the same CA
    await bench.run(30)
    assert len(info(bench).asked) == 1
    info(bench).error, info(bench).window = None, fixed(bench.now + 20 * DAY, bench.now + 22 * DAY)
    await bench.run(600)
    assert len(info(bench).asked) == 2
    assert bench.status.renewal is not None
    assert bench.status.renewal.basis == "ARI"


async def test_in_an_outage_of_days_a_certificate_does_not_look_every_minute_because_others_ask_in_vain(
    bench: Bench,
) -> None:
    await bench.run(ASKED)
    info(bench).error = TimeoutError()
    tools, looks, end = bench.reconciler._tools, 0, bench.now + 10 * DAY
    while bench.now < end:
        _keep_quiet(tools, f"{PLACE}/directory")  # another one has just asked, unless it is quiet
        pause = (await bench.look()).after
        assert pause is not None
        bench.now, looks = bench.now + pause, looks + 1
    assert looks <= 100
    info(bench).error, info(bench).window = None, fixed(bench.now + 20 * DAY, bench.now + 22 * DAY)
    await bench.run(ASKED)
    assert bench.status.renewal is not None
    assert bench.status.renewal.basis == "ARI"
    assert tools.quiet == {}


async def test_nobody_is_asked_who_has_not_issued_the_certificate(bench: Bench) -> None:
    info(bench).window = fixed(bench.now + 20 * DAY, bench.now + 21 * DAY)
    bench.write(renewal={"ari": False})
    await bench.run(86400)
    assert info(bench).asked == []
    bench.write(metadata={"generation": 2})
    await bench.run(300)
    assert len(info(bench).asked) == 1


async def test_a_forged_status_neither_delays_a_renewal_nor_causes_one(bench: Bench) -> None:
    await bench.run(60)
    certificate = certificate_of(bench)
    forged = {
        "certificate": certificate,
        "windowStart": "2026-08-29T00:00:00Z",
        "windowEnd": "9999-12-31T00:00:00Z",
        "time": "9999-12-30T00:00:00Z",
        "firstSeenTime": "2026-08-29T00:00:00Z",
        "earlyRenewals": 999_999_999,
    }
    bench.cluster.body["status"]["renewal"] = forged
    bench.restart()
    await bench.run(86 * 86400)
    assert len(bench.ca.orders) == 2, "renewed before it expires"
    for forged_time in ("2026-01-01T00:00:00Z", "2026-06-01T13:00:00Z"):
        for _ in range(5):
            forged |= {"windowStart": "2026-01-01T00:00:00Z", "time": forged_time, "earlyRenewals": 0}
            bench.cluster.body["status"]["renewal"] = {**forged, "certificate": certificate_of(bench)}
            bench.restart()
            await bench.run(3600)
    assert len(bench.ca.orders) == 2


async def test_two_thousand_certificates_do_not_ask_at_once_after_a_restart(build: Build, now: dt.datetime) -> None:
    facts = build.facts(not_before=now - 40 * DAY)
    times = [
        first_poll(
            build.observation(build.certificate(metadata={"uid": f"uid-{number}"}), secret=facts, seen_at=now),
            2000,
            now,
        )
        for number in range(2000)
    ]
    seconds = [int((time - now).total_seconds()) for time in times]
    assert max(seconds) < 1061
    assert max(seconds.count(second) for second in set(seconds)) <= 12, "two a second, give or take"


@pytest.mark.parametrize("status", [409, 500, 503])
async def test_an_order_whose_replacement_is_refused_is_placed_without_it_and_is_no_failure(
    bench: Bench, status: int
) -> None:
    await bench.run(60)
    problem = acme.Problem(type="urn:ietf:params:acme:error:alreadyReplaced", detail="it was replaced already")
    bench.ca.refuses_replaces = acme.AlreadyReplaced(problem, action="newOrder", url="u", status=status)
    await bench.run(62 * 86400)
    assert len(bench.ca.orders) == 2
    assert (bench.status.revision, bench.status.failed_attempts) == (2, 0)
    assert bench.events == ["Issuing", "Issued"] * 2


async def test_an_attempt_after_a_refused_replacement_does_not_name_it_again(bench: Bench) -> None:
    await bench.run(60)
    problem = acme.Problem(type="urn:ietf:params:acme:error:alreadyReplaced", detail="it was replaced already")
    bench.ca.refuses_replaces = acme.AlreadyReplaced(problem, action="newOrder", url="u", status=409)
    bench.ca.verdict = "invalid"
    await bench.run(61 * 86400)
    bench.ca.refuses_replaces, bench.ca.verdict = None, "ready"
    await bench.run(2 * 86400)
    assert bench.status.revision == 2
    assert set(bench.ca.replaced) == {None}


async def test_a_certificate_for_other_names_or_of_another_ca_is_not_replaced_by_an_order(bench: Bench) -> None:
    await bench.run(60)
    first = certificate_of(bench)
    bench.write("a.example.test", "b.example.test", metadata={"generation": 2})
    await bench.run(60)
    assert bench.ca.replaced == [None, first], "they share a name"
    bench.write("c.example.test", metadata={"generation": 3})
    await bench.run(60)
    assert bench.ca.replaced[2] is None
    bench.issuer_spec = {"server": "https://other.example.test/directory"}
    bench.ready()
    await bench.run(60)
    assert len(bench.ca.replaced) == 4
    assert bench.ca.replaced[3] is None


def certificate_of(bench: Bench) -> str:
    found = SecretFacts.of(bench.cluster.secrets.secrets["team", "web-tls"]).certificate_id
    assert found is not None
    return found
