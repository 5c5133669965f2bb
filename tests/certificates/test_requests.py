"""A request of a person is carried out once, whatever dies, repeats itself or writes old things back."""

from __future__ import annotations

import copy
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.order.budget import LIMITS
from certwright.certificates.plan_requests import PATIENCE
from certwright.certificates.secret.facts import SecretFacts
from certwright.resources import ISSUING, PAUSED, RequestStatus, find_condition
from tests.fakes.killing import DyingCluster, Killed
from tests.fakes.operator import FakeKubeApi

from .bench import CA, Bench

if TYPE_CHECKING:
    from tests.fakes.kube import FakeCluster
    from tests.fakes.operator import Build

DAY = 86400


def spec_request(bench: Bench) -> dict[str, Any] | None:
    found: dict[str, Any] | None = bench.cluster.body["spec"].get("request")
    return found


def ask(bench: Bench, request_id: str = "r-1", *, spec: dict[str, Any] | None = None, **request: Any) -> None:
    """Somebody writes the request into the spec, as `kubectl certwright renew` does."""
    generation = bench.cluster.body["metadata"]["generation"] + 1
    wanted = {"id": request_id, "action": "Renew", "requestedBy": "alice", **request}
    bench.write(metadata={"generation": generation}, request=wanted, **(spec or {}))


def withdraw(bench: Bench, **spec: Any) -> None:
    bench.write(metadata={"generation": bench.cluster.body["metadata"]["generation"] + 1}, **spec)


def last(bench: Bench) -> RequestStatus:
    return bench.status.requests[-1]


async def test_a_requested_renewal_is_done_once_recorded_and_removed_from_the_spec(bench: Bench) -> None:
    await bench.run(60)
    ask(bench)
    await bench.run(60)
    assert (len(bench.ca.orders), bench.status.revision) == (2, 2)
    entry = last(bench)
    assert (entry.id, entry.action, entry.requested_by, entry.state) == ("r-1", "Renew", "alice", "Succeeded")
    assert "revision 2" in entry.message
    assert entry.started_time is not None
    assert entry.finished_time is not None
    assert spec_request(bench) is None
    assert bench.events[2:] == ["RequestBegun", "Issuing", "Issued", "RequestSucceeded"]
    assert "(Requested): alice requested a renewal (request r-1)." in bench.messages["Issuing"]
    assert (bench.condition().status, bench.condition(ISSUING).reason) == ("True", "NothingToDo")
    await bench.run(DAY)
    assert len(bench.ca.orders) == 2


async def test_the_certificate_stays_ready_while_it_is_renewed_on_request(bench: Bench) -> None:
    await bench.run(60)
    bench.dns.hidden = True
    ask(bench)
    await bench.run(30)
    assert (bench.condition().status, bench.condition().reason) == ("True", "Renewing")
    assert last(bench).state == "Running"


async def test_a_request_at_creation_is_served_by_the_first_certificate(bench: Bench) -> None:
    ask(bench)
    await bench.run(60)
    assert (len(bench.ca.orders), last(bench).state) == (1, "Succeeded")


async def test_a_request_during_an_order_is_served_by_it(bench: Bench) -> None:
    bench.dns.hidden = True
    await bench.run(10)
    ask(bench)
    await bench.run(10)
    bench.dns.hidden = False
    await bench.run(600)
    assert (len(bench.ca.orders), last(bench).state, spec_request(bench)) == (1, "Succeeded", None)


async def test_a_request_waits_for_an_issuer_that_is_not_ready(bench: Bench) -> None:
    await bench.run(60)
    bench.registry.set_not_ready(CA, "its CA is down")
    ask(bench)
    await bench.run(600)
    assert (last(bench).state, bench.condition(ISSUING).reason) == ("Running", "IssuerNotReady")
    bench.ready()
    await bench.run(600)
    assert last(bench).state == "Succeeded"


async def test_a_request_that_nothing_comes_of_in_a_day_is_given_up(bench: Bench) -> None:
    await bench.run(60)
    bench.registry.set_not_ready(CA, "its CA is down")
    ask(bench)
    await bench.run(PATIENCE.total_seconds() + 600)
    assert (last(bench).state, spec_request(bench)) == ("Failed", None)
    assert "its CA is down" in last(bench).message
    assert bench.condition().status == "True"


async def test_a_failed_attempt_ends_the_request_and_keeps_the_certificate(bench: Bench) -> None:
    await bench.run(60)
    bench.ca.verdict = "invalid"
    ask(bench)
    await bench.run(600)
    assert (last(bench).state, spec_request(bench)) == ("Failed", None)
    assert "no TXT record" in last(bench).message
    assert (len(bench.ca.orders), bench.condition().status, bench.condition().reason) == (2, "True", "Ready")
    assert bench.dns.records == set()
    await bench.run(5 * DAY)
    assert len(bench.ca.orders) == 2, "the request is tried again by itself"


async def test_a_request_tries_at_once_what_waits_after_a_failure(bench: Bench) -> None:
    bench.ca.verdict = "invalid"
    await bench.run(3 * DAY)
    orders = len(bench.ca.orders)
    bench.ca.verdict = "ready"
    ask(bench)
    await bench.run(60)
    assert (len(bench.ca.orders), last(bench).state) == (orders + 1, "Succeeded")


async def test_requests_count_within_the_budget_of_orders(bench: Bench) -> None:
    await bench.run(60)
    for number in range(8):
        ask(bench, f"r-{number}")
        await bench.run(120)
    assert len(bench.ca.orders) == LIMITS[0][0]
    assert (last(bench).state, bench.condition(ISSUING).reason) == ("Running", "OrderedTooOften")
    assert bench.condition().status == "True"


async def test_a_request_that_is_written_back_is_told_and_not_repeated(bench: Bench) -> None:
    await bench.run(60)
    ask(bench)
    await bench.run(60)
    for _ in range(3):
        ask(bench)
        await bench.run(600)
        bench.restart()
        await bench.run(2 * 3600)
    assert len(bench.ca.orders) == 2
    assert bench.events.count("RequestRepeated") == 1
    assert spec_request(bench) is not None, "the operator fights with GitOps"
    assert last(bench).state == "Succeeded"
    assert "written to the spec again" in last(bench).message
    ask(bench, "r-2")
    await bench.run(600)
    assert (len(bench.ca.orders), last(bench).id, last(bench).state) == (3, "r-2", "Succeeded")


async def test_a_request_that_is_written_back_for_ever_is_not_repeated_however_many_others_there_are(
    bench: Bench,
) -> None:
    """Git has an old request, and people make new ones: the status keeps eight."""
    await bench.run(60)
    ask(bench, "from-git")
    await bench.run(60)
    for number in range(12):
        ask(bench, "from-git")
        await bench.run(60)
        ask(bench, f"r-{number}")
        await bench.run(DAY / 2)
    ask(bench, "from-git")
    await bench.run(DAY)
    restarted = len(bench.ca.orders)
    bench.restart()
    await bench.run(60)
    assert len(bench.ca.orders) == restarted == 14
    assert len(bench.status.requests) == 8
    assert [entry.id for entry in bench.status.requests].count("from-git") == 1
    assert bench.events.count("RequestRepeated") == 1


async def test_a_request_that_is_written_back_days_later_is_not_repeated_by_another_process(bench: Bench) -> None:
    await bench.run(60)
    ask(bench)
    await bench.run(DAY)
    bench.restart()
    ask(bench)
    await bench.run(DAY)
    assert (len(bench.ca.orders), bench.events.count("RequestRepeated")) == (2, 1)


@pytest.mark.parametrize("forged", [[], [{"id": "r-1", "action": "Renew", "state": "Running"}]])
async def test_a_forged_record_does_not_repeat_a_request_while_the_process_lives(bench: Bench, forged: Any) -> None:
    await bench.run(60)
    ask(bench)
    await bench.run(60)
    for _ in range(20):
        bench.cluster.body["status"]["requests"] = forged
        ask(bench)
        await bench.run(60)
    assert len(bench.ca.orders) == 2
    assert [entry.state for entry in bench.status.requests] == ["Succeeded"]


async def test_a_forged_record_costs_no_more_than_the_budget_over_restarts(bench: Bench) -> None:
    await bench.run(60)
    for _ in range(30):
        bench.restart()
        bench.cluster.body["status"]["requests"] = []
        ask(bench)
        await bench.run(60)
    assert len(bench.ca.orders) <= LIMITS[0][0]


async def test_a_status_alone_starts_nothing(bench: Bench) -> None:
    await bench.run(60)
    bench.cluster.body["status"]["requests"] = [{"id": "x", "action": "Renew", "state": "Running", "fromRevision": 9}]
    bench.restart()
    await bench.run(600)
    assert len(bench.ca.orders) == 1
    assert (last(bench).state, "Withdrawn" in last(bench).message) == ("Failed", True)


async def test_removing_the_request_withdraws_it(bench: Bench) -> None:
    await bench.run(60)
    bench.dns.hidden = True
    ask(bench)
    await bench.run(20)
    withdraw(bench)
    await bench.run(60)
    assert (last(bench).state, bench.condition().reason) == ("Failed", "Ready")
    assert "removed from the spec" in last(bench).message
    assert (bench.dns.records, bench.finalizers, bench.status.order) == (set(), [], None)


async def test_a_withdrawn_request_says_that_its_order_is_given_up_at_the_ca(bench: Bench) -> None:
    await bench.run(60)
    before = facts_of(bench.cluster)
    bench.dns.hidden = True
    ask(bench)
    await bench.run(20)
    withdraw(bench)
    bench.dns.hidden = False
    await bench.run(600)
    assert "The order that was placed at the CA is given up" in last(bench).message
    assert facts_of(bench.cluster).leaf == before.leaf
    assert len(bench.ca.orders) == 2


async def test_a_withdrawn_request_leaves_an_order_that_is_needed_anyway(bench: Bench) -> None:
    await bench.run(60)
    bench.dns.hidden = True
    ask(bench, spec={"dnsNames": ["b.example.test"]})
    await bench.run(20)
    withdraw(bench, dnsNames=["b.example.test"])
    await bench.run(20)
    assert "The order at the CA goes on" in last(bench).message
    bench.dns.hidden = False
    await bench.run(600)
    assert len(bench.ca.orders) == 2
    assert bench.condition().status == "True"


async def test_a_request_that_is_withdrawn_too_late_is_on_record_as_done(bench: Bench) -> None:
    """The certificate was stored, and its record not written yet, when the request was removed."""
    await bench.run(60)
    bench.cluster.body["status"]["requests"] = [
        {"id": "r-1", "action": "Renew", "state": "Running", "fromRevision": 0, "startedTime": bench.now.isoformat()}
    ]
    bench.restart()
    await bench.run(60)
    assert (last(bench).state, "revision 1" in last(bench).message) == ("Succeeded", True)
    assert len(bench.ca.orders) == 1


@pytest.mark.parametrize("before", [True, False])
async def test_a_request_that_is_cancelled_before_it_begins_costs_nothing(bench: Bench, *, before: bool) -> None:
    await bench.run(60)
    ask(bench, notBefore=(bench.now + dt.timedelta(hours=1)).isoformat())
    if not before:
        await bench.run(600)
    withdraw(bench)
    await bench.run(2 * 3600)
    assert (len(bench.ca.orders), bench.status.requests) == (1, ())


async def test_a_newer_request_takes_the_place_of_one_that_runs_and_shares_its_order(bench: Bench) -> None:
    await bench.run(60)
    bench.dns.hidden = True
    ask(bench, "r-1")
    await bench.run(20)
    ask(bench, "r-2", requestedBy="bob")
    await bench.run(20)
    bench.dns.hidden = False
    await bench.run(600)
    assert [(one.id, one.state) for one in bench.status.requests] == [("r-1", "Failed"), ("r-2", "Succeeded")]
    assert "request r-2 took its place" in bench.status.requests[0].message
    assert len(bench.ca.orders) == 2


async def test_who_asked_cannot_hide_what_an_event_says(bench: Bench) -> None:
    await bench.run(60)
    ask(bench, requestedBy="alice\u202e\u2066 of \u200bteam\u2028b")
    await bench.run(60)
    assert last(bench).requested_by == "alice of team b"
    assert "request r-1 of alice of team b for a renewal" in bench.messages["RequestSucceeded"]


async def test_the_last_eight_requests_are_kept(bench: Bench) -> None:
    await bench.run(60)
    for number in range(11):
        ask(bench, f"r-{number}")
        await bench.run(DAY / 2)
    assert [one.id for one in bench.status.requests] == [f"r-{number}" for number in range(3, 11)]


async def test_a_request_begins_at_its_time(bench: Bench) -> None:
    await bench.run(60)
    ask(bench, notBefore=(bench.now + dt.timedelta(hours=3)).isoformat())
    await bench.run(2.9 * 3600)
    assert (len(bench.ca.orders), bench.status.requests) == (1, ())
    await bench.run(600)
    assert (len(bench.ca.orders), last(bench).state) == (2, "Succeeded")


async def test_a_request_that_the_secret_cannot_take_is_refused(bench: Bench, kube_api: FakeKubeApi) -> None:
    await bench.run(60)
    secret = copy.deepcopy(kube_api.secrets["team", "web-tls"]) | {"immutable": True}
    bench.take_secret(SecretFacts.of(kube_api.put(secret)))
    ask(bench)
    await bench.run(60)
    assert (last(bench).state, len(bench.ca.orders), spec_request(bench)) == ("Refused", 1, None)
    assert "immutable" in last(bench).message
    assert bench.condition().status == "True"


async def test_an_action_that_this_version_does_not_know_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certwright.certificates.plan_requests.ACTIONS", {})
    await bench.run(60)
    ask(bench)
    await bench.run(60)
    assert (last(bench).state, len(bench.ca.orders)) == ("Refused", 1)
    assert "does not know the action Renew" in last(bench).message


@pytest.mark.parametrize("verb", ["apply_status", "take_out"])
async def test_a_record_that_cannot_be_written_is_no_busy_loop_and_holds_up_nothing(bench: Bench, verb: str) -> None:
    await bench.run(60)
    ask(bench)
    bench.cluster.failing = {verb}
    before = bench.passes
    await bench.run(600)
    assert bench.passes - before < 70
    assert len(bench.ca.orders) == (1 if verb == "apply_status" else 2)
    bench.cluster.failing = set()
    await bench.run(900)
    assert (last(bench).state, spec_request(bench), len(bench.ca.orders)) == ("Succeeded", None, 2)


# Paused


async def test_nothing_is_ordered_or_written_while_paused(bench: Bench, kube_api: FakeKubeApi) -> None:
    await bench.run(60)
    secrets = copy.deepcopy(kube_api.secrets)
    withdraw(bench, paused=True, secretTemplate={"labels": {"team": "x"}})
    await bench.run(100 * DAY)
    assert (len(bench.ca.orders), kube_api.secrets) == (1, secrets)
    assert bench.events[2:] == ["Paused", "RenewalPaused", "RenewalPaused", "RenewalPaused"], (
        "when the renewal is due, a day before the end, and at the end"
    )
    assert bench.condition().status == "False"
    withdraw(bench)
    await bench.run(600)
    assert (len(bench.ca.orders), bench.condition().status) == (2, "True")
    assert "Resumed" in bench.events


async def test_the_condition_says_since_when_it_is_paused_and_goes_away(bench: Bench) -> None:
    await bench.run(60)
    withdraw(bench, paused=True)
    since = bench.now
    await bench.run(2 * DAY)
    paused = find_condition(bench.status.conditions, PAUSED)
    assert paused is not None
    assert (paused.status, paused.last_transition_time) == ("True", since.replace(microsecond=0))
    assert (bench.condition().status, bench.condition().reason) == ("True", "Paused")
    withdraw(bench)
    await bench.run(60)
    assert find_condition(bench.status.conditions, PAUSED) is None
    assert bench.condition().reason == "Ready"


async def test_an_order_that_is_open_stays_as_it_is_while_paused_and_goes_on(bench: Bench) -> None:
    bench.dns.hidden = True
    await bench.run(30)
    records, order = set(bench.dns.records), bench.status.order
    assert order is not None
    withdraw(bench, paused=True)
    bench.dns.hidden = False
    await bench.run(DAY)
    assert (bench.dns.records, bench.secret_names & {"web-tls"}) == (records, set())
    assert bench.status.order is not None
    assert bench.status.order.url == order.url
    withdraw(bench)
    await bench.run(600)
    assert (len(bench.ca.orders), bench.condition().status, bench.dns.records) == (1, "True", set())


async def test_a_request_while_paused_is_refused_with_what_to_do(bench: Bench) -> None:
    await bench.run(60)
    ask(bench, spec={"paused": True})
    await bench.run(600)
    assert (last(bench).state, spec_request(bench), len(bench.ca.orders)) == ("Refused", None, 1)
    assert "kubectl certwright resume" in last(bench).message


async def test_a_paused_certificate_that_is_deleted_is_let_go(bench: Bench) -> None:
    bench.dns.hidden = True
    await bench.run(30)
    withdraw(bench, paused=True)
    await bench.run(30)
    assert bench.dns.records
    bench.write(metadata={"deletionTimestamp": bench.now.isoformat()}, paused=True)
    await bench.run(60)
    assert (bench.dns.records, bench.finalizers) == (set(), [])


# kill -9


@pytest.mark.parametrize("after", [False, True])
async def test_a_process_that_is_killed_at_any_write_of_a_request_repeats_nothing(
    build: Build, now: dt.datetime, *, after: bool
) -> None:
    at, finished = 0, False
    while not finished:
        at += 1
        assert at < 40
        bench = Bench(build, FakeKubeApi(), now)
        bench.write()
        await bench.run(60)
        ask(bench)
        cluster = bench.cluster
        bench.cluster = DyingCluster(cluster, at, after=after)  # type: ignore[assignment]  # it stands in front of it
        body = copy.deepcopy(cluster.body)
        bench.restart(late=body)
        bench.secrets.put({"namespace": "team", "name": "web-tls", "resourceVersion": "1"}, facts_of(cluster))
        try:
            await bench.run(120)
            finished = True
        except Killed:
            pass
        bench.cluster = cluster
        bench.restart()
        bench.secrets.put({"namespace": "team", "name": "web-tls", "resourceVersion": "1"}, facts_of(cluster))
        await bench.run(900)
        assert (last(bench).state, spec_request(bench)) == ("Succeeded", None), at
        assert [one.id for one in bench.status.requests] == ["r-1"], at
        assert len(bench.ca.orders) <= 3, f"more than one order too many, at write {at}"
        assert bench.status.revision == 2, f"issued twice, at write {at}"
        assert (bench.dns.records, bench.finalizers, bench.secret_names) == (set(), [], {"web-tls"}), at
    assert at > 8


def facts_of(cluster: FakeCluster) -> SecretFacts:
    return SecretFacts.of(cluster.secrets.secrets["team", "web-tls"])
