"""Whole passes over a Certificate with an API server, a CA and a DNS of a few lines: what is left, what is said."""

from __future__ import annotations

import base64
import copy
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from certwright import acme
from certwright.certificates.secret.facts import SecretFacts
from certwright.issuing import is_self_issued
from certwright.pki import parse_chain
from certwright.resources import FINALIZER, ISSUING, READY
from certwright.runtime.leadership import Leadership, NotLeading, boot_clock
from certwright.runtime.result import Result
from tests.fakes.acme_client import PLACE
from tests.fakes.operator import Issuing
from tests.fakes.solvers import FakeDns

from .bench import CA, WEB, Bench

if TYPE_CHECKING:
    from tests.fakes.operator import Build, FakeKubeApi


async def test_a_certificate_is_issued_and_nothing_is_left_outside(bench: Bench) -> None:
    bench.write("a.example.test", "*.a.example.test")
    await bench.run(60)
    assert (bench.condition().status, bench.condition(ISSUING).reason) == ("True", "NothingToDo")
    assert bench.events == ["Issuing", "Issued"]
    assert (bench.dns.records, bench.finalizers, bench.secret_names) == (set(), [], {"web-tls"})
    assert (bench.status.revision, bench.status.order, bench.status.failed_attempts) == (1, None, 0)
    assert len(bench.ca.orders) == 1
    assert not bench.ledger._holders


async def test_the_key_that_is_kept_for_ever_is_kept_once(bench: Bench) -> None:
    bench.write(privateKey={"rotationPolicy": "Never"})
    await bench.run(60)
    assert bench.condition().status == "True"
    assert bench.secret_names == {"web-tls"}, "a copy of the private key stays behind"


async def test_a_failed_validation_waits_for_its_time(bench: Bench) -> None:
    bench.ca.verdict = "invalid"
    await bench.run(30)
    assert (bench.condition(ISSUING).status, bench.condition().reason) == ("False", "ValidationFailed")
    assert "no TXT record" in bench.condition().message
    assert (bench.dns.records, bench.finalizers) == (set(), [])
    assert bench.status.order is not None
    assert bench.status.order.authorizations[0].state == "invalid"
    await bench.run(2 * 86400)
    assert len(bench.ca.orders) == 5, "after 0, 1, 11, 111 minutes and a day more"
    bench.ca.verdict = "ready"
    await bench.run(86400)
    assert bench.condition().status == "True"
    assert bench.status.failed_attempts == 0


async def test_a_restart_says_what_was_said_before(bench: Bench) -> None:
    bench.ca.verdict = "invalid"
    await bench.run(30)
    before = bench.cluster.body["metadata"]["resourceVersion"]
    bench.restart()
    await bench.look()
    assert bench.condition().reason == "ValidationFailed"
    assert bench.cluster.body["metadata"]["resourceVersion"] == before, "nothing new, and yet the status is written"


async def test_a_certificate_of_a_ca_whose_clock_is_ahead_is_kept_and_waited_for(bench: Bench) -> None:
    bench.ca.begins = dt.timedelta(minutes=15)
    began = bench.now
    await bench.run(60)
    assert (bench.condition().status, bench.condition(ISSUING).reason) == ("False", "WaitingForStart")
    assert "valid only from" in (bench.condition(ISSUING).message or "")
    assert "web-tls" not in bench.secret_names
    assert bench.dns.records, "the order is not over"
    bench.restart()
    await bench.run(3600)
    assert bench.condition().status == "True"
    assert (len(bench.ca.orders), bench.status.failed_attempts, bench.events.count("Issued")) == (1, 0, 1)
    assert bench.secret_names == {"web-tls"}
    assert bench.now - began > dt.timedelta(minutes=10)


async def test_a_certificate_that_starts_much_later_is_refused(bench: Bench) -> None:
    bench.ca.begins = dt.timedelta(hours=2)
    await bench.run(30)
    assert bench.condition(ISSUING).reason == "CertificateRefused"
    assert bench.status.failed_attempts == 1


async def test_a_secret_has_its_chain_in_order_and_nothing_else(bench: Bench, kube_api: FakeKubeApi) -> None:
    stranger = Issuing().chain().pem
    bench.ca.changed = lambda chain: b"subject=/CN=x\r\n" + _reversed(chain) + stranger + chain + b"\0"
    await bench.run(60)
    data = kube_api.secrets["team", "web-tls"]["data"]
    written = base64.b64decode(data["tls.crt"])
    parsed = parse_chain(written)
    assert [len(parsed.issuers), parsed.pem] == [1, written]
    assert is_self_issued(parsed.issuers[0])
    assert data["ca.crt"] == base64.b64encode(parsed.root_pem or b"").decode()
    assert len(bench.ca.orders) == 1


def _reversed(chain: bytes) -> bytes:
    end = b"-----END CERTIFICATE-----\n"
    return b"".join(block + end for block in reversed(chain.split(end)[:-1]))


async def test_a_ca_of_two_minds_about_an_order_is_asked_again(bench: Bench) -> None:
    bench.ca.not_ready = 2
    await bench.run(60)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1
    assert "OrderNotReady" in bench.events


async def test_an_order_whose_finalizer_could_not_be_held_presents_nothing_before_it_is(bench: Bench) -> None:
    bench.cluster.failing = {"add_finalizer"}
    await bench.run(60)
    assert not bench.dns.records
    bench.cluster.failing = set()
    bench.dns.hidden = True
    await bench.run(300)
    assert bench.dns.records
    assert bench.finalizers == [FINALIZER]


async def test_corrected_credentials_are_used_without_a_restart(bench: Bench) -> None:
    broken, good = FakeDns(broken={"present", "clean_up"}), bench.dns
    bench.dns = broken
    await bench.run(60)
    assert bench.condition().reason == "DNSServerUnreachable"
    bench.dns = good
    await bench.run(600)
    assert bench.condition().status == "True"
    assert not good.records


async def test_a_changed_issuer_may_put_the_records_elsewhere(bench: Bench) -> None:
    hidden, good = FakeDns(hidden=True), bench.dns
    bench.dns = hidden
    await bench.run(20)
    assert bench.condition().reason == "WaitingForDNS"
    bench.dns = good
    bench.reconciler.issuer_changed(WEB)
    await bench.run(60)
    assert bench.condition().status == "True"


async def test_a_mistyped_name_can_be_taken_out_of_the_spec(bench: Bench) -> None:
    bench.dns.broken = {"present", "clean_up"}
    bench.write("a.example.test", "typo.exmaple.test")
    await bench.run(60)
    bench.write(metadata={"generation": 2})
    await bench.run(30)
    assert bench.finalizers == [FINALIZER], "it is not given up at once"
    await bench.run(600)
    assert "LeftBehind" in bench.events
    assert len(bench.ca.orders) == 2
    bench.dns.broken = set()
    await bench.run(600)
    assert bench.condition().status == "True"


async def test_a_clean_up_that_fails_is_tried_again_at_growing_pauses(bench: Bench) -> None:
    bench.cluster.failing = {"delete_secret"}
    await bench.run(3600)
    assert bench.condition().status == "True"
    assert bench.passes < 40
    bench.cluster.failing = set()
    await bench.run(600)
    assert (bench.status.order, bench.secret_names) == (None, {"web-tls"})


async def test_a_finalizer_that_cannot_be_taken_off_just_now_is_no_busy_loop(bench: Bench) -> None:
    bench.cluster.failing = {"remove_finalizer"}
    await bench.run(600)
    assert bench.condition().status == "True"
    assert bench.finalizers == [FINALIZER]
    assert bench.passes < 40
    bench.cluster.failing = set()
    await bench.run(600)
    assert bench.finalizers == []


async def test_a_certificate_that_is_gone_when_it_is_let_go_is_no_failure(bench: Bench) -> None:
    bench.dns.hidden = True
    await bench.run(5)
    bench.write(metadata={"deletionTimestamp": bench.now.isoformat()})
    bench.cluster.gone = True
    await bench.run(60)
    assert bench.passes < 20
    assert bench.events == ["Issuing"]


async def test_metadata_that_is_taken_off_again_is_no_busy_loop(bench: Bench, build: Build) -> None:
    bench.cluster.secrets.put(build.strange_secret())
    bench.cluster.strips_metadata = True
    await bench.run(600)
    assert bench.condition(ISSUING).reason == "SecretContested"
    assert bench.cluster.secrets.calls.count("apply web-tls") < 20
    bench.cluster.strips_metadata = False
    await bench.run(2 * 3600)
    assert bench.condition(ISSUING).reason == "NothingToDo"
    assert bench.condition().status == "True"
    assert not bench.ca.orders


async def test_a_refusal_is_not_repeated_while_its_record_cannot_be_written(bench: Bench) -> None:
    async def refuse(*_: Any, **__: Any) -> acme.Order:
        asked.append(bench.now)
        raise acme.RejectedIdentifier(acme.Problem(detail="no"), action="newOrder", url=PLACE, status=403)

    asked: list[dt.datetime] = []
    bench.ca.new_order = refuse  # type: ignore[method-assign]  # the CA changes its mind
    bench.cluster.failing = {"apply_status"}
    await bench.run(300)
    assert bench.passes > 1
    assert len(asked) <= 6, "a minute apart at least"


@pytest.mark.parametrize("reachable", [True, False])
async def test_deleting_in_the_middle_removes_the_records_or_says_which_stay(bench: Bench, *, reachable: bool) -> None:
    bench.dns.hidden = True
    await bench.run(5)
    assert bench.dns.records
    bench.dns.broken = set() if reachable else {"clean_up"}
    bench.write(metadata={"deletionTimestamp": bench.now.isoformat()})
    await bench.run(1200)
    assert bench.finalizers == []
    assert bool(bench.dns.records) != reachable
    assert ("LeftBehind" in bench.events) != reachable
    bench.reconciler.forget(WEB, "uid-web")
    assert not bench.reconciler._memories
    assert not bench.ledger._holders


async def test_a_restart_while_the_ca_validates_puts_the_proofs_in_place_again_and_answers_no_more(
    bench: Bench,
) -> None:
    bench.ca.undecided = True
    bench.write("a.example.test")
    await bench.run(1)
    assert len(bench.ca.proved) == 1
    bench.dns.records.clear()  # as with a responder that went with its process
    bench.restart()
    await bench.run(1)
    assert len(bench.dns.records) == 1
    bench.ca.undecided = False
    await bench.ca.answer_challenge(acme.Challenge("dns-01", "x", acme.ChallengeStatus.PENDING, "t"))
    await bench.run(60)
    assert len(bench.ca.orders) == 1
    assert bench.condition(READY).status == "True"
    assert bench.dns.records == set()


async def test_a_restart_in_the_middle_goes_on_with_the_same_order(bench: Bench) -> None:
    bench.dns.hidden = True
    await bench.run(5)
    bench.restart()
    bench.dns.hidden = False
    await bench.run(60)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1
    assert (bench.dns.records, bench.secret_names) == (set(), {"web-tls"})


async def test_a_new_leader_whose_watch_is_late_goes_on_with_the_same_order(bench: Bench) -> None:
    late = copy.deepcopy(bench.cluster.body)
    bench.dns.hidden = True
    await bench.run(5)
    bench.leadership = Leadership()
    bench.leadership.extend(boot_clock() + 3600)
    bench.restart(late=late)
    bench.dns.hidden = False
    await bench.run(60)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1
    assert (bench.dns.records, bench.secret_names) == (set(), {"web-tls"})


@pytest.mark.parametrize(("version", "is_read"), [(0, False), (1, True), (99, True)])
async def test_only_what_is_older_than_the_right_to_act_is_read_again(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime, version: int, *, is_read: bool
) -> None:
    bench = Bench(build, kube_api, now)
    bench.leadership = Leadership()
    bench.leadership.extend(boot_clock() + 3600)
    bench.restart()
    bench.write()
    bench.cluster.version = version
    bench.cluster.failing = {"read_custom"}
    await bench.run(1)
    assert (not bench.ca.orders) is is_read
    bench.cluster.failing = set()
    await bench.run(60)
    assert bench.condition().status == "True"


async def test_a_secret_that_the_leader_before_wrote_a_moment_ago_is_not_made_again(bench: Bench) -> None:
    """The watch of Secrets is late; that somebody has written to the Certificate since tells nothing of it."""
    await bench.run(60)
    secret = bench.cluster.secrets.secrets["team", "web-tls"]
    old = SecretFacts.of({**secret, "data": {}, "metadata": {**secret["metadata"], "resourceVersion": "1"}})
    bench.leadership = Leadership()
    bench.leadership.extend(boot_clock() + 3600)
    bench.restart()
    bench.cluster.version = 0
    bench.secrets.put({"namespace": "team", "name": "web-tls", "resourceVersion": "1"}, old)
    await bench.run(60)
    assert len(bench.ca.orders) == 1
    assert bench.condition().status == "True"


async def test_who_may_not_act_any_more_takes_no_step(bench: Bench) -> None:
    bench.dns.hidden = True
    bench.leadership = Leadership()
    bench.leadership.extend(boot_clock() + 3600)
    bench.restart()
    await bench.run(5)
    before = copy.deepcopy(bench.cluster.body)
    bench.leadership.end()
    bench.dns.hidden = False
    bench.now += dt.timedelta(seconds=60)
    with pytest.raises(NotLeading):
        await bench.look()
    assert bench.cluster.body == before


async def test_until_the_issuer_is_loaded_nothing_is_said(bench: Bench) -> None:
    bench.registry._views.clear()
    bench.registry._ready.clear()
    assert await bench.look() == Result.ON_EVENT
    assert "status" not in bench.cluster.body or not bench.cluster.body["status"]
    bench.registry.set_missing(CA)
    assert await bench.look() == Result.again_in(300)
    assert bench.condition().reason == "IssuerNotFound"
    bench.ready()
    bench.reconciler.issuer_changed(WEB)
    await bench.run(60)
    assert bench.condition().status == "True"


async def test_a_certificate_whose_deletion_the_watch_missed_is_forgotten(bench: Bench) -> None:
    bench.registry.set_not_ready(CA, "not yet")
    bench.cluster.gone = True
    assert await bench.look() == Result.ON_EVENT
    assert bench.certificates.get(WEB) is None
    assert not bench.reconciler._memories


async def test_a_certificate_made_anew_unseen_by_the_watch_takes_the_place_of_the_old_one(bench: Bench) -> None:
    bench.registry.set_not_ready(CA, "not yet")
    metadata = {**bench.cluster.body["metadata"], "uid": "uid-new", "resourceVersion": "99"}
    bench.cluster.gone, bench.cluster.successor = True, {**bench.cluster.body, "metadata": metadata}
    assert await bench.look() == Result.again_in(0)
    found = bench.certificates.get(WEB)
    assert found is not None
    assert found.metadata.uid == "uid-new"


async def test_a_write_that_hit_nothing_although_the_certificate_is_there_is_tried_later(bench: Bench) -> None:
    bench.registry.set_not_ready(CA, "not yet")
    bench.cluster.gone, bench.cluster.successor = True, bench.cluster.body
    assert ((await bench.look()).seconds or 0) > 0
    bench.cluster.failing.add("read_custom")
    assert ((await bench.look()).seconds or 0) > 0
    assert bench.certificates.get(WEB) is not None


async def test_the_status_says_when_the_next_look_at_an_order_is_due(bench: Bench) -> None:
    bench.dns.hidden = True
    await bench.run(20)
    order = bench.status.order
    assert order is not None
    looked_at = order.authorizations[0].last_look_time
    assert looked_at is not None
    assert order.next_look_time is not None
    assert order.next_look_time > looked_at


async def test_what_another_tool_made_of_the_earlier_certificate_is_named_when_it_goes_stale(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    await bench.run(60)
    assert "StaleEntries" not in bench.events
    secret = copy.deepcopy(kube_api.secrets["team", "web-tls"])
    secret["data"]["keystore.jks"] = base64.b64encode(b"made by a tool").decode()
    secret["metadata"]["managedFields"] = [
        {"manager": "keystore-maker", "fieldsV1": {"f:data": {"f:keystore.jks": {}}}}
    ]
    bench.take_secret(SecretFacts.of(kube_api.put(secret)))
    kube_api.kept = {"keystore.jks"}
    await bench.run(61 * 86400)
    assert bench.status.revision == 2
    assert bench.events.count("StaleEntries") == 1
    assert "keystore.jks, written by keystore-maker" in bench.messages["StaleEntries"]
