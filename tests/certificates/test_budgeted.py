"""The limits that a CA publishes, as one Certificate meets them: nothing is sent that would be refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import Identifier, OrderPurpose
from certwright.acme.budget import LATEST
from certwright.certificates.order.applicant import applicant
from certwright.certificates.seal import IssuanceSeals
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.manifest import tls_secret
from certwright.issuers.budgets import Applicant
from certwright.issuers.rate_limits import Asker
from certwright.issuers.waiting_room import Priority
from certwright.pki import private_key_to_pem
from certwright.resources import ISSUING
from tests.fakes.operator import KEY, SERVER

from .bench import WEB, Bench

if TYPE_CHECKING:
    from certwright.acme import AccountKey
    from certwright.certificates.observation import Observation
    from certwright.issuers.budgets import AccountBudget
    from certwright.resources import Certificate
    from tests.fakes.operator import Build, FakeKubeApi

LIMITS = {
    "ordersPerAccount": {"count": 20, "period": "3h"},
    "certificatesPerRegisteredDomain": {"count": 2, "period": "48h"},
    "certificatesPerExactSet": {"count": 5, "period": "168h"},
    "failedValidations": {"count": 2, "period": "1h"},
}
DAY = dt.timedelta(days=1)


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    bench = Bench(build, kube_api, now)
    bench.issuer_spec = {"rateLimits": LIMITS}
    bench.ready()
    bench.write()
    return bench


def budget(bench: Bench) -> AccountBudget:
    issuer = bench.registry.ready(next(iter(bench.registry._ready)))
    assert issuer is not None
    return issuer.budget


def others_order(bench: Bench, number: int, domain: str = "example.test") -> None:
    """Another Certificate obtains as many certificates."""
    for at in range(number):
        names = (Identifier.dns(f"other{at}.{domain}"),)
        other = Applicant("elsewhere", f"uid-{at}", names, OrderPurpose.NEW, Priority.FIRST)
        budget(bench).place(other)
        budget(bench).opened(other, f"https://ca.example.test/order/{at}")
        budget(bench).ca.finalized(other.uid)


def the_issued(build: Build, key: AccountKey | None, certificate: Certificate, **chain: Any) -> SecretFacts:
    """The Secret as the operator writes it, sealed by an account if there is one."""
    made = build.ca.chain(certificate.spec.dns_names, **chain)
    seal = None if key is None else IssuanceSeals(key).of(made.leaf, SERVER)
    manifest = tls_secret(certificate, made, private_key_to_pem(KEY), server=SERVER, seal=seal)
    manifest["metadata"] |= {"uid": "uid-secret", "resourceVersion": "7"}
    return SecretFacts.of(manifest)


async def test_an_order_that_the_ca_would_refuse_is_not_sent_and_the_condition_says_which_limit_and_when(
    bench: Bench,
) -> None:
    others_order(bench, 2)
    asked = len(bench.ca.orders)
    result = await bench.look()
    assert len(bench.ca.orders) == asked == 0
    for condition in (bench.condition(), bench.condition(ISSUING)):
        assert (condition.status, condition.reason) == ("False", "OrderLimitReached")
    message = bench.condition().message
    assert "the number of new certificates for example.test is used up (2 of 2 in 2 days). Nothing was sent." in message
    at = bench.now + DAY + dt.timedelta(seconds=LATEST)
    assert f"The order is placed at about {at:%Y-%m-%dT%H:%M:%SZ}." in message
    assert bench.status.next_attempt_time == at
    assert result.after is not None
    await bench.run(DAY.total_seconds() - 1)
    assert not bench.ca.orders
    await bench.run(120)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 1)
    assert bench.events.count("OrderLimitReached") == 1
    assert bench.status.next_attempt_time is None


async def test_what_it_obtains_itself_is_counted_once(bench: Bench) -> None:
    await bench.run(120)
    assert bench.condition().status == "True"
    shown = budget(bench).ca.waiting()
    assert shown["certificatesPerRegisteredDomain"].used == 0.5
    assert shown["ordersPerAccount"].used == 0.05
    assert shown["certificatesPerExactSet"].used == 0.2


async def test_failed_validations_are_counted_for_their_names(bench: Bench) -> None:
    bench.ca.verdict = "invalid"
    await bench.run(30)
    assert budget(bench).ca.waiting()["failedValidations"].used == 0.5
    assert bench.status.failed_attempts == 1
    assert bench.status.next_attempt_time is not None
    assert bench.status.next_attempt_time > bench.now - dt.timedelta(seconds=30)


async def test_a_new_process_counts_what_sealed_secrets_show(bench: Bench) -> None:
    await bench.run(120)
    bench.budgets = bench.full_budgets()
    bench.ready()
    bench.restart()
    assert bench.certificates.store.get("team", "web") is not None
    facts = SecretFacts.of(bench.cluster.secrets.secrets["team", "web-tls"])
    bench.take_secret(facts)
    await bench.look()
    bench.write("a.example.test", "b.example.test")
    bench.now += dt.timedelta(minutes=1)
    await bench.run(60)
    assert bench.condition().status == "True"
    other = Applicant("elsewhere", "x", (Identifier.dns("x.example.test"),), OrderPurpose.NEW, Priority.FIRST)
    assert budget(bench).ask(other) is not None, "one before the restart, one after it"


async def test_whoever_can_write_secrets_uses_up_nobodys_limits(bench: Bench, build: Build) -> None:
    forged = build.certificate("victim.example.test", "x.example.test", secretName="forged")
    for seal in (None, bench.ca.key):
        facts = the_issued(build, seal, forged, not_before=bench.now)
        bench.take_secret(facts if seal is None else SecretFacts(**{**vars(facts), "seal": "x" * 43}))
    await bench.run(120)
    assert bench.condition().status == "True"
    assert budget(bench).ca.waiting()["certificatesPerRegisteredDomain"].used == 0.5, "its own alone"


def test_a_renewal_that_the_ca_suggests_is_exempt_once_its_window_has_begun(
    bench: Bench, build: Build, now: dt.datetime
) -> None:
    certificate = build.certificate()
    issuer = bench.registry.ready(next(iter(bench.registry._ready)))
    secret = the_issued(build, bench.ca.key, certificate)
    known = build.observation(certificate, issuer=issuer, secret=secret, seen_at=now).memory.suggestion
    assert known is not None

    def purpose(**changes: Any) -> OrderPurpose:
        window = {"start": now - DAY, "end": now + DAY, "at": now, "confirmed": True, **changes}
        suggestion = replace(known, **window)
        return applicant(
            build.observation(certificate, issuer=issuer, secret=secret, seen_at=now, suggestion=suggestion)
        ).purpose

    assert purpose() is OrderPurpose.RENEWAL_INFO
    assert purpose(start=now + DAY / 2) is OrderPurpose.SAME_NAMES
    assert purpose(confirmed=False) is OrderPurpose.SAME_NAMES, "anybody could have written that into the status"


def test_a_renewal_for_the_same_names_is_exempt_if_this_account_obtained_the_certificate(
    bench: Bench, build: Build
) -> None:
    certificate = build.certificate()
    issuer = bench.registry.ready(next(iter(bench.registry._ready)))
    observation = build.observation(certificate, issuer=issuer)

    def purpose(secret: SecretFacts | None, **changes: Any) -> OrderPurpose:
        return applicant(build.observation(certificate, issuer=issuer, secret=secret, **changes)).purpose

    assert applicant(observation).purpose is OrderPurpose.NEW
    assert purpose(the_issued(build, bench.ca.key, certificate)) is OrderPurpose.SAME_NAMES
    assert purpose(the_issued(build, None, certificate)) is OrderPurpose.NEW, "anybody could have written it"
    assert purpose(the_issued(build, type(bench.ca.key).generate(), certificate)) is OrderPurpose.NEW
    others = the_issued(build, bench.ca.key, build.certificate("a.example.test", "b.example.test"))
    assert purpose(others) is OrderPurpose.NEW, "it is for other names"


def renewal_time(observation: Observation) -> dt.datetime:
    assert observation.renew_at is not None
    return observation.renew_at


def test_renewals_first_then_first_certificates_then_retries(bench: Bench, build: Build) -> None:
    certificate = build.certificate()
    sealed = the_issued(build, bench.ca.key, certificate)
    renewal = applicant(build.observation(certificate, secret=sealed))
    assert sealed.certificate is not None
    assert (renewal.priority, renewal.expires) == (Priority.RENEWAL, sealed.certificate.not_after)
    due = renewal_time(build.observation(certificate, secret=sealed))
    early, late = (replace(build.observation(certificate, secret=sealed), seen_at=due + one) for one in (-DAY, DAY))
    assert applicant(early).priority is Priority.FIRST, "somebody asked for it"
    assert applicant(late).priority is Priority.RENEWAL
    assert applicant(build.observation(certificate)).priority is Priority.FIRST
    failed = build.observation(certificate, secret=sealed).with_status(failed_attempts=1)
    assert applicant(failed).priority is Priority.RETRY


async def test_a_failed_attempt_is_forgotten_when_something_else_is_to_be_ordered(bench: Bench) -> None:
    bench.ca.verdict = "invalid"
    await bench.run(3 * 3600)
    assert bench.status.failed_attempts >= 3
    bench.ca.verdict = "ready"
    bench.write("b.example.test", metadata={"generation": 2, "resourceVersion": "900"})
    await bench.run(240)
    assert (bench.condition().status, bench.status.failed_attempts) == ("True", 0)


async def test_a_changed_issuer_is_tried_at_once_and_one_that_was_only_loaded_again_is_not(bench: Bench) -> None:
    bench.issuer_spec = {}
    bench.ready()
    bench.ca.verdict = "invalid"
    await bench.run(600)
    failed, orders = bench.status.failed_attempts, len(bench.ca.orders)
    assert failed
    bench.restart()
    bench.loads = 0
    bench.ready()
    bench.reconciler.issuer_changed(WEB)
    await bench.look()
    assert (bench.status.failed_attempts, len(bench.ca.orders)) == (failed, orders), "the same issuer, after a restart"
    bench.ca.verdict = "ready"
    bench.ready()
    bench.reconciler.issuer_changed(WEB)
    await bench.run(120)
    assert (bench.condition().status, bench.status.failed_attempts) == ("True", 0)


async def test_who_has_no_room_keeps_nobody_else_from_their_turn_after_a_rate_limit(bench: Bench) -> None:
    issuer = bench.registry.ready(next(iter(bench.registry._ready)))
    assert issuer is not None
    issuer.limits.orders.refused(bench.now + dt.timedelta(seconds=30), bench.now, "slow down")
    others_order(bench, 2)
    bench.now += dt.timedelta(seconds=40)
    await bench.look()
    assert bench.condition(ISSUING).reason == "OrderLimitReached"
    assert issuer.limits.orders.enter(Asker("elsewhere", "uid-next"), bench.now) is None
