"""Whole passes over Certificates that are proved by files: issuers that change, processes that end in the middle."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.acme import Authorization, Challenge, ServiceUnavailable
from certwright.certificates.store import certificate_key
from certwright.http01 import presenter as presenter_module
from certwright.http01.self_check import HttpSighting
from certwright.issuers.presenters import Http01Options, PresenterFactory
from certwright.resources import FINALIZER
from tests.fakes.acme_client import FakeAcmeClient
from tests.fakes.http01 import FakeObjects

from .bench import Bench

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from certwright.challenges.response import FileResponse
    from tests.fakes.operator import Build, FakeKubeApi

OPTIONS = Http01Options(image="certwright:1", responder_address="192.0.2.1")
CLASS = {"http01": {"ingress": {"ingressClassName": "nginx"}}}
EDIT = {"http01": {"ingress": {"name": "front"}}}
RULES = [{"host": "a.example.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {}}]}}]


class Web:
    """What is seen of the files."""

    hidden = False

    def __init__(self, **_: Any) -> None: ...

    async def look(self, resources: list[FileResponse]) -> list[HttpSighting]:
        return [HttpSighting(one, complete=not Web.hidden, seen="HTTP 404", status=404) for one in resources]


class HttpCa(FakeAcmeClient):
    """Offers http-01; names in `refused` it takes no answers for."""

    def __init__(self, build: Build, clock: Callable[[], dt.datetime]) -> None:
        super().__init__(build, clock)
        self.refused: set[str] = set()

    async def answer_challenge(self, challenge: Challenge) -> Challenge:
        if any(challenge.url.endswith(f"/{name}") for name in self.refused):
            raise ServiceUnavailable("not now", url=challenge.url, status=503)
        return await super().answer_challenge(challenge)

    def _authorization(self, name: str) -> Authorization:
        made = super()._authorization(name)
        return replace(made, challenges=tuple(replace(one, type="http-01") for one in made.challenges))


class HttpBench(Bench):
    """The same bench with an issuer of http01 solvers, and a cluster for their objects."""

    def __init__(self, build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> None:
        self.objects = FakeObjects()
        self.factories: list[PresenterFactory] = []
        super().__init__(build, kube_api, now)
        self.ca: HttpCa = HttpCa(build, lambda: self.now)
        self.of(CLASS)

    def solvers(self) -> Any:
        self.factories.append(
            PresenterFactory(cast("Any", self.cluster), cast("Any", self.objects), cast("Any", None), http01=OPTIONS)
        )
        return self.factories[-1]

    def of(self, *solvers: dict[str, Any]) -> None:
        """The issuer gets these solvers, and its Certificates hear of it."""
        self.issuer_spec = {"solvers": list(solvers)}
        self.ready()
        for certificate in self.certificates:
            self.reconciler.issuer_changed(certificate_key(certificate))

    @property
    def kinds(self) -> list[str]:
        return sorted(kind for kind, _ in self.objects.held)


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> HttpBench:
    monkeypatch.setattr(presenter_module, "SelfCheck", Web)
    monkeypatch.setattr(Web, "hidden", False)
    bench = HttpBench(build, kube_api, now)
    bench.objects.put("Ingress", "front", spec={"rules": RULES})
    return bench


def uids(bench: HttpBench) -> dict[tuple[str, str], int]:
    """Which objects there are; one that is made again is another."""
    return {key: id(body) for key, body in bench.objects.held.items()}


async def test_a_certificate_is_issued_and_no_object_is_left(bench: HttpBench) -> None:
    bench.write("a.example.test", "b.example.test")
    await bench.run(60)
    assert bench.condition().status == "True"
    assert bench.kinds == ["Ingress"]
    assert sum(call == "create Pod" for call in bench.objects.calls) == 1


async def test_an_issuer_that_edits_an_ingress_from_now_on_holds_the_certificate(bench: HttpBench) -> None:
    Web.hidden = True
    bench.write("a.example.test")
    await bench.run(5)
    assert bench.finalizers == []
    bench.of(EDIT)
    await bench.run(5)
    assert bench.objects.held["Ingress", "front"]["spec"]["rules"] != RULES
    assert bench.finalizers == [FINALIZER], "with nobody to take them out the rules would stay for ever"
    bench.write("a.example.test", metadata={"deletionTimestamp": bench.now.isoformat()})
    await bench.run(60)
    assert bench.finalizers == []
    assert bench.objects.held["Ingress", "front"]["spec"]["rules"] == RULES
    assert bench.kinds == ["Ingress"]


async def test_rules_that_cannot_be_taken_out_just_now_are_not_forgotten(bench: HttpBench) -> None:
    Web.hidden = True
    bench.of(EDIT)
    bench.write("a.example.test")
    await bench.run(5)
    bench.objects.conflicts = 10**6
    bench.of(CLASS)
    await bench.run(20)
    assert "IngressBusy" in bench.events
    bench.objects.conflicts = 0
    Web.hidden = False
    await bench.run(600)
    assert bench.condition().status == "True"
    assert bench.objects.held["Ingress", "front"]["spec"]["rules"] == RULES
    assert bench.kinds == ["Ingress"]


@pytest.mark.parametrize("solver", [CLASS, {"http01": {**CLASS["http01"], "responder": "shared"}}])
async def test_a_restart_between_two_answers_leaves_what_the_ca_is_looking_at(
    bench: HttpBench, solver: dict[str, Any]
) -> None:
    bench.of(solver)
    bench.ca.undecided = True
    bench.ca.refused = {"b.example.test"}
    bench.write("a.example.test", "b.example.test")
    await bench.run(3)
    assert len(bench.ca.proved) == 1
    before = uids(bench)
    bench.objects.calls.clear()
    bench.restart()
    await bench.run(3)
    assert bench.objects.held.keys() == before.keys()
    assert not [call for call in bench.objects.calls if call.startswith("delete")]
    if "responder" in solver["http01"]:
        assert {each.host for each in bench.factories[-1].answers} == {"a.example.test", "b.example.test"}


async def test_a_restart_when_one_of_the_names_is_proved_keeps_the_objects(bench: HttpBench) -> None:
    Web.hidden = True
    bench.write("a.example.test", "b.example.test")
    await bench.run(3)
    before = uids(bench)
    bench.objects.calls.clear()
    bench.ca.proved.add("https://ca.example.test/challenge/a.example.test")
    bench.restart()
    await bench.run(3)
    assert bench.objects.held.keys() == before.keys()
    assert not [call for call in bench.objects.calls if call.startswith("delete")]
    Web.hidden = False
    await bench.run(60)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_a_restart_with_another_issuer_writes_down_what_it_makes_first(
    bench: HttpBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    Web.hidden = True
    bench.write("a.example.test")
    await bench.run(3)
    bench.issuer_spec = {"solvers": [EDIT]}
    bench.ready()
    bench.restart()
    edit, known = bench.objects.replace_rules, []

    async def after_writing(ingress: Any, rules: list[dict[str, Any]]) -> dict[str, Any] | None:
        order = bench.status.order
        known.append(order is not None and any(one.name == "front" for one in order.solver_objects))
        return await edit(ingress, rules)

    monkeypatch.setattr(bench.objects, "replace_rules", after_writing)
    await bench.run(3)
    assert known == [True]
    assert bench.finalizers == [FINALIZER]
    assert bench.objects.held["Ingress", "front"]["spec"]["rules"] != RULES
    assert bench.kinds == ["Ingress", "Pod", "Service"]


async def test_two_solvers_of_one_issuer_are_both_answered_for(bench: HttpBench) -> None:
    shared = {"http01": {**CLASS["http01"], "responder": "shared"}}
    bench.of(shared, {**shared, "selector": {"dnsNames": ["b.example.test"]}})
    Web.hidden = True
    bench.write("a.example.test", "b.example.test")
    await bench.run(3)
    assert {each.host for each in bench.factories[-1].answers} == {"a.example.test", "b.example.test"}
    Web.hidden = False
    await bench.run(60)
    assert bench.condition().status == "True"
    assert not list(bench.factories[-1].answers)
