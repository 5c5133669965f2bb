"""Rehearsals: the renewal is tried at another issuer some days ahead, and nothing but its result is left of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright import acme
from certwright.certificates.plan import plan
from certwright.certificates.rehearsal_issuer import RehearsalIssuer
from certwright.certificates.rehearsal_steps import EndRehearsal
from certwright.certificates.secret.facts import SecretFacts
from certwright.issuers.allowed_domains import policy_for
from certwright.issuers.registry import IssuerView, ReadyIssuer
from certwright.resources import ISSUING, AllowedDomains, IssuerRef, RehearsalStatus
from certwright.runtime.key import Key
from tests.fakes.acme_client import PLACE, FakeAcmeClient
from tests.fakes.killing import Killed

from .bench import Bench

if TYPE_CHECKING:
    from tests.fakes.operator import Build, FakeKubeApi

DAY = dt.timedelta(days=1)
STAGING = Key("Issuer", "team", "staging")
REHEARSE = {"rehearse": {"issuerRef": {"name": "staging"}, "before": "72h"}}


class Rehearsed(Bench):
    """With a second issuer, at a CA of its own."""

    def __init__(self, build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> None:
        super().__init__(build, kube_api, now)
        self.staging = FakeAcmeClient(build, lambda: self.now)
        self.staging_is_ready()
        self.write(renewal=REHEARSE)

    def staging_is_ready(self) -> None:
        spec = self.build.issuer(server="https://staging.example.test/directory")
        client = cast("acme.Client", self.staging)
        self.registry.set_ready(ReadyIssuer(STAGING, "uid-s", 1, spec, client, f"{PLACE}/staging/1", "team"))

    @property
    def rehearsal(self) -> RehearsalStatus | None:
        return self.status.renewal.rehearsal if self.status.renewal is not None else None

    @property
    def secret(self) -> Any:
        return self.cluster.secrets.secrets["team", "web-tls"]


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Rehearsed:
    return Rehearsed(build, kube_api, now)


async def test_a_renewal_is_rehearsed_once_some_days_ahead_and_told(bench: Rehearsed) -> None:
    await bench.run(50 * 86400)
    assert (len(bench.staging.orders), bench.rehearsal) == (0, None)
    before, renewal_time = bench.secret, bench.status.renewal_time
    assert renewal_time is not None
    await bench.run((renewal_time - bench.now).total_seconds() - 3600)
    assert len(bench.staging.orders) == 1
    assert len(bench.ca.orders) == 1
    found = bench.rehearsal
    assert found is not None
    assert (found.state, found.issuer) == ("Succeeded", "Issuer team/staging")
    assert found.started_time >= renewal_time - 3 * DAY
    assert found.finished_time is not None
    assert bench.events == ["Issuing", "Issued", "Rehearsing", "RehearsalSucceeded"]
    assert bench.secret == before, "the Secret was touched"
    assert (bench.dns.records, bench.finalizers, bench.secret_names) == (set(), [], {"web-tls"})
    assert bench.status.order is None
    assert (bench.condition().status, bench.condition(ISSUING).reason) == ("True", "NothingToDo")
    assert bench.status.renewal_time == renewal_time
    await bench.run(2 * 3600)
    assert (len(bench.ca.orders), bench.status.revision) == (2, 2)
    assert len(bench.staging.orders) == 1
    await bench.run(60 * 86400)
    assert len(bench.staging.orders) == 2, "once for each renewal"


async def test_a_rehearsal_that_fails_counts_against_nothing(bench: Rehearsed) -> None:
    bench.staging.verdict = "invalid"
    await bench.run(50 * 86400)
    renewal_time = bench.status.renewal_time
    assert renewal_time is not None
    await bench.run((renewal_time - bench.now).total_seconds() - 60)
    assert bench.rehearsal is not None
    assert bench.rehearsal.state == "Failed"
    assert "no TXT record" in bench.rehearsal.message
    assert "its renewal are not affected" in bench.messages["RehearsalFailed"]
    assert bench.status.failed_attempts == 0
    assert bench.status.recent_orders == bench.status.recent_orders[:1]
    assert (bench.condition().status, bench.condition().reason) == ("True", "Ready")
    assert bench.condition(ISSUING).reason == "NothingToDo"
    assert (bench.dns.records, bench.finalizers, bench.status.order) == (set(), [], None)
    assert len(bench.staging.orders) == 1
    await bench.run(120)
    assert (bench.status.revision, len(bench.ca.orders)) == (2, 2)


async def test_an_issuer_that_is_missing_or_does_not_answer_fails_the_rehearsal_only(bench: Rehearsed) -> None:
    bench.registry.set_missing(STAGING)
    await bench.run(59 * 86400)
    assert bench.rehearsal is not None
    assert bench.rehearsal.state == "Failed"
    assert "Issuer team/staging does not exist" in bench.rehearsal.message
    await bench.run(5 * 86400)
    assert bench.status.revision == 2
    assert bench.rehearsal is not None
    bench.staging_is_ready()

    async def unreachable(*_: Any, **__: Any) -> Any:
        raise acme.TransportError("no route", host="staging.example.test")

    bench.staging.new_order = unreachable  # type: ignore[method-assign]
    await bench.run(59 * 86400)
    assert "no route" in bench.messages["RehearsalFailed"]
    assert bench.condition().status == "True"


async def test_a_rehearsal_goes_on_after_a_restart_and_leaves_nothing_behind(bench: Rehearsed) -> None:
    bench.staging.undecided = True
    await bench.run(50 * 86400)
    renewal_time = bench.status.renewal_time
    assert renewal_time is not None
    await bench.run((renewal_time - 3 * DAY - bench.now).total_seconds() + 60)
    assert bench.rehearsal is not None
    assert bench.rehearsal.state == "Running"
    assert bench.dns.records
    bench.restart()
    bench.take_secret(SecretFacts.of(bench.secret))
    bench.staging.undecided = False
    for url, order in bench.staging.orders.items():
        bench.staging.orders[url] = replace(order, status=acme.OrderStatus.READY)
    await bench.run(3600)
    found = bench.status.renewal
    assert found is not None
    assert found.rehearsal is not None
    assert found.rehearsal.state == "Succeeded"
    assert (bench.dns.records, bench.finalizers, bench.status.order) == (set(), [], None)
    assert len(bench.staging.orders) == 1


@pytest.mark.parametrize("verb", ["delete_secret", "remove_finalizer"])
async def test_a_result_outlives_a_kill_while_its_key_is_removed(bench: Rehearsed, verb: str) -> None:
    """The next process has another key, for which the certificate of the order that is left is not."""
    original = getattr(bench.cluster, verb)

    async def remove_and_die(*arguments: Any, **options: Any) -> Any:
        await original(*arguments, **options)
        if bench.staging.orders:
            setattr(bench.cluster, verb, original)
            raise Killed

    await bench.run(50 * 86400)
    setattr(bench.cluster, verb, remove_and_die)
    with pytest.raises(Killed):
        await bench.run(40 * 86400)
    bench.restart()
    bench.take_secret(SecretFacts.of(bench.secret))
    await bench.run(3600)
    assert bench.rehearsal is not None
    assert (bench.rehearsal.state, "RehearsalFailed" in bench.events) == ("Succeeded", False)
    assert (bench.dns.records, bench.finalizers, bench.status.order) == (set(), [], None)
    assert len(bench.staging.orders) == 1


async def test_a_rehearsal_that_never_ends_is_given_up_and_cleaned_up_after(bench: Rehearsed) -> None:
    bench.staging.undecided = True
    await bench.run(59 * 86400)
    assert bench.rehearsal is not None
    assert (bench.rehearsal.state, "two hours" in bench.rehearsal.message) == ("Failed", True)
    assert (bench.dns.records, bench.finalizers, bench.status.order) == (set(), [], None)


async def test_a_renewal_does_not_wait_for_its_rehearsal(bench: Rehearsed) -> None:
    bench.staging.undecided = True
    await bench.run(50 * 86400)
    renewal_time = bench.status.renewal_time
    assert renewal_time is not None
    await bench.run((renewal_time - 3 * DAY - bench.now).total_seconds() + 60)
    assert bench.dns.records
    bench.write(metadata={"generation": 2}, renewal=REHEARSE, renewBefore="1900h")
    await bench.run(600)
    assert (bench.status.revision, bench.condition().status) == (2, "True")
    assert (bench.dns.records, bench.finalizers, bench.status.order) == (set(), [], None)
    assert bench.rehearsal is not None
    assert (bench.rehearsal.state, bench.rehearsal.finished_time is not None) == ("Failed", True)
    assert "It was not done when the certificate is due for renewal" in bench.rehearsal.message
    assert bench.events.count("RehearsalFailed") == 1


def test_a_cluster_issuer_is_asked_for_nothing_that_the_namespace_may_not_have(build: Build, now: dt.datetime) -> None:
    certificate = build.certificate(renewal={"rehearse": {"issuerRef": {"name": "all", "kind": "ClusterIssuer"}}})
    facts = build.facts(certificate, not_before=now - 58 * DAY)
    reference = IssuerRef(name="all", kind="ClusterIssuer")
    key = Key("ClusterIssuer", "", "all")
    allowed = (AllowedDomains.model_validate({"namespaces": ["other"], "dnsNames": ["*.example.test"]}),)
    ready = ReadyIssuer(key, "uid", 1, build.issuer(), cast("Any", None), "https://a", "certwright", allowed=allowed)
    policy = policy_for(str(key), allowed, "team", None)
    observation = build.observation(
        certificate,
        secret=facts,
        seen_at=now,
        rehearsal_issuer=RehearsalIssuer(reference, key, IssuerView("ready"), ready, policy),
    )
    step = plan(observation, now)
    assert isinstance(step, EndRehearsal)
    assert "a.example.test" in step.why
