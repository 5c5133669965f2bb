"""Certificates with several issuers: who issues when the first does not work, and the way back."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright import acme
from certwright.certificates import budgeted
from certwright.certificates.reconciler import CertificateReconciler
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.steps.resting import AwaitRoom
from certwright.certificates.steps.start_order import StartOrder
from certwright.issuers.circuits import Circuits
from certwright.issuers.rate_limits import Asker
from certwright.issuers.registry import ReadyIssuer
from certwright.runtime.key import Key
from tests.certificates.bench import CA, WEB, Bench
from tests.fakes.acme_client import PLACE, FakeAcmeClient
from tests.fakes.killing import Killed, kill_after

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from tests.fakes.operator import Build, FakeKubeApi

OTHER = Key("ClusterIssuer", "", "other")
REFS = [{"name": "ca"}, {"name": "other", "kind": "ClusterIssuer"}]
OTHER_SERVER = "https://other.example.test/directory"
MINUTE, HOUR = 60.0, 3600.0


class TwoIssuers(Bench):
    """A bench with a second CA, and what wakes Certificates in the operator."""

    def __init__(self, build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> None:
        self.circuits = Circuits()
        self.wanted: list[Key] = []
        super().__init__(build, kube_api, now)
        self.other = FakeAcmeClient(build, lambda: self.now)
        self.other_ready()

    def other_ready(self) -> None:
        spec = self.build.issuer(server=OTHER_SERVER)
        client = cast("acme.Client", self.other)
        self.registry.set_ready(ReadyIssuer(OTHER, "uid-other", 1, spec, client, f"{PLACE}/account/2", "operator"))

    def restart(self, **late: Any) -> None:
        super().restart(**late)
        self.circuits = Circuits()
        known = self.reconciler
        self.reconciler = CertificateReconciler(
            tools=known._tools,
            certificates=self.certificates,
            secrets=self.secrets,
            look_at_issuer=lambda _: None,
            account_lost=self.lost.append,
            account_refused=lambda key, why: self.refused.append((key, why)),
            action_required=self.action_required.append,
            circuits=self.circuits,
            alternatives_wanted=self.wanted.append,
        )

    async def fall_back(self) -> None:
        """The first CA is gone by now, and the order at the second goes well."""
        self.registry.set_not_ready(CA, "the CA is down")
        self.now += dt.timedelta(minutes=2)
        self.dns.hidden = False
        await self.settle()

    @property
    def issued_by(self) -> str:
        secret = self.cluster.secrets.secrets["team", "web-tls"]
        return str(secret["metadata"]["annotations"]["certwright.io/issuer-name"])

    async def settle(self, *, steps: int = 40) -> None:
        """Look until the Secret is right, through short waits only."""
        for _ in range(steps):
            result = await self.look()
            if result.after is None or result.after > dt.timedelta(hours=1):
                return
            self.now += result.after
        raise AssertionError(f"not settled: {self.condition().message}")


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> TwoIssuers:
    bench = TwoIssuers(build, kube_api, now)
    write(bench)
    return bench


def write(bench: Bench, **spec: Any) -> None:
    bench.write(issuerRef=None, issuerRefs=REFS, **spec)


def down(bench: TwoIssuers, method: str = "new_order") -> None:
    """The first CA fails from now on."""

    async def refusing(*_: Any, **__: Any) -> Any:
        raise acme.ServiceUnavailable("out of service", url=PLACE, status=503)

    setattr(bench.ca, method, refusing)


def healed(bench: TwoIssuers, method: str = "new_order") -> None:
    vars(bench.ca).pop(method, None)


async def test_the_first_issuer_that_works_issues(bench: TwoIssuers) -> None:
    await bench.settle()
    assert bench.issued_by == "ca"
    used = bench.status.issuer
    assert used is not None
    assert (used.kind, used.name) == ("Issuer", "ca")
    assert not bench.other.orders


async def test_a_first_certificate_comes_from_the_next_issuer_when_the_circuit_opens(bench: TwoIssuers) -> None:
    down(bench)
    await bench.settle()
    assert bench.issued_by == "other"
    assert "FallingBack" in bench.events
    assert "Issuer team/ca: it has failed since" in bench.messages["FallingBack"]
    used = bench.status.issuer
    assert used is not None
    assert (used.kind, used.name, used.server) == ("ClusterIssuer", "other", OTHER_SERVER)
    assert bench.circuits.is_available(CA)  # nobody else has met it yet


async def test_a_certificate_of_the_second_issuer_is_no_reason_to_reissue(bench: TwoIssuers) -> None:
    down(bench)
    await bench.settle()
    healed(bench)
    bench.now += dt.timedelta(hours=2)
    bench.reconciler.issuer_changed(WEB)
    await bench.settle()
    assert (len(bench.ca.orders), len(bench.other.orders), bench.issued_by) == (0, 1, "other")
    bench.restart()
    bench.take_secret(facts(bench))
    await bench.settle()
    assert (len(bench.ca.orders), len(bench.other.orders)) == (0, 1)


async def test_the_next_renewal_is_by_the_first_issuer_once_it_has_healed(bench: TwoIssuers) -> None:
    down(bench)
    await bench.settle()
    healed(bench)
    renewal = bench.status.renewal_time
    assert renewal is not None
    bench.now = renewal + dt.timedelta(minutes=1)
    await bench.settle()
    assert (len(bench.ca.orders), len(bench.other.orders), bench.issued_by) == (1, 1, "ca")
    assert bench.circuits.is_available(CA)


async def test_a_renewal_waits_for_the_first_issuer_until_half_of_its_time_has_passed(bench: TwoIssuers) -> None:
    await bench.settle()
    down(bench)
    renewal, ends = bench.status.renewal_time, bench.status.not_after
    assert renewal is not None
    assert ends is not None
    patient_until = renewal + (ends - renewal) / 2
    bench.now = renewal + dt.timedelta(minutes=1)
    await bench.run(120 * MINUTE)
    assert not bench.other.orders
    bench.now = patient_until - dt.timedelta(hours=2)
    await bench.run(110 * MINUTE)
    assert bench.condition().status == "True"
    assert not bench.other.orders
    assert bench.condition("Issuing").reason == "IssuerUnavailable"
    await bench.run(20 * MINUTE)
    assert len(bench.other.orders) == 1
    assert bench.issued_by == "other"


async def test_maintenance_windows_do_not_make_it_wait_longer_for_the_first_issuer(bench: TwoIssuers) -> None:
    nightly = {"schedule": "0 2 * * *", "duration": "1h"}
    write(bench, renewal={"windows": [nightly]})
    await bench.settle()
    due, end = bench.status.renewal_time, bench.status.not_after
    assert due is not None
    assert end is not None
    bench.registry.set_not_ready(CA, "the CA is down")
    half = due + (end - due) / 2
    await bench.run((half - dt.timedelta(hours=24) - bench.now).total_seconds())
    assert len(bench.other.orders) == 0
    await bench.run(49 * HOUR)
    assert (bench.status.revision, bench.issued_by) == (2, "other")


async def test_an_issuer_that_is_taken_off_the_list_has_its_certificate_replaced(bench: TwoIssuers) -> None:
    down(bench)
    await bench.settle()
    healed(bench)
    bench.circuits.proved(CA, Asker("team", "uid-web"))
    bench.write(issuerRef={"name": "ca"}, metadata={"generation": 2})
    await bench.settle()
    assert bench.issued_by == "ca"


async def test_a_failed_validation_is_no_failure_of_the_issuer(bench: TwoIssuers) -> None:
    bench.ca.verdict = "invalid"
    await bench.run(3 * HOUR)
    assert len(bench.ca.orders) > 2
    assert not bench.other.orders
    assert bench.circuits.is_available(CA)


async def test_an_issuer_that_is_missing_is_waited_for_a_moment_only(bench: TwoIssuers) -> None:
    bench.registry.set_missing(CA)
    first = await bench.look()
    assert first.after is not None
    assert first.after <= dt.timedelta(seconds=30)
    assert bench.condition().reason == "IssuerNotFound"
    assert not bench.other.orders


async def test_an_order_is_cleaned_up_where_it_was_placed_before_another_issuer_is_asked(bench: TwoIssuers) -> None:
    bench.dns.hidden = True
    await bench.look()
    assert len(bench.ca.orders) == 1
    assert bench.dns.records
    bench.registry.set_not_ready(CA, "the CA is down")
    bench.dns.hidden = False
    bench.now += dt.timedelta(minutes=2)
    await bench.settle()
    assert bench.issued_by == "other"
    assert not bench.dns.records


async def test_after_a_restart_the_records_of_an_order_at_an_issuer_that_is_down_are_removed(
    bench: TwoIssuers,
) -> None:
    bench.dns.hidden = True
    await bench.look()
    await bench.look()
    order = bench.status.order
    assert order is not None
    assert order.issuer is not None
    assert order.issuer.name == "ca"
    assert bench.dns.records
    bench.registry.set_not_ready(CA, "the CA is down")  # its key and spec were loaded before its CA was asked
    bench.restart()
    bench.now += dt.timedelta(minutes=2)
    bench.dns.hidden = False
    await bench.settle()
    assert (bench.issued_by, bench.dns.records) == ("other", set())
    assert "OrderNotOurs" not in bench.events
    assert "LeftBehind" not in bench.events


async def test_a_status_that_names_another_issuers_order_is_not_obeyed(bench: TwoIssuers) -> None:
    bench.dns.hidden = True
    await bench.look()
    await bench.look()
    body = dict(bench.cluster.body)
    body["status"]["order"]["issuer"] = {"kind": "ClusterIssuer", "name": "other"}
    bench.cluster.take(body)
    bench.restart()
    bench.dns.hidden = False
    await bench.settle()
    assert "OrderNotOurs" in bench.events
    assert len(bench.ca.orders) + len(bench.other.orders) == 2  # the order of the status is not continued


def refusal() -> acme.RateLimited:
    problem = acme.Problem(
        type="urn:ietf:params:acme:error:rateLimited", detail="too many certificates for this exact set of names"
    )
    return acme.RateLimited(problem, action="newOrder", url=PLACE, status=429, retry_after=2 * 24 * HOUR)


def use_up(bench: TwoIssuers, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first CA allows is used up for two days, as far as is known from other orders."""
    until = bench.now + dt.timedelta(days=2)

    def no_room(step: object, observation: Observation) -> AwaitRoom | None:
        limited = isinstance(step, StartOrder) and observation.issuer_key == CA and bench.now < until
        return AwaitRoom(until, "the limit is used up") if limited else None

    monkeypatch.setattr(budgeted, "await_room", no_room)


async def test_a_wait_of_days_for_these_names_is_a_reason_to_ask_the_next_issuer(bench: TwoIssuers) -> None:
    async def limited(*_: Any, **__: Any) -> Any:
        raise refusal()

    bench.ca.new_order = limited  # type: ignore[method-assign]
    await bench.settle()
    assert bench.issued_by == "other"
    assert bench.circuits.is_available(CA)


async def test_an_issuer_without_room_is_waited_for_where_no_other_can_be_used(
    bench: TwoIssuers, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.registry.set_missing(OTHER)
    use_up(bench, monkeypatch)
    await bench.settle()
    assert bench.condition().message == "the limit is used up"
    # The other one comes back: it is used, and nobody waits for the limit.
    bench.other_ready()
    await bench.settle()
    assert bench.issued_by == "other"


async def test_a_renewal_that_is_patient_waits_for_the_room_of_the_first_issuer(
    bench: TwoIssuers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.settle()
    renewal = bench.status.renewal_time
    assert renewal is not None
    bench.now = renewal + dt.timedelta(minutes=1)
    use_up(bench, monkeypatch)
    await bench.settle()
    assert bench.condition("Issuing").message == "the limit is used up"
    bench.now += dt.timedelta(days=2)
    await bench.settle()
    assert (len(bench.ca.orders), len(bench.other.orders)) == (2, 0)


async def test_one_order_at_a_time_tries_an_issuer_that_failed(
    bench: TwoIssuers,
) -> None:
    down(bench)
    await bench.settle()
    bench.now += dt.timedelta(minutes=10)
    assert bench.circuits.enter(CA, Asker("team", "uid-of-another"), bench.now) is None
    write(bench, metadata={"uid": "uid-web", "generation": 2}, dnsNames=["b.example.test"])
    await bench.settle()
    assert len(bench.other.orders) == 2


@pytest.mark.parametrize("writes", range(1, 14))
async def test_a_fallback_survives_a_kill_after_each_write(
    bench: TwoIssuers, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.dns.hidden = True
    verbs = ("apply_status", "apply_secret", "delete_secret", "add_finalizer", "remove_finalizer")
    kill_after(bench.cluster, writes, verbs, monkeypatch)
    for act in (bench.look, bench.fall_back):
        try:
            await act()
        except Killed:
            bench.restart()
            if "web-tls" in bench.secret_names:
                bench.take_secret(facts(bench))
            await act()
    assert bench.issued_by == "other"
    assert bench.status.revision == 1
    assert (len(bench.ca.orders), len(bench.other.orders)) <= (2, 2)
    assert len(bench.ca.orders) + len(bench.other.orders) <= 3
    assert not bench.dns.records
    assert not bench.finalizers
    assert bench.secret_names == {"web-tls"}
    assert not {"OrderNotOurs", "LeftBehind"} & set(bench.events)


def facts(bench: TwoIssuers) -> SecretFacts:
    return SecretFacts.of(bench.cluster.secrets.secrets["team", "web-tls"])
